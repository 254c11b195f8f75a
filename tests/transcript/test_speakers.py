from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.speakers import (
    Clip,
    LineError,
    Turn,
    are_known_throughout,
    assign,
    choose_clips,
    key_of,
    name_speakers,
    parse_rttm,
)
from stenoflow.tasks.transcript.types import Timing, Transcript, Utterance, Word


def transcript(*utterances: Utterance) -> Transcript:
    return Transcript(60_000, "en", utterances, (), Timing.WORD)


def utterance(*words: tuple[int, int]) -> Utterance:
    said = tuple(Word(f"w{start_ms}", start_ms, end_ms) for start_ms, end_ms in words)
    return Utterance(
        " ".join(word.text for word in said), said[0].start_ms, said[-1].end_ms, said, avg_logprob=-0.5
    )


def who(assigned: Transcript) -> list[tuple[str | None, str]]:
    return [(each.speaker, each.text) for each in assigned.utterances]


def test_utterances_are_split_where_the_speaker_changes() -> None:
    said = utterance((0, 400), (500, 900), (1_000, 1_400))
    assigned = assign(transcript(said), [Turn(0, 950, "A"), Turn(950, 2_000, "B")])
    assert who(assigned) == [("A", "w0 w500"), ("B", "w1000")]
    assert {each.avg_logprob for each in assigned.utterances} == {-0.5}


def test_a_word_goes_to_the_turn_that_it_shares_most_with() -> None:
    assert who(assign(transcript(utterance((0, 1_000))), [Turn(0, 400, "A"), Turn(400, 1_000, "B")])) == [
        ("B", "w0")
    ]


def test_a_word_outside_all_turns_goes_to_the_nearest_within_half_a_second() -> None:
    turns = [Turn(0, 1_000, "A"), Turn(3_000, 4_000, "B")]
    for start_ms, speaker in [(1_499, "A"), (1_500, None), (2_300, None), (2_301, "B")]:
        assert who(assign(transcript(utterance((start_ms, start_ms + 200))), turns))[0][0] == speaker


def test_whoever_speaks_goes_on_where_another_speaks_too() -> None:
    said = utterance((0, 400), (1_000, 1_400), (2_000, 2_400))
    turns = [Turn(500, 2_600, "B"), Turn(0, 3_000, "A")]
    assert who(assign(transcript(said), turns)) == [("A", "w0 w1000 w2000")]


def test_what_is_missing_is_nobodys() -> None:
    mark = Utterance("[missing 00:00:01-00:00:02]", 1_000, 2_000)
    assert who(assign(transcript(mark), [Turn(0, 5_000, "A")])) == [(None, mark.text)]


_TIMES = st.tuples(st.integers(0, 20_000), st.integers(0, 3_000)).map(lambda pair: (pair[0], sum(pair)))


@given(
    st.lists(st.lists(_TIMES, min_size=1, max_size=4), max_size=6),
    st.lists(st.tuples(_TIMES, st.sampled_from("ABC")), max_size=12),
)
def test_no_word_is_lost_and_each_has_the_speaker_of_its_largest_overlap(
    spoken: list[list[tuple[int, int]]], given_turns: list[tuple[tuple[int, int], str]]
) -> None:
    before = transcript(*(utterance(*words) for words in spoken))
    turns = [Turn(start, end, name) for (start, end), name in given_turns if end > start]
    after = assign(before, turns)
    words = [word for each in before.utterances for word in each.words]
    assert [word for each in after.utterances for word in each.words] == words
    for each in after.utterances:
        for word in each.words:
            shared = [
                (
                    min(max(word.end_ms, word.start_ms + 1), turn.end_ms) - max(word.start_ms, turn.start_ms),
                    turn,
                )
                for turn in turns
            ]
            best = max((share for share, _ in shared), default=-500)
            if best <= -500:
                assert each.speaker is None
            else:
                assert each.speaker in {turn.speaker for share, turn in shared if share == best}


_LINE = "SPEAKER talk 1 {} {} <NA> <NA> {} <NA> <NA>"


def test_turns_are_read_by_recording_and_the_rest_is_passed_over() -> None:
    text = (
        "\n;; made by hand\nSPKR-INFO talk 1 <NA> <NA> <NA> unknown ann <NA> <NA>\n"
        "SPEAKER talk 1 0.5 1.25 <NA> <NA> ann <NA> <NA>\r\n"
        "SPEAKER other 1 1e1 2 <NA> <NA> ben 0.9\n"
        "SPEAKER talk 1 3 0 <NA> <NA> ben <NA> <NA>\n"
    )
    rttm = parse_rttm(text)
    assert rttm.of("talk") == (Turn(500, 1_750, "ann"),)
    assert rttm.of("other") == (Turn(10_000, 12_000, "ben"),)
    assert rttm.of("third") is None


def test_turns_of_one_recording_are_those_of_the_only_one_there_is() -> None:
    rttm = parse_rttm(_LINE.format(0, 1, "a"))
    assert rttm.of("call") == (Turn(0, 1_000, "a"),)
    assert rttm.of("call", alone=False) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("TURN talk 1 0 1 <NA> <NA> a <NA> <NA>", "'TURN' is no type of line"),
        ("SPEAKER talk 1 0 1", "it has 5 fields"),
        (_LINE.format("-1", 1, "a"), "its start, '-1', is no number"),
        (_LINE.format("nan", 1, "a"), "its start, 'nan', is no number"),
        (_LINE.format(0, "inf", "a"), "its duration, 'inf', is no number"),
        (_LINE.format(0, "1,5", "a"), "its duration, '1,5', is no number"),
        (_LINE.format(0, 1, "<NA>"), "'<NA>' names no speaker"),
        (_LINE.format(0, 1, "a" * 101), "names no speaker"),
    ],
)
def test_a_line_that_is_no_turn_is_named_by_its_number(line: str, why: str) -> None:
    with pytest.raises(LineError, match=f"^line 2: .*{why[:30]}"):
        parse_rttm(f"{_LINE.format(0, 1, 'a')}\n{line}\n")


@pytest.mark.parametrize("text", ["", ";; nothing\n", _LINE.format(1, 0, "a")])
def test_a_file_without_a_turn_is_none(text: str) -> None:
    with pytest.raises(LineError, match="no turn"):
        parse_rttm(text)


@given(st.text())
def test_whatever_a_file_holds_it_is_read_or_refused(text: str) -> None:
    try:
        parse_rttm(text)
    except LineError:
        return


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


@pytest.mark.parametrize("label", [f"s{'9' * 5_000}-A", f"s{'9' * 10}-A", "s٣-A", "s-A"])
def test_a_label_that_looks_like_a_key_of_ours_is_a_label(label: str) -> None:
    key = key_of(2, label)
    assert len(key) <= 50
    assert set(name_speakers([key, "s0-A"], [])) == {key, "s0-A"}
