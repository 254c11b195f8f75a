"""Doing something from many threads at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")


def at_once(threads: int, act: Callable[[int], T]) -> list[T]:
    """Call ``act(0)``, ``act(1)``, ... together; returns their results in order, raises what one raised."""
    together = Barrier(threads)

    def start(number: int) -> T:
        together.wait()
        return act(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(start, range(threads)))
