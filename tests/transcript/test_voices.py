from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.speakers import (
    Clip,
    are_known_throughout,
    choose_clips,
    key_of,
    name_speakers,
)
from stenoflow.tasks.transcript.types import Utterance


def said(speaker: str, start_ms: int, end_ms: int) -> Utterance:
    return Utterance("words", start_ms, end_ms, speaker=speaker)


def test_a_clip_is_the_middle_of_the_longest_that_somebody_says() -> None:
    utterances = [
        said("A", 0, 3_000),
        said("B", 3_000, 4_000),
        said("A", 5_000, 15_000),
        said("B", 20_000, 22_100),
        said("C", 30_000, 32_000),
        said("s0-A", 40_000, 50_000),
    ]
    assert choose_clips(1, utterances) == [Clip("s1-A", 7_500, 12_500), Clip("s1-B", 20_000, 22_100)]


def test_a_speaker_who_was_recognised_keeps_the_key() -> None:
    assert key_of(3, "A") == "s3-A"
    assert key_of(3, "s0-A") == "s0-A"


def test_who_was_carried_along_has_a_letter_and_the_others_say_where() -> None:
    named = name_speakers(["s0-B", "s0-A", "s2-A", "s0-A", "s3-A", "s3-B"], ["s0-A", "s0-B"])
    assert named == {
        "s0-B": "A",
        "s0-A": "B",
        "s2-A": "C (segment 2)",
        "s3-A": "C (segment 3)",
        "s3-B": "D (segment 3)",
    }
    assert not are_known_throughout(named)


def test_in_one_segment_all_are_told_apart() -> None:
    named = name_speakers([f"s4-{number}" for number in range(28)], [])
    assert list(named.values())[-3:] == ["Z", "AA", "AB"]
    assert are_known_throughout(named)


_KEYS = st.builds(key_of, st.integers(0, 4), st.sampled_from("ABCDEF"))


@given(st.lists(_KEYS), st.sets(_KEYS))
def test_no_two_have_one_name(heard: list[str], known: set[str]) -> None:
    named = name_speakers(heard, known)
    assert set(named) == set(heard)
    assert len(set(named.values())) == len(named)


@given(
    st.integers(0, 9),
    st.lists(st.builds(said, st.text(max_size=4), st.integers(0, 9_999), st.integers(0, 99_999))),
)
def test_clips_are_of_the_length_that_is_taken_and_one_a_speaker(
    segment: int, utterances: list[Utterance]
) -> None:
    clips = choose_clips(segment, utterances)
    assert len({clip.key for clip in clips}) == len(clips)
    for clip in clips:
        assert 2_000 < clip.end_ms - clip.start_ms <= 5_000
        assert any(each.start_ms <= clip.start_ms and clip.end_ms <= each.end_ms for each in utterances)
