from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.holes import (
    Voice,
    are_too_few,
    fill,
    find_unvoiced,
    find_wordless,
    judge,
    part_at,
)
from stenoflow.tasks.transcript.types import Region, Utterance, Word
from stenoflow.tasks.transcript.word_timing import group

_SPEECH = [Region(0, 60_000)]


def _voice(regions: list[Region], *, clear: bool = True, levels: Sequence[float] = ()) -> Voice:
    return Voice(Region(0, 60_000), regions, regions if clear else (), levels)


def _words(start_ms: int, end_ms: int, every_ms: int = 400) -> list[Word]:
    return [Word(f"w{at}", at, at + 300) for at in range(start_ms, end_ms, every_ms)]


def test_speech_without_words_is_found_where_it_lasts_four_seconds() -> None:
    words = _words(0, 20_000) + _words(30_000, 60_000)
    assert find_wordless(words, _SPEECH, 60_000) == [Region(19_900, 30_000)]
    assert find_wordless(_words(0, 20_000) + _words(23_000, 60_000), _SPEECH, 60_000) == []


def test_silence_without_words_is_none() -> None:
    words = _words(0, 20_000) + _words(30_000, 60_000)
    assert find_wordless(words, [Region(0, 20_500), Region(29_500, 60_000)], 60_000) == []


def test_an_answer_that_stops_early_has_a_hole_to_the_end() -> None:
    assert find_wordless(_words(0, 9_000), _SPEECH, 60_000) == [Region(9_100, 60_000)]


def test_a_word_that_is_stretched_over_a_hole_does_not_cover_it() -> None:
    words = [*_words(0, 20_000), Word("long", 20_000, 33_000), *_words(33_000, 60_000)]
    assert find_wordless(words, _SPEECH, 60_000) == [Region(21_500, 33_000)]


def test_voice_in_a_wordless_stretch_is_a_hole() -> None:
    words = _words(0, 20_000) + _words(40_000, 60_000)
    voice = [Region(10_000, 19_800), Region(24_000, 27_000), Region(28_000, 34_000), Region(40_000, 50_000)]
    (hole,) = judge(Region(20_000, 40_000), _voice(voice), words)
    assert (hole.region, hole.sure) == (Region(24_000, 34_000), True)


@pytest.mark.parametrize(
    "voice", [[], [Region(24_000, 25_500)], [Region(24_000, 25_000), Region(30_000, 31_000)]]
)
def test_music_laughter_and_coughs_are_none(voice: list[Region]) -> None:
    words = _words(0, 20_000) + _words(40_000, 60_000)
    heard = [Region(10_000, 20_000), *voice, Region(40_000, 50_000)]
    assert judge(Region(20_000, 40_000), _voice(heard), words) == []


def test_a_detector_that_hears_none_of_the_words_beside_it_says_nothing_of_a_hole() -> None:
    words = _words(0, 20_000) + _words(40_000, 60_000)
    (hole,) = judge(Region(20_000, 40_000), _voice([]), words)
    assert (hole.region, hole.sure) == (Region(20_000, 40_000), False)


def test_few_words_tell_nothing_of_the_detector() -> None:
    assert judge(Region(2_000, 60_000), _voice([]), _words(0, 1_600)) == []


def test_a_hole_is_filled_with_the_words_of_another_answer_and_no_word_twice() -> None:
    said = _words(0, 60_000)
    first = group([word for word in said if not 20_000 <= word.start_ms < 30_000])
    filled = fill(first, group(said), Region(19_900, 30_000))
    assert [word for each in filled for word in each.words] == said


def test_no_utterance_lies_across_a_hole() -> None:
    words = (Word("a", 0, 300), Word("b", 400, 9_000), Word("c", 10_000, 10_300))
    before, after = part_at([Utterance("a b c", 0, 10_300, words)], Region(2_000, 9_900))
    assert (before.text, before.end_ms, after.text) == ("a b", 2_000, "c")


@given(st.lists(st.integers(0, 60_000), max_size=60), st.integers(0, 50_000), st.integers(4_000, 20_000))
def test_filling_keeps_all_words_and_their_order(starts: list[int], at_ms: int, length_ms: int) -> None:
    words = [Word(f"w{at}", at, at + 200) for at in sorted(starts)]
    filled = fill(group(words), (), Region(at_ms, at_ms + length_ms))
    assert [word.text for each in filled for word in each.words] == [word.text for word in words]


def test_nobody_who_speaks_for_a_minute_says_ten_words() -> None:
    assert are_too_few(["word"] * 10, 60_000)
    assert not are_too_few(["word"] * 60, 60_000)
    assert not are_too_few([], 5_000)
    assert are_too_few(list("这是一个例子"), 60_000)


def test_a_voice_that_the_detector_is_not_sure_of_is_laughter_or_song() -> None:
    words = _words(0, 20_000) + _words(40_000, 60_000)
    heard = [Region(10_000, 19_000), Region(22_000, 30_000)]
    assert judge(Region(20_000, 40_000), _voice(heard, clear=False), words) == []
    assert len(judge(Region(20_000, 40_000), _voice(heard), words)) == 1


def test_speech_after_laughter_is_a_hole_still() -> None:
    words = _words(0, 20_000) + _words(40_000, 60_000)
    heard = [Region(20_000, 40_000)]
    voice = Voice(Region(0, 60_000), heard, [Region(36_000, 39_000)])
    assert len(judge(Region(20_000, 40_000), voice, words)) == 1


def _levels(*, crowd: float, beside: float) -> list[float]:
    """Move by so many dB every 100 ms, from 20 to 40 s and beside."""
    return [-30.0 + (crowd if 2_000 <= at < 4_000 else beside) * (at // 10 % 2) for at in range(6_000)]


def test_many_voices_at_once_between_words_are_none() -> None:
    words = _words(0, 20_000) + _words(40_000, 60_000)
    wordless, heard = Region(20_000, 40_000), [Region(0, 60_000)]
    assert judge(wordless, _voice(heard, levels=_levels(crowd=6, beside=15)), words) == []
    # A single voice, and one in noise that is under the words beside it, too.
    assert len(judge(wordless, _voice(heard, levels=_levels(crowd=14, beside=15)), words)) == 1
    assert len(judge(wordless, _voice(heard, levels=_levels(crowd=6, beside=7)), words)) == 1


def test_where_no_voice_is_heard_for_long_nobody_speaks() -> None:
    voice = [Region(10_000, 20_000), Region(22_000, 24_000), Region(40_000, 50_000)]
    assert find_unvoiced(Voice(Region(10_000, 60_000), voice, voice), []) == [
        Region(24_300, 39_700),
        Region(50_300, 59_700),
    ]


def test_a_detector_that_is_deaf_to_the_words_does_not_say_where_nobody_speaks() -> None:
    assert find_unvoiced(_voice([]), _words(0, 20_000)) == []
