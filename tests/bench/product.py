"""The program as its users run it: the command, in a home of its own, its surroundings known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.api import Api
from tests.bench.sources import CACHE

ROOT = Path(__file__).parents[2]
LOG = CACHE / "stderr.log"
_LONGEST_HOURS = 1000


@dataclass(frozen=True, slots=True)
class Command:
    """A command that has ended: a line for each source, and how long it took."""

    lines: list[dict[str, Any]]
    wall_s: float


@contextmanager
def empty_home() -> Iterator[Path]:
    """Give a home in which nothing was ever transcribed; what is in it goes with the block."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="home-", dir=CACHE, ignore_cleanup_errors=True) as home:
        yield Path(home)


def surroundings(home: Path, api: Api | None) -> dict[str, str]:
    """Return the environment: nothing of this machine's settings, and no start of Prefect is its first."""
    foreign = ("STENOFLOW_", "OPENAI_", "PREFECT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    given = {
        "STENOFLOW_HOME": str(home),
        "STENOFLOW_MAX_HOURS": str(_LONGEST_HOURS),
        "PREFECT_HOME": str(CACHE / "prefect"),
        "PYTHONPATH": str(ROOT),
    }
    if api is not None:
        given |= {"OPENAI_BASE_URL": api.base_url, "OPENAI_API_KEY": "sk-bench-0123456789"}
    return kept | given


def transcribe(
    home: Path,
    api: Api | None,
    *arguments: str | Path,
    command: str = "transcribe",
    watch: Callable[[int], None] = lambda _: None,
    prefect: str | None = None,
    whole: bool = True,
) -> Command:
    """Run `stenoflow transcribe`, or another command that prints such lines.

    Args:
        home: where its store and database are.
        api: who hears; None: the embedded engine.
        arguments: sources and options.
        command: which.
        watch: told the process id as soon as there is one.
        prefect: the address of a Prefect server that shows the runs.
        whole: what lacks words is an error.
    """
    program = Path(sys.executable).with_name("stenoflow")
    args = [str(program), command, *map(str, arguments), "--json"]
    environment = surroundings(home, api) | ({"PREFECT_API_URL": prefect} if prefect else {})
    started = time.monotonic()
    with (
        LOG.open("w", encoding="utf-8") as said,
        subprocess.Popen(
            args, env=environment, cwd=home, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        watch(process.pid)
        out, _ = process.communicate()
    lines = [json.loads(line) for line in out.splitlines()]
    for line in lines:
        if line["status"] not in ({"complete"} if whole else {"complete", "partial"}):
            raise RuntimeError(f"{line['source']}: {line['status']}: {line['error']}")
    if process.returncode not in ({0} if whole else {0, 3}) or not lines:
        raise RuntimeError(f"stenoflow ended with {process.returncode}: {LOG.read_text('utf-8')[-500:]}")
    return Command(lines, time.monotonic() - started)


def transcript(line: dict[str, Any]) -> dict[str, Any]:
    """Return the transcript that a line names."""
    content: dict[str, Any] = json.loads(Path(line["artifacts"]["json"].removeprefix("file://")).read_bytes())
    return content
