from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("meeteval")

from stenoflow.tasks.transcript.speakers import Turn
from tests.speakers.meeting import Meeting, Said
from tests.speakers.scoring import word_score

_TALK = Meeting(
    [
        Said(Turn(at, at + 1_000, who), text, np.zeros(16_000, np.int16))
        for at, who, text in ((0, "ann", "one two three"), (1_000, "bob", "four five"), (2_000, "ann", "six"))
    ],
    48_000,
)


def _heard(*said: tuple[str | None, str]) -> list[dict[str, object]]:
    return [{"word": word, "speaker": who} for who, text in said for word in text.split()]


def test_the_truth_under_other_names_has_no_error() -> None:
    score = word_score(_TALK, _heard(("X", "One two three."), ("Y", "four five"), ("X", "six")))
    assert (score.plain, score.by_speakers) == (0, 0)
    # The words of who says less are missing there, and too many of the other.
    assert score.by_one == pytest.approx(4 / 6)


def test_a_word_with_the_wrong_speaker_is_two_errors() -> None:
    score = word_score(_TALK, _heard(("X", "one two three"), ("Y", "four five six")))
    assert score.plain == 0
    assert score.by_speakers == pytest.approx(2 / 6)
