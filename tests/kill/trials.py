"""Running the command until it is killed, running it again, and comparing with an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.states import ChargeKind
from stenoflow.storage.database.tables import Charge
from tests.servers.audio_api import AudioApiServer, Call

IN_FLIGHT = 2
_ARGUMENTS = ("--segment-seconds", "60", "--concurrency", str(IN_FLIGHT), "--json")
_ROOT = Path(__file__).parents[2]
_TIMEOUT = 3
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

    def learn(self, faults: Sequence[str] = ()) -> None:
        """Run once undisturbed but for faults of the API."""
        self.api.script(faults)
        with tempfile.TemporaryDirectory() as folder:
            line = self.run(Path(folder), {}).line
            assert line["status"] == "complete", line
            self.expected, self.segments = _artifacts(line), line["segments"]
            self.points = (Path(folder) / "points").read_text("utf-8").splitlines()

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
                out, err = process.communicate(timeout=kill_after_s or None)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
        return Ended(process.returncode, out, err)

    def trial(self, point: str, database: str = "", faults: Sequence[str] = ()) -> Cost:
        """Kill the command at a point, run it again, and see what that cost.

        Args:
            point: where; see `program`.
            database: its address; that of an embedded one if empty.
            faults: modes of the API's first calls.
        """
        with self._trying(database, faults) as trying:
            trying.run(point)
            return trying.recover()

    def kill_at(self, moments_s: Sequence[float], database: str = "", faults: Sequence[str] = ()) -> Cost:
        """Kill the command after a time, and once more for each further one; see what that cost."""
        with self._trying(database, faults) as trying:
            for moment_s in moments_s:
                trying.run(kill_after_s=moment_s)
            return trying.recover()

    @contextmanager
    def _trying(self, database: str, faults: Sequence[str]) -> Iterator[Trial]:
        self.api.script(faults)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield Trial(self, Path(folder), database, len(self.api.calls))
        self.api.unscript()


@dataclass(slots=True)
class Trial:
    """A home in which runs are killed."""

    bench: Bench
    home: Path
    database: str
    first_call: int
    kills: int = 0

    def run(self, point: str = "-", kill_after_s: float = 0) -> Ended:
        """Run the command, to its end or until it is killed."""
        extra = {"STENOFLOW_DATABASE_URL": self.database} if self.database else {}
        ended = self.bench.run(self.home, extra, point, kill_after_s)
        self.kills += ended.code == -signal.SIGKILL
        return ended

    def recover(self) -> Cost:
        """Run it until it is complete, and hold all against the undisturbed run and the API's own bills."""
        line = self.run().line
        for _ in range(_TIMEOUT):
            # What failed twice is parked; the next run asks for it again.
            line = line if line["status"] == "complete" else self.run().line
        assert line["status"] == "complete", line
        assert _artifacts(line) == self.bench.expected, "other artifacts than those of an undisturbed run"
        bought = len(self.calls)
        assert self.run().line["calls"] == 0
        assert len(self.calls) == bought, "a further run paid again"
        bills = [round(call.seconds * 100) for call in self.calls if call.charged]
        exposed = _exposure(self.database or f"sqlite:///{self.home}/stenoflow.db")
        assert exposed >= sum(bills) * 0.99, f"{sum(bills)} billed, {exposed} in the ledger"
        answered = sum(call.mode == "ok" for call in self.calls)
        again = answered - self.bench.segments
        assert again <= IN_FLIGHT * self.kills, f"{again} bought again, {self.kills} kills"
        return Cost(self.kills, self.bench.segments, len(bills), bought - answered, again)

    @property
    def calls(self) -> list[Call]:
        """What the API was asked in this home."""
        return self.bench.api.calls[self.first_call :]


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
    """What a trial took.

    Attributes:
        kills: how often the command was killed.
        segments: how many the recording has.
        bills: calls that the API charged.
        faults: calls that it did not answer well.
        bought_again: calls that it answered, beyond one a segment.
    """

    kills: int
    segments: int
    bills: int
    faults: int
    bought_again: int


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
