"""What the processes of a fleet spend of the processor, read from /proc while they are at work."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY_S = 2.0
_ADDITIONS = 100_000


@dataclass(frozen=True, slots=True)
class _Process:
    """One process as /proc has it: ``ended_s`` is what its children spent that it has waited for."""

    parent: int
    own_s: float
    ended_s: float


@dataclass(slots=True)
class Spending:
    """Seconds of the processor, by process.

    Attributes:
        own_s: of the processes that are watched.
        started_s: of all that they started.
        loops_s: what the same loop took at each look: a second of a shared machine is not always the same.
    """

    own_s: dict[int, float] = field(default_factory=dict)
    started_s: dict[int, float] = field(default_factory=dict)
    loops_s: list[float] = field(default_factory=list)

    def look(self, watched: list[int]) -> None:
        """Look once more; what has ended keeps what it had at the last look."""
        self.loops_s.append(_loop_s())
        processes = dict(_processes())
        for pid in watched:
            if pid in processes:
                self.own_s[pid] = processes[pid].own_s
                living = sum(_spent_s(each, processes) for each in _children(pid, processes))
                # What was killed with its parent is in nobody's account any more.
                now = processes[pid].ended_s + living
                self.started_s[pid] = max(now, self.started_s.get(pid, 0.0))


def spent_s(pid: int) -> float:
    """Return what a process has spent by now, without what it started."""
    return dict(_processes())[pid].own_s


@contextmanager
def watching(pids: list[int]) -> Iterator[Spending]:
    """Watch processes for as long as the block lasts; the list may grow."""
    spending, over = Spending(), threading.Event()

    def follow() -> None:
        while not over.wait(_EVERY_S):
            spending.look(list(pids))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield spending
    finally:
        over.set()
        thread.join()


def _loop_s() -> float:
    began = time.thread_time()
    total = 0
    for number in range(_ADDITIONS):
        total += number
    return time.thread_time() - began


def _spent_s(pid: int, processes: Mapping[int, _Process]) -> float:
    """Return what a process spent, with all that it started."""
    own = processes[pid]
    return own.own_s + own.ended_s + sum(_spent_s(each, processes) for each in _children(pid, processes))


def _children(pid: int, processes: Mapping[int, _Process]) -> list[int]:
    return [each for each, process in processes.items() if process.parent == pid]


def _processes() -> Iterator[tuple[int, _Process]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        # It may end between any two looks.
        with suppress(OSError, ValueError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()
            spent = [int(each) / _TICKS for each in fields[11:15]]
            yield int(path.parent.name), _Process(int(fields[1]), sum(spent[:2]), sum(spent[2:]))
