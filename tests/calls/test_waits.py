from __future__ import annotations

import pytest

from stenoflow.tasks.api.errors import CallError, RateLimitedError, UnknownOutcomeError, UnreachableError
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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UnreachableError("x"), "waiting: there has been no connection to the API for 6 s; trying again"),
        (UnknownOutcomeError("x"), "waiting: calls to the API have failed for 6 s; trying again"),
    ],
)
def test_failures_are_said_while_a_call_is_tried_again(clock: _Clock, error: CallError, said: str) -> None:
    waits = Waits(clock)
    with waits.trying():
        with pytest.raises(CallError), waits.sending():
            raise error
        clock.now += 3
        assert waits.reason() is None
        clock.now += 3
        assert waits.reason() == said
    assert waits.reason() is None


def test_what_is_asked_again_is_counted_and_told_from_other_waits(clock: _Clock) -> None:
    waits = Waits(clock)
    with waits.listening(), waits.asking_again():
        assert waits.reason() == "asking again for 1 segment that lacks words"
        with waits.asking_again(), waits.sending():
            clock.now += 6
            assert waits.reason() == (
                "asking again for 2 segments that lack words; "
                "waiting for the API: a call is without an answer for 6 s"
            )
    with waits.listening():
        clock.now += 5
        assert waits.reason() == "looking for gaps: an answer is being compared with the sound for 5 s"
    with waits.for_another_run(clock.now - 9):
        assert waits.reason() == "waiting for another run, which has asked for the same, for 9 s"
    assert waits.reason() is None
