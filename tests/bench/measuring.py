"""Wall time and processor time, of variants that take turns so that a machine's moods hit all alike."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Spent:
    """What a block of code took: on the clock, and of the processor by this process and its children."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def spending() -> Iterator[Spent]:
    """Measure a block; children count that it has waited for when it ends."""
    spent = Spent()
    wall_s, cpu_s = time.monotonic(), _cpu_s()
    yield spent
    spent.wall_s, spent.cpu_s = time.monotonic() - wall_s, _cpu_s() - cpu_s


def in_turns(runs: int, *variants: Callable[[], T]) -> list[list[T]]:
    """Run each variant as often, in turns.

    Returns:
        What each run gave, by variant.
    """
    rounds = [[variant() for variant in variants] for _ in range(runs)]
    return [list(results) for results in zip(*rounds, strict=True)]


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Return the median of the ratios of runs that were neighbours."""
    return statistics.median(above / below for above, below in zip(numerators, denominators, strict=True))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
