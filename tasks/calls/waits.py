"""Waits: what the calls of a run wait for, so that whoever looks at a terminal is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stenoflow.tasks.api.errors import RateLimitedError

# A shorter wait needs no explanation.
_LEAST_S = 5.0


@dataclass(slots=True)
class Waits:
    """Since when calls are in flight or refused; belongs to one event loop, and may be read anywhere.

    Attributes:
        clock: monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _sent_at: dict[int, float] = field(default_factory=dict)
    # Of these, which the embedded engine answers.
    _here: set[int] = field(default_factory=set)
    _refused_since: float | None = None
    _opens_at: float = 0.0

    @contextmanager
    def sending(self, *, here: bool = False) -> Iterator[None]:
        """Count a call as in flight, and learn from how it ends; ``here``: the embedded engine answers it."""
        number = max(self._sent_at, default=0) + 1
        self._sent_at[number] = self.clock()
        if here:
            self._here.add(number)
        try:
            yield
        except RateLimitedError as error:
            now = self.clock()
            self._refused_since = now if self._refused_since is None else self._refused_since
            self._opens_at = now + (error.retry_after_s or 0.0)
            raise
        else:
            self._refused_since = None
        finally:
            del self._sent_at[number]
            self._here.discard(number)

    def reason(self) -> str | None:
        """Say what is waited for, and for how long; None where nothing is, or not for long."""
        now, since, sent = self.clock(), self._refused_since, dict(self._sent_at)
        if since is not None:
            left = self._opens_at - now
            if left >= 1:
                return f"waiting: the API takes no calls for another {left:.0f} s (too many requests)"
            if now - since >= _LEAST_S:
                return f"waiting: the API has refused calls for {now - since:.0f} s (too many requests)"
        longest = min(sent, key=lambda number: sent[number], default=None)
        if longest is None or (silent := now - sent[longest]) < _LEAST_S:
            return None
        if longest in self._here:
            return f"the embedded engine has been at work on a call for {silent:.0f} s"
        return f"waiting for the API: a call is without an answer for {silent:.0f} s"
