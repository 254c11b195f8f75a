from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.speakers import Turn, assign
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
