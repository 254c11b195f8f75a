"""What could not be decoded is told apart from what was silent."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stenoflow.tasks.media.decode import decode
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.levels import LevelMeter
from stenoflow.tasks.media.probe import AudioStream, probe
from stenoflow.tasks.media.undecodable import Zeros, find_gaps
from stenoflow.tasks.transcript.types import Region
from tests.media.conftest import Make

MUTED = ("-af", "volume=0:enable='between(t,4,6)'")


def zeros_of(path: Path, ffmpeg: Ffmpeg) -> tuple[AudioStream, list[Region], int]:
    stream, zeros, meter = probe(path).default_stream, Zeros(), LevelMeter()
    with decode(path, stream, ffmpeg=ffmpeg) as decoding:
        for block in decoding:
            zeros.add(meter.add(block).tolist())
    return stream, list(zeros.finish()), decoding.decoded.error_lines


def damage(path: Path, part: float, seed: int = 1) -> None:
    content = bytearray(path.read_bytes())
    first = round(len(content) * part)
    content[first : first + len(content) // 10] = random.Random(seed).randbytes(len(content) // 10)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.flac", ()),
        ("a.m4a", ("-movflags", "+faststart")),
        ("a.mka", ("-c:a", "aac")),
        ("a.opus", ("-c:a", "libopus")),
    ],
)
def test_what_is_damaged_is_found_at_its_place_and_what_was_muted_is_not_taken_for_it(
    make: Make, bundled: Ffmpeg, name: str, options: tuple[str, ...]
) -> None:
    path = make(name, *options, *MUTED)
    damage(path, 0.6)
    stream, zeros, complaints = zeros_of(path, bundled)
    assert complaints
    gaps = find_gaps(path, stream, zeros)
    assert gaps
    assert all(6_050 < gap.start_ms < gap.end_ms < 11_500 for gap in gaps)
    assert sum(gap.duration_ms for gap in gaps) > 500


def test_where_sound_starts_late_gaps_are_on_the_recordings_own_time(make: Make, bundled: Ffmpeg) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc=duration=14:size=64x48:rate=5", "-itsoffset", "1.5")
    path = make("late.mkv", "-map", "0:v", "-map", "1:a", "-c:a", "flac", before=picture)
    damage(path, 0.5)
    stream, zeros, _ = zeros_of(path, bundled)
    assert [zero.start_ms + stream.origin_ms for zero in zeros] == pytest.approx(
        [gap.start_ms for gap in find_gaps(path, stream, zeros)], abs=30
    )


def test_a_sound_file_has_none(make: Make, bundled: Ffmpeg) -> None:
    stream, zeros, _ = zeros_of(make("a.flac", *MUTED), bundled)
    [muted] = zeros
    assert (muted.start_ms, muted.end_ms) == pytest.approx((4_000, 6_000), abs=100)
    assert find_gaps(make("a.flac", *MUTED), stream, zeros) == ()


def test_short_stretches_of_zeros_are_left_out() -> None:
    zeros = Zeros()
    for levels in ([-100.0] * 9, [-30.0], [-100.0] * 6, [-100.0] * 6, [-99.0], [-100.0] * 10):
        zeros.add(levels)
    assert zeros.finish() == [Region(100, 220), Region(230, 330)]
