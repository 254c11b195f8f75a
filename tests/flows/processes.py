"""The command in a process of its own, to be signalled, killed, or run beside another."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from tests.flows.conftest import Meeting
from tests.waiting import wait_for

__all__ = ["wait_for"]

SEGMENTS = 8
_PROGRAM = "from stenoflow.flows.cli import main; main()"
ARGUMENTS = ("--segment-seconds", "30", "--concurrency", "2", "--json")


def running(meeting: Meeting, folder: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """Transcribe in a process of its own."""
    return command(["transcribe", str(meeting.path), *ARGUMENTS], folder)


@contextmanager
def command(
    arguments: list[str],
    folder: Path,
    stdout: int = subprocess.PIPE,
    prefect: str | None = None,
    program: str = _PROGRAM,
) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own; it is killed at the end if it has not ended.

    ``prefect``: where a server of Prefect's is said to answer; None: there is none. ``program``: in Python.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("PREFECT_API_URL", None)
    if prefect is not None:
        environment["PREFECT_API_URL"] = prefect
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    # By the parent that each names: the lists of children in /proc may miss some while threads end.
    parents = {int(path.parent.name): _parent(path) for path in Path("/proc").glob("[0-9]*/stat")}
    direct = [child for child, parent in parents.items() if parent == pid]
    return direct + [further for child in direct for further in descendants(child)]


def command_line(pid: int) -> str:
    """Return what a process was started as; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8").replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_in_prefects_database(text: str) -> bool:
    """Tell whether Prefect's server knows of something."""
    with closing(sqlite3.connect(Path(os.environ["PREFECT_HOME"]) / "prefect.db")) as database:
        return any(text in line for line in database.iterdump())


def wait_until_gone(pids: list[int]) -> None:
    assert pids, "Prefect's server is one of them"
    wait_for(lambda: not any(map(_runs, pids)))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
