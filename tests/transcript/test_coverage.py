from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.coverage import cover, missing_mark
from stenoflow.tasks.transcript.types import Kind, Region, Stretch

_regions = st.lists(
    st.tuples(st.integers(-50, 1_100), st.integers(0, 300)).map(lambda pair: Region(pair[0], sum(pair))),
    max_size=12,
)


@given(st.integers(0, 1_000), _regions, _regions)
def test_every_millisecond_is_accounted_for_once(
    duration_ms: int, speech: list[Region], missing: list[Region]
) -> None:
    stretches = cover(duration_ms, speech, missing)
    assert sum(stretch.end_ms - stretch.start_ms for stretch in stretches) == duration_ms
    for one, following in pairwise(stretches):
        assert one.end_ms == following.start_ms
        assert one.kind is not following.kind
    for stretch in stretches:
        for moment in (stretch.start_ms, stretch.end_ms - 1):
            assert stretch.kind is _kind(moment, speech, missing)


def _kind(moment: int, speech: list[Region], missing: list[Region]) -> Kind:
    if any(region.start_ms <= moment < region.end_ms for region in missing):
        return Kind.MISSING
    if any(region.start_ms <= moment < region.end_ms for region in speech):
        return Kind.SPEECH
    return Kind.SILENCE


def test_the_mark_is_in_whole_seconds_outward() -> None:
    assert missing_mark(Stretch(720_900, 960_001, Kind.MISSING)) == "[missing 00:12:00-00:16:01]"
    assert missing_mark(Stretch(0, 360_000_000, Kind.MISSING)) == "[missing 00:00:00-100:00:00]"
