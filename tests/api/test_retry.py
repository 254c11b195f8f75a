from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.api.errors import (
    BadAnswerError,
    CallError,
    KeyRefusedError,
    RateLimitedError,
    SegmentRefusedError,
    UnknownOutcomeError,
    UnreachableError,
    UploadCutError,
)
from stenoflow.tasks.api.retry import FailureCounts, RetryPolicy, retry_after_s, with_retries


@pytest.fixture
def no_waits() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=1_000):
        yield


class Scripted:
    """Fails as scripted, then succeeds; remembers its attempts."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        self.failures = list(failures)
        self.attempts: list[int] = []

    async def __call__(self, attempt: int) -> str:
        self.attempts.append(attempt)
        if self.failures:
            raise self.failures.pop(0)
        return "heard"


def waits_for(failures: Sequence[CallError], policy: RetryPolicy, jitter: float = 1.0) -> list[float | None]:
    tally, waits = FailureCounts(), []
    for failure in failures:
        tally, wait_s = policy.after(failure, tally, jitter)
        waits.append(wait_s)
    return waits


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize(
    ("failures", "calls"),
    [
        ([], 1),
        ([UnreachableError("x")] * 4, 5),
        ([UploadCutError("x"), UnreachableError("x")], 3),
        ([UnknownOutcomeError("x")], 2),
        ([BadAnswerError("x")], 2),
        ([RateLimitedError("x", "", 429, 0.0)] * 20, 21),
        ([RateLimitedError("x")] * 5 + [UnknownOutcomeError("x")], 7),
        ([UnreachableError("x")] * 4 + [UnknownOutcomeError("x")], 6),
    ],
    ids=str,
)
async def test_what_passes_is_tried_again(failures: list[Exception], calls: int) -> None:
    call = Scripted(failures)

    assert await with_retries(call) == "heard"
    assert call.attempts == list(range(1, calls + 1))


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize(
    ("failures", "calls"),
    [
        ([UnreachableError("x")] * 5, 5),
        ([UnknownOutcomeError("x"), BadAnswerError("x")], 2),
        ([UnknownOutcomeError("x"), UnreachableError("x"), UnknownOutcomeError("x")], 3),
        ([KeyRefusedError("x")], 1),
        ([SegmentRefusedError("x")], 1),
        ([RateLimitedError("x", "", 429, 86_400.0)], 1),
        ([RateLimitedError("x", "", 429, 400.0)] * 3, 3),
        ([ValueError("ours")], 1),
    ],
    ids=str,
)
async def test_what_does_not_pass_is_given_up_with_the_last_error(
    failures: list[Exception], calls: int
) -> None:
    call = Scripted(failures)

    with pytest.raises(type(failures[-1])) as caught:
        await with_retries(call)

    assert caught.value is failures[-1]
    assert len(call.attempts) == calls


async def test_the_api_is_given_the_time_that_it_asks_for() -> None:
    call = Scripted([RateLimitedError("x", "", 429, 0.2)])
    loop = asyncio.get_running_loop()
    start = loop.time()

    await with_retries(call)

    assert loop.time() - start >= 0.2


def test_waits_grow_where_the_api_names_none() -> None:
    policy = RetryPolicy(free_attempts=9, first_wait_s=1, longest_wait_s=10)

    assert waits_for([UnreachableError("x")] * 6, policy) == [1, 2, 4, 8, 10, 10]
    assert waits_for([UnreachableError("x")] * 3, policy, jitter=0.0) == [0.5, 1, 2]
    assert waits_for([RateLimitedError("x")] * 4, policy) == [1, 2, 4, 8]


def test_a_server_that_says_zero_is_not_asked_in_a_tight_loop() -> None:
    at_once = RateLimitedError("x", "", 429, 0.0)

    assert waits_for([at_once] * 5, RetryPolicy()) == [0, 0, 4, 8, 16]


def test_a_503_with_retry_after_is_waited_for_within_reason() -> None:
    assert waits_for([UnknownOutcomeError("x", "", 503, 7.0)], RetryPolicy()) == [7]
    assert waits_for([UnknownOutcomeError("x", "", 503, 9_999.0)], RetryPolicy()) == [60]


kinds = st.sampled_from(
    [UnreachableError, UploadCutError, RateLimitedError, UnknownOutcomeError, BadAnswerError]
)
failure = st.builds(
    lambda kind, wait_s: kind("x", "", None, wait_s), kinds, st.none() | st.floats(0, 1e6, allow_nan=False)
)


@given(st.lists(failure, max_size=200), st.floats(0, 1))
def test_bounds_hold_for_any_run_of_failures(failures: list[CallError], jitter: float) -> None:
    policy = RetryPolicy()
    tally, waited_s, seen = FailureCounts(), 0.0, []
    for error in failures:
        tally, wait_s = policy.after(error, tally, jitter)
        seen.append(error)
        if wait_s is None:
            break
        assert wait_s >= 0
        waited_s += wait_s if isinstance(error, RateLimitedError) else 0
    assert sum(error.charged == "possible" for error in seen) <= policy.doubtful_attempts
    assert waited_s <= policy.timeout_s


NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "nonsense", "retry-after": "9"}, 9.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Tue, 24 Nov 2026 13:00:30 +0100"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 -0000"}, 30.0),
    ],
)
def test_each_form_of_retry_after(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_s(headers, NOW) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "Tue, 99 Nov", "1e999", "12:00"])
def test_nonsense_is_ignored(text: str) -> None:
    assert retry_after_s({"retry-after": text, "retry-after-ms": text}, NOW) is None


def test_no_header_says_nothing() -> None:
    assert retry_after_s({}, NOW) is None


@given(st.integers(0, 10**7))
def test_a_date_means_the_time_until_then(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    assert retry_after_s({"retry-after": date}, NOW) == seconds


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    told = retry_after_s({"retry-after": text}, NOW)

    assert told is None or told >= 0
