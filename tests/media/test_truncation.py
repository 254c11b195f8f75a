"""Files that end before they say, or say nothing and stop: known by their own sizes and marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from stenoflow.tasks.media.decode import decode
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.probe import probe
from stenoflow.tasks.media.safe_open import opened
from stenoflow.tasks.media.truncation import is_unfinished
from tests.media.conftest import Make

ADPCM = ("-c:a", "adpcm_ima_wav", "-ar", "16000")
FRAGMENTS = ("-movflags", "frag_keyframe+empty_moov", "-frag_duration", "2000000")


def cut(path: Path, kept: float) -> None:
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * kept)])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", ()),
        ("adpcm.wav", ADPCM),
        ("telephone.wav", ("-ar", "8000", "-c:a", "pcm_mulaw")),
        ("rf64.wav", ("-rf64", "always")),
        ("a.w64", ()),
        ("a.avi", ()),
        ("a.wma", ("-b:a", "128k")),
    ],
)
@pytest.mark.parametrize("kept", [0.25, 0.5, 0.9])
def test_what_a_file_is_shorter_by_than_it_says_is_missing(
    make: Make, name: str, options: tuple[str, ...], kept: float
) -> None:
    path = make(name, *options)
    whole = probe(path)
    assert (whole.missing_ms, whole.default_stream.cut_off) == (0, False)
    cut(path, kept)
    info = probe(path)
    # Packets are of up to 0.4 s, and indices and padding are counted as sound.
    assert info.demuxed_end_ms + info.missing_ms == pytest.approx(12_000, abs=1_400)
    assert info.missing_ms == pytest.approx(12_000 * (1 - kept), abs=1_400)


def test_streams_in_a_row_are_as_long_as_both(make: Make, bundled: Ffmpeg) -> None:
    for name, options in (("a.ts", ("-c:a", "aac")), ("a.ogg", ("-c:a", "libvorbis"))):
        path = make(name, *options)
        path.write_bytes(path.read_bytes() * 2)
        stream = probe(path).default_stream
        assert stream.demuxed_end_ms - stream.origin_ms == pytest.approx(24_000, abs=200)
        with decode(path, stream, ffmpeg=bundled) as decoding:
            assert sum(block.size for block in decoding) / 16 == pytest.approx(24_000, abs=300)


def test_a_jump_in_the_times_of_a_broadcast_is_no_sound_that_is_missing(make: Make, bundled: Ffmpeg) -> None:
    first, later = make("a.ts", "-c:a", "aac"), make("b.ts", "-c:a", "aac", "-output_ts_offset", "1200")
    first.write_bytes(first.read_bytes() + later.read_bytes())
    stream = probe(first).default_stream
    assert stream.missing_ms == 0
    with decode(first, stream, ffmpeg=bundled) as decoding:
        samples = sum(block.size for block in decoding)
    assert samples / 16 == pytest.approx(stream.demuxed_end_ms - stream.origin_ms, abs=300)


@pytest.mark.slow
def test_a_recording_that_can_be_read_to_a_hole_only_is_known_to_break_off(make: Make) -> None:
    path = make("long.mp4", "-c:a", "aac", "-b:a", "320k", *FRAGMENTS, before=("-stream_loop", "9"))
    assert not probe(path).default_stream.cut_off
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 5] + content[len(content) // 4 :])
    info = probe(path)
    assert info.demuxed_end_ms < 60_000
    assert info.default_stream.cut_off


def test_a_title_of_megabytes_keeps_nobody_from_looking(make: Make) -> None:
    path = make("a.mka", "-c:a", "flac")
    title = path.with_name("title")
    title.write_text(f";FFMETADATA1\n[STREAM]\ntitle={'x' * 2_000_000}\n")
    named = make(
        "named.mka", "-f", "ffmetadata", "-i", str(title), "-map_metadata:s:a", "1:s:0", "-c:a", "flac"
    )
    [stream] = probe(named).streams
    assert stream.title is None or set(stream.title) == {"x"}
    assert len(stream.title or "") <= 200


def test_a_decode_that_reaches_its_cap_says_so(make: Make, bundled: Ffmpeg) -> None:
    path = make("a.wav")
    stream = probe(path).default_stream
    for cap_ms, capped in ((5_000, True), (30_000, False)):
        with decode(path, stream, cap_ms=cap_ms, ffmpeg=bundled) as decoding:
            assert sum(block.size for block in decoding) > 0
        assert decoding.decoded.capped is capped


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", ()),
        ("a.aiff", ()),
        ("a.m4a", ("-c:a", "aac")),
        ("fast.m4a", ("-c:a", "aac", "-movflags", "faststart")),
        ("fragments.mp4", ("-c:a", "aac", *FRAGMENTS)),
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.wma", ()),
    ],
)
def test_a_container_without_its_end_is_unfinished(make: Make, name: str, options: tuple[str, ...]) -> None:
    path = make(name, *options)
    with opened(path) as file:
        assert not is_unfinished(file)
    cut(path, 0.6)
    with opened(path) as file:
        assert is_unfinished(file)


@pytest.mark.parametrize(("name", "options"), [("a.mp3", ()), ("a.flac", ()), ("a.mka", ("-c:a", "flac"))])
def test_of_what_has_no_mark_of_its_end_nothing_is_told(
    make: Make, name: str, options: tuple[str, ...]
) -> None:
    path = make(name, *options)
    cut(path, 0.6)
    with opened(path) as file:
        assert not is_unfinished(file)


def test_a_wav_whose_size_is_not_written_yet_is_unfinished_and_one_that_was_streamed_is_not(
    make: Make,
) -> None:
    path = make("a.wav")
    content = path.read_bytes()
    data = content.index(b"data")
    for riff, size, expected in ((36, 0, True), (0xFFFFFFFF, 0xFFFFFFFF, False)):
        head = content[:4] + riff.to_bytes(4, "little") + content[8 : data + 4]
        path.write_bytes(head + size.to_bytes(4, "little") + content[data + 8 :])
        with opened(path) as file:
            assert is_unfinished(file) is expected
