"""Running the command until it is killed, running it again, and comparing with an undisturbed run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from storage.database.connection import open_database
from storage.database.states import ChargeKind
from storage.database.tables import Charge
from tests.servers.audio_api import AudioApiServer

IN_FLIGHT = 2
_ARGUMENTS = ("--segment-seconds", "60", "--concurrency", str(IN_FLIGHT), "--json")
_ROOT = Path(__file__).parents[2]
_DEADLINE_S = 120
_FOREIGN = ("STENOFLOW_", "PREFECT_API_URL")
_EXPOSED = (ChargeKind.ACTUAL, ChargeKind.POSSIBLE, ChargeKind.RECONCILE)


@dataclass(slots=True)
class Bench:
    """What all trials share.

    Attributes:
        api: who hears and bills.
        recording: what is transcribed.
        prefect: where Prefect's server is, or its home.
        expected: the artifacts of an undisturbed run, by name.
        points: what that run passed, in order.
    """

    api: AudioApiServer
    recording: Path
    prefect: dict[str, str]
    expected: dict[str, str] = field(default_factory=dict)
    points: list[str] = field(default_factory=list)
    segments: int = 0

    def learn(self) -> None:
        """Run once undisturbed."""
        with tempfile.TemporaryDirectory() as folder, self._billed() as calls:
            line = self.run(Path(folder), {}).line
            assert line["status"] == "complete", line
            self.expected, self.segments = _artifacts(line), line["segments"]
            self.points = (Path(folder) / "points").read_text("utf-8").splitlines()
            assert len(calls()) == self.segments

    def run(self, home: Path, extra: dict[str, str], point: str = "-", kill_after_s: float = 0) -> Ended:
        """Run the command in a home, to its end or until it is killed."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)},
            **self.prefect,
            "STENOFLOW_HOME": str(home),
            "OPENAI_BASE_URL": self.api.base_url,
            "OPENAI_API_KEY": "sk-kill-0123456789",
            "KILL_POINTS": str(home / "points"),
            "PYTHONPATH": str(_ROOT),
            **extra,
        }
        args = [sys.executable, "-m", "tests.kill.program", point, "transcribe", str(self.recording)]
        with subprocess.Popen(
            [*args, *_ARGUMENTS],
            env=environment,
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=kill_after_s or _DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                assert kill_after_s, f"it hung: {err[-2000:]}"
        return Ended(process.returncode, out, err)

    def trial(self, point: str, database: str = "") -> Cost:
        """Kill the command at a point, run it again, and see what that cost."""
        extra = {"STENOFLOW_DATABASE_URL": database} if database else {}
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, self._billed() as calls:
            home = Path(folder)
            killed = self.run(home, extra, point)
            return self.recovered(home, extra, calls, killed=killed.code == -9)

    def kill_at(self, moment_s: float, database: str = "") -> Cost:
        """Kill the command after a time, run it again, and see what that cost."""
        extra = {"STENOFLOW_DATABASE_URL": database} if database else {}
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, self._billed() as calls:
            home = Path(folder)
            killed = self.run(home, extra, kill_after_s=moment_s)
            return self.recovered(home, extra, calls, killed=killed.code == -9)

    def recovered(self, home: Path, extra: dict[str, str], calls: Any, *, killed: bool) -> Cost:
        """Run it again after a kill, and hold all against the undisturbed run and the API's own bills."""
        line = self.run(home, extra).line
        assert line["status"] == "complete", line
        assert _artifacts(line) == self.expected
        bought = len(calls())
        assert self.run(home, extra).line["calls"] == 0
        assert len(calls()) == bought, "a further run paid again"
        billed = sum(round(call.seconds * 100) for call in calls() if call.charged)
        exposed = _exposure(extra.get("STENOFLOW_DATABASE_URL", f"sqlite:///{home}/stenoflow.db"))
        assert exposed >= billed * 0.99, f"{billed} billed, {exposed} in the ledger"
        return Cost(killed, bought - self.segments)

    @contextmanager
    def _billed(self) -> Iterator[Any]:
        before = len(self.api.calls)
        yield lambda: self.api.calls[before:]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> dict[str, Any]:
        assert self.out, f"{self.code}: {self.err[-2000:]}"
        line: dict[str, Any] = json.loads(self.out)
        return line


@dataclass(frozen=True, slots=True)
class Cost:
    """What a kill cost: calls beyond those of an undisturbed run."""

    killed: bool
    extra_calls: int


def _artifacts(line: dict[str, Any]) -> dict[str, str]:
    return {
        name: Path(uri.removeprefix("file://")).read_text("utf-8") for name, uri in line["artifacts"].items()
    }


def _exposure(url: str) -> int:
    database = open_database(url)
    try:
        with database.read() as session:
            total = session.scalar(select(func.sum(Charge.amount_micro)).where(Charge.kind.in_(_EXPOSED)))
            return int(total or 0)
    finally:
        database.close()
