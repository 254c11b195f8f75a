from __future__ import annotations

import pytest

from stenoflow.tasks.transcript.speakers import Turn
from tests.speakers.diarization_error import diarization_error

_TRUTH = [Turn(0, 4_000, "ann"), Turn(5_000, 9_000, "bob"), Turn(8_000, 10_000, "ann")]


def test_the_truth_under_other_names_has_no_error() -> None:
    found = [Turn(each.start_ms, each.end_ms, {"ann": "B", "bob": "A"}[each.speaker]) for each in _TRUTH]
    score = diarization_error(_TRUTH, found, 10_000)
    assert (score.rate, score.speakers, score.found) == (0, 2, 2)


def test_each_kind_of_error_is_counted_over_the_time_of_the_reference() -> None:
    # A second of silence is given to ann, a second of hers is missed, and one is given to bob.
    found = [Turn(0, 5_000, "A"), Turn(5_000, 9_000, "B"), Turn(9_000, 10_000, "B")]
    score = diarization_error(_TRUTH, found, 10_000)
    assert score.missed == pytest.approx(1 / 10)
    assert score.false_alarm == pytest.approx(1 / 10)
    assert score.confused == pytest.approx(1 / 10)


def test_with_a_collar_the_ends_of_turns_are_not_scored() -> None:
    found = [Turn(200, 3_800, "A"), Turn(5_200, 8_800, "B"), Turn(8_200, 9_800, "A")]
    assert diarization_error(_TRUTH, found, 10_000).missed > 0.1
    assert diarization_error(_TRUTH, found, 10_000, collar_ms=250).rate == 0


def test_nobody_found_is_all_missed() -> None:
    score = diarization_error(_TRUTH, [], 10_000)
    assert (score.missed, score.rate, score.found) == (1, 1, 0)
