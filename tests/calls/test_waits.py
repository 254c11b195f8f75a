from __future__ import annotations

import pytest

from stenoflow.tasks.api.errors import RateLimitedError
from stenoflow.tasks.calls.waits import Waits


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def _refuse(waits: Waits, retry_after_s: float | None) -> None:
    error = RateLimitedError("slow down")
    error.retry_after_s = retry_after_s
    with pytest.raises(RateLimitedError), waits.sending():
        raise error


def test_a_call_without_an_answer_is_said_with_its_time(clock: _Clock) -> None:
    waits = Waits(clock)
    with waits.sending():
        clock.now += 4
        assert waits.reason() is None
        with waits.sending():
            clock.now += 8
        assert waits.reason() == "waiting for the API: a call is without an answer for 12 s"
    assert waits.reason() is None


def test_refusals_are_said_until_a_call_is_answered(clock: _Clock) -> None:
    waits = Waits(clock)
    _refuse(waits, 30)
    clock.now += 2
    assert waits.reason() == "waiting: the API takes no calls for another 28 s (too many requests)"
    clock.now += 30
    _refuse(waits, None)
    assert waits.reason() == "waiting: the API has refused calls for 32 s (too many requests)"
    with waits.sending():
        pass
    assert waits.reason() is None


def test_what_is_computed_here_is_no_wait_for_an_api(clock: _Clock) -> None:
    waits = Waits(clock)
    with waits.sending(here=True):
        assert waits.reason() is None
        clock.now += 7
        assert waits.reason() == "the embedded engine has been at work on a call for 7 s"
    with waits.sending():
        clock.now += 7
        assert (waits.reason() or "").startswith("waiting for the API")
