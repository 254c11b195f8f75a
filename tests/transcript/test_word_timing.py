from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.cue_rules import NETFLIX, columns
from stenoflow.tasks.transcript.cues import make_cues
from stenoflow.tasks.transcript.text import split_words
from stenoflow.tasks.transcript.types import Region, Timing, Utterance, Word
from stenoflow.tasks.transcript.word_timing import (
    TimedTranscript,
    UntimedTranscript,
    align,
    spread,
    time_words,
)

_spoken = st.sampled_from(["yes", "no", "seven", "mid", "july", "five", "dollars", "the"])
_written = st.sampled_from(["Yes,", "no.", "seven", "mid-July,", "$5", "The", "ß"])


def _timed(texts: list[str]) -> list[Word]:
    return [Word(text, index * 500, index * 500 + 400) for index, text in enumerate(texts)]


@given(st.lists(_written, max_size=30), st.lists(_spoken, max_size=30))
def test_every_written_word_stands_once_in_order_inside_the_bounds(
    written: list[str], spoken: list[str]
) -> None:
    bounds = Region(0, 20_000)
    words = align(written, _timed(spoken), bounds)
    assert [word.text for word in words] == written
    assert all(bounds.start_ms <= word.start_ms <= word.end_ms <= bounds.end_ms for word in words)
    assert all(one.start_ms <= following.start_ms for one, following in pairwise(words))


def test_words_that_differ_in_marks_only_keep_their_exact_times() -> None:
    timed = _timed(["the", "seven", "yes"])
    words = align(["The", "seven:", "Yes!"], timed, Region(0, 2_000))
    assert [(word.start_ms, word.end_ms) for word in words] == [(0, 400), (500, 900), (1_000, 1_400)]


def test_one_written_word_for_two_spoken_takes_the_time_of_both() -> None:
    words = align(["in", "mid-July,", "yes"], _timed(["in", "mid", "july", "yes"]), Region(0, 2_000))
    assert words[1] == Word("mid-July,", 500, 1_400)
    assert words[2] == Word("yes", 1_500, 1_900)


def test_words_without_a_counterpart_share_the_time_between_their_neighbours() -> None:
    words = align(["yes", "and", "no"], [Word("yes", 0, 400), Word("no", 1_000, 1_300)], Region(0, 2_000))
    assert words[1] == Word("and", 400, 1_000)


@given(
    st.lists(_written, min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 900)), min_size=1, max_size=8),
)
def test_spread_words_lie_in_regions_and_in_order(written: list[str], shapes: list[tuple[int, int]]) -> None:
    regions, position = [], 0
    for gap, length in shapes:
        regions.append(Region(position + gap, position + gap + length))
        position += gap + length
    words = spread(written, regions)
    assert [word.text for word in words] == written
    assert all(one.start_ms <= following.start_ms for one, following in pairwise(words))
    for word in words:
        assert any(r.start_ms <= word.start_ms <= word.end_ms <= r.end_ms for r in regions)


def test_marks_that_one_side_has_as_words_of_their_own_move_no_time() -> None:
    text = "今日は会議を始めます。新しい話をしましょう。予算はまだ決まっていません。" * 3
    timed = _timed(list(text))
    # Cut as segments come: some begin with the mark that ends the sentence before.
    written = [word for first in range(0, len(text), 10) for word in split_words(text[first : first + 10])]
    assert any(word == "。" for word in written)
    place = 0
    for word in align(written, timed, Region(0, 500 * len(text))):
        assert abs(word.start_ms - 500 * place) <= 500
        place += len(word.text)


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


_THAI = "วันนี้เราจะมาคุยกันเรื่องอากาศ ซึ่งร้อนมากในช่วงนี้ และทุกคนควรดื่มน้ำให้เพียงพอ"


def test_words_of_a_script_without_spaces_keep_the_times_of_the_model() -> None:
    said = ["วันนี้", "เรา", "จะ", "มา", "คุย", "กัน", "เรื่อง", "อากาศ", "ซึ่ง", "ร้อน", "มาก", "ใน", "ช่วง", "นี้"]
    said += ["และ", "ทุก", "คน", "ควร", "ดื่ม", "น้ำ", "ให้", "เพียงพอ"]
    words = tuple(Word(text, 500 * at, 500 * at + 400) for at, text in enumerate(said))
    timed = time_words(UntimedTranscript(_THAI, (), words), 12_000, [])
    found = [word for utterance in timed.utterances for word in utterance.words]
    assert timed.timing is Timing.WORD
    assert len(found) >= len(said)
    assert "".join(word.text for word in found) == _THAI
    starts = {word.start_ms for word in found}
    assert sum(word.start_ms in starts for word in words) >= len(said) - 1


def test_lines_of_a_script_without_spaces_keep_their_width() -> None:
    timed = time_words(UntimedTranscript(_THAI * 5), 60_000, [])
    cues = make_cues(timed.utterances)
    assert max(columns(line) for cue in cues for line in cue.lines) <= NETFLIX.line_length
    assert "".join(line for cue in cues for line in cue.lines).replace(" ", "") == (_THAI * 5).replace(
        " ", ""
    )
