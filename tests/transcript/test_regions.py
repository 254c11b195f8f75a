from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.regions import (
    Excerpt,
    LevelHistogram,
    Loudness,
    find_regions,
    stretches_to_send,
)
from stenoflow.tasks.transcript.types import Region, Word

_levels = st.lists(st.floats(-100, 0), max_size=2_000)


@given(_levels)
def test_regions_are_in_order_apart_and_inside(levels: list[float]) -> None:
    regions = find_regions(levels)
    for region in regions:
        assert 0 <= region.start_ms < region.end_ms <= len(levels) * 10
    for one, following in pairwise(regions):
        assert following.start_ms - one.end_ms >= 300


def test_speech_is_found_and_silence_left_out() -> None:
    levels = [-65.0] * 300 + [-20.0] * 200 + [-65.0] * 400 + [-25.0] * 100 + [-65.0] * 100
    assert find_regions(levels) == [Region(2_900, 5_100), Region(8_900, 10_100)]


def test_silence_has_no_speech() -> None:
    assert find_regions([]) == []
    assert find_regions([-100.0] * 500) == []
    assert find_regions([-78.0] * 500) == []


def test_a_few_words_in_a_long_quiet_are_not_lost() -> None:
    levels = [-80.0] * 30_000
    levels[12_000:12_040] = [-30.0] * 40
    assert find_regions(levels) == [Region(119_900, 120_500)]


def test_sound_without_pauses_is_all_speech() -> None:
    assert find_regions([-20.0, -21.0] * 500) == [Region(0, 10_000)]


def _listened(levels: list[float]) -> Loudness:
    listened = LevelHistogram()
    listened.add(levels)
    return listened.loudness()


def _to_send(levels: list[float], before: list[float] | None = None) -> list[Region]:
    return stretches_to_send(levels, _listened([*(before or []), *levels]))


def _speech(frames: int, top_db: float = -20.0, seed: int = 1, room_db: float = -62.0) -> list[float]:
    """Syllables of 0.1 s with dips of 12 dB, now and then a pause of 0.4 s."""
    random_ = random.Random(seed)
    levels: list[float] = []
    while len(levels) < frames:
        levels += [top_db + random_.uniform(-2, 2)] * 10 + [top_db - 12 + random_.uniform(-2, 2)] * 5
        if random_.random() < 0.1:
            levels += _room(40, room_db)
    return levels[:frames]


def _room(frames: int, floor_db: float = -62.0, seed: int = 2) -> list[float]:
    random_ = random.Random(seed)
    return [floor_db + random_.uniform(-1.5, 1.5) for _ in range(frames)]


@given(st.lists(st.floats(-100, 0), max_size=3_000), st.lists(st.floats(-100, 0), max_size=500))
def test_stretches_are_in_order_apart_and_inside(levels: list[float], before: list[float]) -> None:
    stretches = _to_send(levels, before)
    for stretch in stretches:
        assert 0 <= stretch.start_ms < stretch.end_ms <= len(levels) * 10
    for one, following in pairwise(stretches):
        assert one.end_ms < following.start_ms


def test_a_long_pause_is_left_out_but_for_half_a_second_on_either_side() -> None:
    levels = [*_speech(2_000), *_room(1_000), *_speech(2_000)]
    assert _to_send(levels) == [Region(0, 20_500), Region(29_500, 50_000)]


def test_a_pause_as_speech_has_them_is_sent() -> None:
    levels = [*_speech(2_000), *_room(290), *_speech(2_000)]
    assert _to_send(levels) == [Region(0, 42_900)]


def test_silence_at_the_edges_and_throughout_is_left_out() -> None:
    assert _to_send([*_room(1_000), *_speech(1_000), *_room(1_000)]) == [Region(9_500, 20_500)]
    assert _to_send([-100.0] * 60_000) == []
    assert _to_send([]) == []


