"""The one layer that retries calls to the API."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import stamina

from stenoflow.tasks.api.errors import CallError, DoubtfulError, RateLimitedError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FailureCounts:
    """What went wrong so far with one segment.

    Attributes:
        free: failures that cost nothing.
        doubtful: calls that may have been charged.
        rate_limits: refusals for calling too often; they do not count as attempts.
        told_s: how long those asked us to wait, in total.
    """

    free: int = 0
    doubtful: int = 0
    rate_limits: int = 0
    told_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again, and after how long; pure.

    Attributes:
        free_attempts: calls in all, where they fail without cost.
        doubtful_attempts: calls in all that may have been charged.
        timeout_s: the longest time in total to spend waiting because of rate limits.
        first_wait_s: the first wait where the API names none; each further one is twice as long.
        longest_wait_s: the longest of those.
    """

    free_attempts: int = 5
    doubtful_attempts: int = 2
    timeout_s: float = 900.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0

    def after(
        self, error: CallError, failures: FailureCounts, jitter: float
    ) -> tuple[FailureCounts, float | None]:
        """Decide what follows a failure.

        Args:
            error: the failure.
            failures: those before it.
            jitter: 0 to 1; spreads the waits of calls that failed together.

        Returns:
            The failures with this one, and the seconds to wait; None: give up.
        """
        if error.scope != "retry":
            return failures, None
        if isinstance(error, RateLimitedError):
            return self._after_rate_limit(error, failures, jitter)
        if isinstance(error, DoubtfulError):
            failures = replace(failures, doubtful=failures.doubtful + 1)
            left = failures.doubtful < self.doubtful_attempts
        else:
            failures = replace(failures, free=failures.free + 1)
            left = failures.free < self.free_attempts
        told = min(error.retry_after_s or 0.0, self.longest_wait_s)
        wait_s = max(told, self._backoff_s(failures.free + failures.doubtful, jitter))
        return failures, wait_s if left else None

    def _after_rate_limit(
        self, error: CallError, failures: FailureCounts, jitter: float
    ) -> tuple[FailureCounts, float | None]:
        times = failures.rate_limits + 1
        # A server that says 0 and refuses again is not asked in a tight loop.
        again = error.retry_after_s is None or times > 2
        wait_s = max(error.retry_after_s or 0.0, self._backoff_s(times, jitter) if again else 0.0)
        failures = replace(failures, rate_limits=times, told_s=failures.told_s + wait_s)
        return failures, wait_s if failures.told_s <= self.timeout_s else None

    def _backoff_s(self, times: int, jitter: float) -> float:
        wait_s = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(times - 1, 30))
        return wait_s * (0.5 + jitter / 2)


async def with_retries(
    call: Callable[[int], Awaitable[T]],
    *,
    policy: RetryPolicy | None = None,
    jitter: Callable[[], float] = random.random,
) -> T:
    """Call until there is a result or the policy gives up.

    Args:
        call: one attempt from reservation to record; gets 1, 2, 3, ... Waits between attempts lie
            outside it.
        policy: the default one where None.
        jitter: gives numbers from 0 to 1.

    Raises:
        CallError: the last one, where the policy gave up. Other exceptions pass at once.
    """
    decide = _Decision(policy or RetryPolicy(), jitter)
    # Both bounds are the policy's: an attempt may wait long at the limiter, which must not count.
    async for attempt in stamina.retry_context(on=decide, attempts=None, timeout=None):
        with attempt:
            return await call(attempt.num)
    raise AssertionError("stamina ended without a result or an error")


class _Decision:
    """The policy in stamina's form: False, or the seconds to wait."""

    def __init__(self, policy: RetryPolicy, jitter: Callable[[], float]) -> None:
        self._policy = policy
        self._jitter = jitter
        self._failures = FailureCounts()

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, CallError):
            return False
        self._failures, wait_s = self._policy.after(error, self._failures, self._jitter())
        return False if wait_s is None else wait_s


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait in seconds, or None where nothing sensible is said.

    Args:
        headers: by lower-case name; ``retry-after-ms`` goes before ``retry-after``, which holds
            seconds or an HTTP date.
        now: with its timezone; what a date is measured from.
    """
    in_ms = _number(headers.get("retry-after-ms"))
    if in_ms is not None:
        return in_ms / 1_000
    told = headers.get("retry-after")
    seconds = _number(told)
    return seconds if seconds is not None else _until(told, now)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(text: str | None, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())
