from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.api.chat_models import ContextTooSmallError
from stenoflow.tasks.jobs.minutes.budget import MinutesTokenBudget, QuestionStep, plan

_ROOMS = st.builds(
    lambda read, notes: MinutesTokenBudget(read, min(notes, read // 2)),
    st.integers(20, 500),
    st.integers(5, 500),
)
_SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=300)


def test_a_short_meeting_is_one_question() -> None:
    assert plan([10] * 5, MinutesTokenBudget(50, 20)) == (QuestionStep(0, 0, 5),)


def test_a_long_one_is_divided_evenly_and_summed_up_step_by_step() -> None:
    assert plan([10] * 12, MinutesTokenBudget(40, 20)) == (
        QuestionStep(0, 0, 4),
        QuestionStep(1, 4, 8),
        QuestionStep(2, 8, 12),
        QuestionStep(3, 0, 8, (0, 1)),
        QuestionStep(4, 0, 12, (3, 2)),
    )


def test_nothing_takes_no_question() -> None:
    assert plan([], MinutesTokenBudget(50, 20)) == ()


@given(_SIZES, _ROOMS)
def test_every_line_is_read_once_and_every_answer_is_summed_up_once(
    sizes: list[int], room: MinutesTokenBudget
) -> None:
    steps = plan(sizes, room)
    assert [step.index for step in steps] == list(range(len(steps)))
    parts = [step for step in steps if not step.of]
    assert [line for part in parts for line in range(part.first, part.end)] == list(range(len(sizes)))
    used = sorted(index for step in steps for index in step.of)
    assert used == list(range(len(steps) - 1))
    assert (steps[-1].first, steps[-1].end) == (0, len(sizes))


@given(_SIZES, _ROOMS)
def test_no_question_is_larger_than_its_room(sizes: list[int], room: MinutesTokenBudget) -> None:
    for step in plan(sizes, room):
        if step.of:
            assert all(index < step.index for index in step.of)
            assert 2 <= len(step.of) <= max(2, room.read // room.notes)
            assert len(step.of) * room.notes <= room.read
        else:
            assert sum(sizes[step.first : step.end]) <= room.read or step.end - step.first == 1


@given(st.integers(1_024, 2_000_000), st.integers(256, 20_000), st.integers(200, 3_000))
def test_the_room_of_a_question_is_within_the_context(context: int, answer: int, around: int) -> None:
    try:
        room = MinutesTokenBudget.of(context, answer, around)
    except ContextTooSmallError:
        assert context - answer - around < 1_200
        return
    assert room.read + answer + around <= context
    assert 2 * room.notes <= room.read


def test_a_context_that_is_too_small_is_refused() -> None:
    with pytest.raises(ContextTooSmallError, match="2048 tokens"):
        MinutesTokenBudget.of(2048, 1024, 900)
