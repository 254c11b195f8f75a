"""Chunks hold all speech, in order, cut where nobody speaks."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.engine.recogniser import chunks
from stenoflow.tasks.transcript.types import Region

LOUD, QUIET = -20.0, -60.0


def _levels(speech: list[Region], end_ms: int) -> list[float]:
    levels = [QUIET] * (end_ms // 10)
    for region in speech:
        for frame in range(region.start_ms // 10, region.end_ms // 10):
            levels[frame] = LOUD
    return levels


@st.composite
def talks(draw: st.DrawFn) -> list[Region]:
    """Regions at least 300 ms apart, of up to 80 s each."""
    speech, now = [], 0
    for _ in range(draw(st.integers(0, 8))):
        start = now + draw(st.integers(30, 1_000)) * 10
        now = start + draw(st.integers(10, 8_000)) * 10
        speech.append(Region(start, now))
    return speech


@given(talks())
def test_all_speech_lies_in_chunks_of_at_most_30_s(speech: list[Region]) -> None:
    end_ms = speech[-1].end_ms + 500 if speech else 1_000
    made = chunks(_levels(speech, end_ms), speech)
    assert all(0 < chunk.duration_ms <= 30_000 for chunk in made)
    assert all(chunk.end_ms <= following.start_ms for chunk, following in pairwise(made))
    for region in speech:
        inside = [
            chunk for chunk in made if chunk.start_ms < region.end_ms and chunk.end_ms > region.start_ms
        ]
        assert inside[0].start_ms <= region.start_ms
        assert inside[-1].end_ms >= region.end_ms
        assert all(chunk.end_ms == following.start_ms for chunk, following in pairwise(inside))


def test_sentences_with_short_pauses_share_a_chunk() -> None:
    speech = [Region(0, 5_000), Region(6_000, 9_000), Region(9_500, 20_000)]
    assert chunks(_levels(speech, 20_000), speech) == [Region(0, 20_000)]


def test_a_long_silence_is_in_no_chunk() -> None:
    speech = [Region(0, 5_000), Region(9_000, 12_000)]
    assert chunks(_levels(speech, 12_000), speech) == speech


def test_speech_without_a_pause_is_cut_at_its_quietest() -> None:
    levels = [LOUD] * 4_000
    levels[2_000:2_030] = [QUIET] * 30
    (first, second) = chunks(levels, [Region(0, 40_000)])
    assert first.end_ms == second.start_ms
    assert 20_000 <= first.end_ms <= 20_300


def test_silence_has_no_chunks() -> None:
    assert chunks([], []) == []
