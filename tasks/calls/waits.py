"""Waits: what the calls of a run wait for, so that whoever looks at a terminal is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from stenoflow.tasks.api.errors import CallError, RateLimitedError, UnreachableError

# A shorter wait needs no explanation.
_LEAST_S = 5.0

_CALL = "waiting for the API: a call is without an answer for"
_ENGINE = "the embedded engine has been at work on a call for"
_LISTENING = "looking for gaps: an answer is being compared with the sound for"
_OTHER_RUN = "waiting for another run, which has asked for the same, for"


@dataclass(slots=True)
class Waits:
    """Since when calls are in flight or fail; belongs to one event loop, and may be read anywhere.

    Attributes:
        clock: monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    # What is under way, with the words for it, and since when.
    _under_way: dict[int, tuple[str, float]] = field(default_factory=dict)
    _asked_again: int = 0
    _trying: int = 0
    _failing_since: float | None = None
    _failure: CallError | None = None
    _opens_at: float = 0.0

    @contextmanager
    def sending(self, *, here: bool = False) -> Iterator[None]:
        """Count a call as in flight, and learn from how it ends; ``here``: the embedded engine answers it."""
        begun = self.clock()
        try:
            with self._noted(_ENGINE if here else _CALL):
                yield
        except CallError as error:
            if error.scope == "retry":
                self._failing_since = begun if self._failing_since is None else self._failing_since
                self._failure, self._opens_at = error, self.clock() + (error.retry_after_s or 0.0)
            raise
        else:
            self._failing_since = None

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Count a call as being tried until it has an answer; with the last of them, failures are over."""
        self._trying += 1
        try:
            yield
        finally:
            self._trying -= 1
            if not self._trying:
                self._failing_since = None

    @contextmanager
    def asking_again(self) -> Iterator[None]:
        """Count a segment as one that lacks words, and is asked for again."""
        self._asked_again += 1
        try:
            yield
        finally:
            self._asked_again -= 1

    def listening(self) -> AbstractContextManager[None]:
        """Count an answer as one that is compared with its sound."""
        return self._noted(_LISTENING)

    def for_another_run(self, since: float) -> AbstractContextManager[None]:
        """Count a call as one that another run has made already; ``since``: when it was wanted first."""
        return self._noted(_OTHER_RUN, since)

    @contextmanager
    def _noted(self, words: str, since: float | None = None) -> Iterator[None]:
        number = max(self._under_way, default=0) + 1
        self._under_way[number] = words, self.clock() if since is None else since
        try:
            yield
        finally:
            del self._under_way[number]

    def reason(self) -> str | None:
        """Say what is waited for, and for how long; None where nothing is, or not for long."""
        wait = self._wait()
        if not self._asked_again:
            return wait
        number = self._asked_again
        again = f"asking again for {number} segment{' that lacks' if number == 1 else 's that lack'} words"
        return again if wait is None else f"{again}; {wait}"

    def _wait(self) -> str | None:
        now, since, failure = self.clock(), self._failing_since, self._failure
        if since is not None:
            left = self._opens_at - now
            if isinstance(failure, RateLimitedError) and left >= 1:
                return f"waiting: the API takes no calls for another {left:.0f} s (too many requests)"
            if now - since >= _LEAST_S:
                return _failing(failure, f"{now - since:.0f} s")
        under_way = [*self._under_way.values()]
        calls = [each for each in under_way if each[0] != _LISTENING] or under_way
        words, begun = min(calls, key=lambda each: each[1], default=("", now))
        return None if now - begun < _LEAST_S else f"{words} {now - begun:.0f} s"


def _failing(failure: CallError | None, how_long: str) -> str:
    if isinstance(failure, RateLimitedError):
        return f"waiting: the API has refused calls for {how_long} (too many requests)"
    if isinstance(failure, UnreachableError):
        return f"waiting: there has been no connection to the API for {how_long}; trying again"
    return f"waiting: calls to the API have failed for {how_long}; trying again"
