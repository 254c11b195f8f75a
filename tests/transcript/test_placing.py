from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.text import split_words
from stenoflow.tasks.transcript.types import Region, Timing, Utterance, Word
from stenoflow.tasks.transcript.word_timing import TimedTranscript, UntimedTranscript, time_words

_word = st.sampled_from(["one", "Two,", "three.", "four?", "5", "six;"])
_times = st.integers(-500, 61_000)


def _said(placed: TimedTranscript) -> list[str]:
    return [word.text for utterance in placed.utterances for word in utterance.words]


@st.composite
def _heard(draw: st.DrawFn) -> UntimedTranscript:
    texts = draw(st.lists(st.lists(_word, min_size=1, max_size=8), min_size=1, max_size=6))
    text = " ".join(word for words in texts for word in words)
    starts = sorted(draw(st.lists(_times, min_size=len(texts), max_size=len(texts))))
    utterances = tuple(
        Utterance(" ".join(words), start, start + 900) for words, start in zip(texts, starts, strict=True)
    )
    spoken = split_words(text)
    word_starts = sorted(draw(st.lists(_times, min_size=len(spoken), max_size=len(spoken))))
    words = tuple(Word(w.strip(",.?;"), s, s + 200) for w, s in zip(spoken, word_starts, strict=True))
    shape = draw(st.sampled_from(["text", "utterances", "words", "both"]))
    return UntimedTranscript(
        text,
        utterances if shape in {"utterances", "both"} else (),
        words if shape in {"words", "both"} else (),
    )


@given(_heard())
def test_every_word_of_the_text_stands_once_in_order_inside_the_segment(heard: UntimedTranscript) -> None:
    placed = time_words(heard, 60_000, [Region(1_000, 20_000), Region(30_000, 59_000)])
    assert _said(placed) == split_words(heard.text)
    words = [word for utterance in placed.utterances for word in utterance.words]
    assert all(0 <= word.start_ms <= word.end_ms <= 60_000 for word in words)
    assert all(one.start_ms <= following.start_ms for one, following in pairwise(words))
    for utterance in placed.utterances:
        assert split_words(utterance.text) == [word.text for word in utterance.words]


def test_timed_words_keep_their_times_and_get_the_texts_marks() -> None:
    heard = UntimedTranscript(
        "Hello, you. Bye!",
        (Utterance(" Hello, you.", 0, 1_500), Utterance(" Bye!", 1_500, 3_000)),
        (Word("hello", 100, 400), Word("you", 500, 700), Word("bye", 2_000, 2_300)),
    )
    placed = time_words(heard, 3_000, [])
    assert placed.timing is Timing.WORD
    assert [(u.text, u.start_ms, u.end_ms) for u in placed.utterances] == [
        ("Hello, you.", 100, 700),
        ("Bye!", 2_000, 2_300),
    ]


def test_without_any_times_words_lie_where_speech_was_heard_and_say_that_it_is_an_estimate() -> None:
    placed = time_words(
        UntimedTranscript("one two three four"), 60_000, [Region(10_000, 12_000), Region(40_000, 42_000)]
    )
    assert placed.timing is Timing.ESTIMATED
    starts = [word.start_ms for utterance in placed.utterances for word in utterance.words]
    assert all(10_000 <= start < 12_000 for start in starts[:2])
    assert all(40_000 <= start < 42_000 for start in starts[2:])
    assert len(placed.utterances) == 2


def test_nothing_said_is_nothing() -> None:
    assert time_words(UntimedTranscript("  "), 1_000, []).utterances == ()