def test_an_idle_room_is_known_from_what_was_heard_before() -> None:
    idle = _room(60_000, floor_db=-48)
    assert _to_send(idle) == [Region(0, 600_000)], "it might be all there is"
    assert _to_send(idle, before=_speech(20_000, room_db=-48)) == []


@given(st.floats(-50, -20), st.floats(-45, -10), st.integers(0, 1_000))
def test_a_soft_voice_after_a_loud_one_is_not_silence(soft_db: float, loud_db: float, seed: int) -> None:
    soft = _speech(3_000, soft_db, seed)
    assert _to_send(soft, before=[*_speech(30_000, loud_db), *_room(2_000)]) == [Region(0, 30_000)]


def test_a_voice_after_loud_music_is_not_silence() -> None:
    music = [-12.0 + random.Random(3).uniform(-3, 3) for _ in range(60_000)]
    assert _to_send(_speech(3_000, -35), before=music) == [Region(0, 30_000)]


def test_steady_sound_is_sent_unless_it_is_inaudible() -> None:
    for level in (-10.0, -30.0, -55.0):
        assert _to_send([level] * 6_000) == [Region(0, 60_000)]
    assert _to_send([-13.0] * 6_000, before=[*_speech(6_000), *_room(3_000)]) == [Region(0, 60_000)]
    assert _to_send([-80.0] * 6_000) == []


def test_a_word_in_a_long_silence_is_sent_with_its_surroundings() -> None:
    levels = [*_room(3_000), *_speech(40), *_room(3_000)]
    assert _to_send(levels, before=_speech(6_000)) == [Region(29_500, 30_900)]


@st.composite
def _excerpts(draw: st.DrawFn) -> Excerpt:
    edges = draw(st.lists(st.integers(0, 3_600_000), min_size=2, max_size=12, unique=True))
    edges = sorted(edges)[: len(edges) // 2 * 2]
    return Excerpt(tuple((16 * a, 16 * b) for a, b in zip(edges[::2], edges[1::2], strict=True)))


@given(_excerpts(), st.integers(0, 5_000), st.data())
def test_a_place_in_the_joined_sound_comes_back_to_where_it_was(
    excerpt: Excerpt, origin_ms: int, data: st.DataObject
) -> None:
    first, end = data.draw(st.sampled_from(excerpt.spans))
    start_ms = data.draw(st.integers(first // 16, end // 16 - 1))
    end_ms = data.draw(st.integers(start_ms + 1, end // 16))
    (joined,) = excerpt.joined([Region(start_ms, end_ms)], 0)
    (word,) = excerpt.on_timeline([Word("one", joined.start_ms, joined.end_ms)], origin_ms)
    assert (word.start_ms, word.end_ms) == (start_ms + origin_ms, end_ms + origin_ms)


@given(_excerpts(), st.lists(st.tuples(st.integers(0, 9_000_000), st.integers(0, 3_000)), max_size=8))
def test_whatever_an_engine_says_lies_in_what_was_sent(excerpt: Excerpt, said: list[tuple[int, int]]) -> None:
    words = [Word("one", start, start + length) for start, length in said]
    for word in excerpt.on_timeline(words, 0):
        assert any(first <= 16 * word.start_ms <= 16 * word.end_ms <= end for first, end in excerpt.spans)


def test_what_is_left_out_is_in_no_region() -> None:
    excerpt = Excerpt(((16_000, 32_000), (160_000, 192_000)))
    assert excerpt.duration_ms == 3_000
    assert excerpt.clipped([Region(0, 20_000)], 0) == [Region(1_000, 2_000), Region(10_000, 12_000)]
    assert excerpt.joined([Region(500, 10_500)], 8_000) == [Region(0, 1_000), Region(1_000, 2_000)]


def test_regions_become_spans_up_to_the_end() -> None:
    made = Excerpt.of_regions([Region(0, 10), Region(20, 40), Region(60, 70)], 16_000, 16_500)
    assert made == Excerpt(((16_000, 16_160), (16_320, 16_500)))
