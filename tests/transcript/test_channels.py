from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.channels import ChannelTranscript, interleave
from stenoflow.tasks.transcript.coverage import cover
from stenoflow.tasks.transcript.crosstalk import LEVEL_MS, Levels
from stenoflow.tasks.transcript.types import Kind, Region, Timing, Transcript, Utterance, Word

_DURATION_MS = 60_000
# What is said in these tests ends before.
_CELLS = 40_000 // LEVEL_MS


def spoken(*words: tuple[str, int], length_ms: int = 200) -> Utterance:
    timed = tuple(Word(text, at_ms, at_ms + length_ms) for text, at_ms in words)
    return Utterance(" ".join(text for text, _ in words), timed[0].start_ms, timed[-1].end_ms, timed)


def track(
    number: int, *utterances: Utterance, level: int = -20, missing: tuple[Region, ...] = ()
) -> ChannelTranscript:
    speech = [Region(each.start_ms, each.end_ms) for each in utterances]
    transcript = Transcript(_DURATION_MS, "en", utterances, cover(_DURATION_MS, speech, missing), Timing.WORD)
    levels = Levels()
    levels.add(0, [level] * _CELLS)
    return ChannelTranscript(f"Channel {number}", transcript, levels)


def lines(transcript: Transcript) -> list[str]:
    return [f"{each.speaker}: {each.text}" if each.words else each.text for each in transcript.utterances]


def test_turns_are_laid_into_one_another() -> None:
    call = interleave(
        [
            track(1, spoken(("hello", 1_000)), spoken(("fine", 5_000))),
            track(2, spoken(("hi", 2_000), ("how", 2_300))),
        ]
    )
    assert lines(call) == ["Channel 1: hello", "Channel 2: hi how", "Channel 1: fine"]
    assert call.language == "en"


def test_one_who_is_interrupted_goes_on_after_that() -> None:
    long = spoken(*((f"w{number}", 1_000 + 500 * number) for number in range(6)))
    call = interleave([track(1, long), track(2, spoken(("yes", 2_100)))])
    assert lines(call) == ["Channel 1: w0 w1 w2", "Channel 2: yes", "Channel 1: w3 w4 w5"]


def test_who_is_heard_softer_is_an_echo_and_all_its_words_are_kept_once() -> None:
    loud = spoken(("good", 1_000), ("morning", 1_300))
    soft = spoken(("Good", 1_040), ("morning,", 1_380), ("yes", 3_000))
    for tracks in ([track(1, loud), track(2, soft, level=-40)], [track(2, soft, level=-40), track(1, loud)]):
        assert lines(interleave(tracks)) == ["Channel 1: good morning", "Channel 2: yes"]


def test_the_same_word_later_is_said_again() -> None:
    call = interleave([track(1, spoken(("yes", 1_000))), track(2, spoken(("yes", 1_301)), level=-60)])
    assert lines(call) == ["Channel 1: yes", "Channel 2: yes"]


def test_what_is_far_softer_than_both_voices_is_an_echo_that_was_misheard() -> None:
    """At first the other one speaks, then who has the microphone."""
    own, other = Levels(), Levels()
    own.add(0, [-50] * 100 + [-22] * 100)
    other.add(0, [-20] * 100)
    murmur = spoken(("mood", 1_000), ("mourning", 1_300), ("yes", 6_000))
    tracks = [track(1, spoken(("good", 1_000), ("morning", 1_300))), track(2, murmur)]
    heard = [replace(tracks[0], levels=other), replace(tracks[1], levels=own)]
    assert lines(interleave(heard)) == ["Channel 1: good morning", "Channel 2: yes"]
    # One who speaks as softly throughout is heard.
    own.stretches[0] = [-50] * 200
    assert lines(interleave(heard))[1:] == ["Channel 2: mood mourning yes"]


def test_one_microphone_on_two_channels_is_one_speaker() -> None:
    said = [spoken(("one", 1_000), ("two", 1_300)), spoken(("three", 5_000))]
    assert lines(interleave([track(1, *said), track(2, *said)])) == ["Channel 1: one two", "Channel 1: three"]


def test_what_is_missing_in_one_channel_is_missing() -> None:
    call = interleave(
        [track(1, spoken(("one", 1_000))), track(2, missing=(Region(20_000, 30_000),), level=-90)]
    )
    assert lines(call) == ["Channel 1: one", "[missing 00:00:20-00:00:30]"]
    assert [(each.start_ms, each.end_ms) for each in call.missing] == [(20_000, 30_000)]


# Of few different words, so that many are the same at once; with how long after the one before each begins.
_UTTERANCES = st.lists(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 900)), min_size=1, max_size=4), max_size=3
)
_CHANNELS = st.lists(st.tuples(_UTTERANCES, st.integers(-60, 0), st.booleans()), min_size=1, max_size=3)


def tracks(drawn: list[tuple[list[list[tuple[str, int]]], int, bool]]) -> list[ChannelTranscript]:
    """Make channels; words last for 400 ms, so that some run into the next."""
    made = []
    for number, (said, level, is_missing) in enumerate(drawn):
        at_ms, utterances = 0, []
        for words in said:
            starts = list(accumulate((gap for _, gap in words), initial=at_ms))[1:]
            timed = [(text, start) for (text, _), start in zip(words, starts, strict=True)]
            utterances.append(spoken(*timed, length_ms=400))
            at_ms = starts[-1]
        missing = (Region(3_000, 3_500 + 100 * number),) if is_missing else ()
        made.append(track(number, *utterances, level=level, missing=missing))
    return made


@given(_CHANNELS.map(tracks))
def test_of_each_word_one_is_kept_and_none_is_moved(channels: list[ChannelTranscript]) -> None:
    call = interleave(channels)
    kept = [(each.speaker, word) for each in call.utterances for word in each.words]
    said = [
        (channel.speaker, word)
        for channel in channels
        for each in channel.transcript.utterances
        for word in each.words
    ]
    assert not Counter(kept) - Counter(said)
    for speaker, word in said:
        near = [other for by, other in kept if abs(other.start_ms - word.start_ms) <= 300 * len(channels)]
        assert any(other.text == word.text for other in near), (speaker, word)
    assert all(before.end_ms == after.start_ms for before, after in pairwise(call.coverage))
    missing = {
        each for channel in channels for each in channel.transcript.coverage if each.kind is Kind.MISSING
    }
    assert sum(each.end_ms - each.start_ms for each in call.missing) == max(
        (each.end_ms - each.start_ms for each in missing), default=0
    )


@given(_CHANNELS.map(tracks))
def test_words_stand_near_their_time(channels: list[ChannelTranscript]) -> None:
    latest_ms = 0
    for utterance in interleave(channels).utterances:
        for word in utterance.words:
            # A word that began long before what was heard already would stand out of order.
            assert word.start_ms > latest_ms - 3_000
            latest_ms = max(latest_ms, word.start_ms)
