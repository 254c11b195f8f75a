"""Files that end before they say, or say nothing and stop: known by their own sizes and marks."""

from __future__ import annotations

import struct
from collections.abc import Callable
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


HALF = 6 * 96_000


def shrunk(path: Path, chunk: bytes, layout: str, *sizes: int, behind: int) -> Path:
    """Write sizes that are too small a few bytes behind the name of a chunk; what is there stays."""
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, content.find(chunk) + behind, *sizes)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("stated", [0, 1_000, HALF, 0xFFFF_FFFF])
def test_a_wav_is_read_on_where_its_size_is_too_small(make: Make, ffmpeg: Ffmpeg, stated: int) -> None:
    # As where 32 bits wrapped at 4 GiB, or a recorder broke down.
    path = shrunk(make("a.wav"), b"data", "<I", stated, behind=4)
    shrunk(path, b"RIFF", "<I", min(stated + 70, 0xFFFF_FFFF), behind=4)
    assert_whole(path, ffmpeg)


def test_an_rf64_is_read_on_where_its_size_is_too_small(make: Make, ffmpeg: Ffmpeg) -> None:
    path = shrunk(make("rf64.wav", "-rf64", "always"), b"ds64", "<QQQ", HALF + 106, HALF, HALF // 2, behind=8)
    assert_whole(path, ffmpeg)


def assert_whole(path: Path, ffmpeg: Ffmpeg) -> None:
    info = probe(path)
    assert (info.demuxed_end_ms, info.missing_ms) == (12_000, 0)
    with decode(path, info.default_stream, ffmpeg=ffmpeg) as decoding:
        assert sum(block.size for block in decoding) == 12 * 16_000


@pytest.mark.parametrize("trailer", [b"LIST" + struct.pack("<I", 5_000) + bytes(5_000), b"TAG" + bytes(125)])
def test_what_stands_behind_the_sound_of_a_wav_is_not_heard(
    make: Make, bundled: Ffmpeg, trailer: bytes
) -> None:
    path = make("a.wav")
    path.write_bytes(path.read_bytes() + trailer)
    assert_whole(path, bundled)


@pytest.mark.parametrize(
    ("name", "shrink"),
    [
        ("a.aiff", lambda path: shrunk(path, b"SSND", ">I", HALF + 8, behind=4)),
        ("a.caf", lambda path: shrunk(path, b"data", ">Q", HALF + 4, behind=4)),
        ("a.w64", lambda path: shrunk(path, b"data\xf3\xac", "<Q", HALF + 24, behind=16)),
    ],
)
def test_what_other_containers_have_behind_the_stated_end_is_missing(
    make: Make, name: str, shrink: Callable[[Path], Path]
) -> None:
    path = make(name, "-c:a", "pcm_s16be" if name == "a.aiff" else "pcm_s16le")
    assert probe(path).missing_ms == 0
    info = probe(shrink(path))
    assert info.demuxed_end_ms == 6_000
    assert info.missing_ms == pytest.approx(6_000, abs=5)


@pytest.mark.parametrize("name", ["a.avi", "a.au"])
def test_an_avi_or_au_is_read_on_where_its_size_is_too_small(make: Make, name: str) -> None:
    path = make(name, "-c:a", "pcm_s16le" if name == "a.avi" else "pcm_s16be")
    if name == "a.avi":
        shrunk(path, b"movi", "<I", HALF, behind=-4)
        shrunk(path, b"RIFF", "<I", HALF + 5_000, behind=4)
    else:
        shrunk(path, b".snd", ">I", HALF, behind=8)
    info = probe(path)
    assert info.demuxed_end_ms == pytest.approx(12_000, abs=100)
    assert info.missing_ms == 0


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
