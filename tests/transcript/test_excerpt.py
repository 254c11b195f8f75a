from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.types import Region, Word


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
