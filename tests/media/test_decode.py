from __future__ import annotations

import random
import subprocess
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stenoflow.tasks.errors import MediaError, NotAudioError, SourceNotFoundError, TooLongError
from stenoflow.tasks.media.decode import Decoded, decode, decode_all
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.probe import AudioStream, probe
from tests.media.chirps import CHIRPS_S, find_chirps
from tests.media.conftest import Make

EXPECTED_MS = [1000 * at_s for at_s in CHIRPS_S]
PICTURE = ("-f", "lavfi", "-i", "testsrc=duration=14:size=64x48:rate=5")
DELAYED = (*PICTURE, "-itsoffset", "1.5")
MAPPED = ("-map", "0:v", "-map", "1:a")


def heard(path: Path, ffmpeg: Ffmpeg, cap_ms: int = 60_000) -> tuple[NDArray[np.int16], AudioStream, Decoded]:
    stream = probe(path).default_stream
    with decode(path, stream, cap_ms=cap_ms, ffmpeg=ffmpeg) as decoding:
        blocks = list(decoding)
    return np.concatenate(blocks), stream, decoding.decoded


# (name, options, tolerance in ms). An MP3 without a header tells nobody of its encoder's 1,105 samples of
# delay (23 ms at 48 kHz), and ADTS nothing of AAC's 1,024 (21 ms).
FORMATS = [
    ("a.wav", (), 0.1),
    ("cbr.mp3", ("-b:a", "64k"), 0.1),
    ("vbr.mp3", ("-q:a", "4"), 0.1),
    ("vbr-without-xing.mp3", ("-q:a", "4", "-write_xing", "0"), 24.0),
    ("a.m4a", ("-c:a", "aac", "-b:a", "64k"), 0.2),
    ("a.aac", ("-c:a", "aac", "-b:a", "64k"), 22.0),
    ("a.flac", (), 0.1),
    ("a.ogg", ("-c:a", "libvorbis"), 0.1),
    ("a.opus", ("-c:a", "libopus", "-b:a", "32k"), 0.2),
    ("a.webm", ("-c:a", "libopus", "-b:a", "32k"), 7.5),
    ("telephone.wav", ("-ar", "8000", "-c:a", "pcm_mulaw"), 0.2),
    ("studio.flac", ("-ar", "96000"), 0.1),
    ("stereo.mp3", ("-ac", "2"), 0.1),
    ("surround.flac", ("-af", "pan=5.1|FC=c0"), 0.1),
    ("inverted.wav", ("-af", "pan=stereo|c0=c0|c1=-1*c0"), 0.1),
    ("quiet-side.wav", ("-af", "pan=stereo|c0=c0|c1=0*c0"), 0.1),
]


@pytest.mark.parametrize(("name", "options", "tolerance_ms"), FORMATS, ids=[name for name, *_ in FORMATS])
def test_every_chirp_is_at_its_time(
    make: Make, ffmpeg: Ffmpeg, name: str, options: tuple[str, ...], tolerance_ms: float
) -> None:
    sound, stream, decoded = heard(make(name, *options), ffmpeg)
    found = [stream.origin_ms + at_ms for at_ms in find_chirps(sound)]
    assert found == pytest.approx(EXPECTED_MS, abs=tolerance_ms)
    assert decoded.samples == sound.size
    assert decoded.error_lines == 0
    assert sound.size / 16 == pytest.approx(12_000, abs=2 * tolerance_ms + 25)
    assert np.abs(sound).max() > 3000, "a side was cancelled"


@pytest.mark.parametrize(
    ("name", "options"),
    [("late.mp4", ("-c:a", "aac")), ("late.mkv", ("-c:a", "libopus")), ("late.ts", ("-c:a", "aac"))],
)
def test_a_late_sound_track_is_placed_on_the_pictures_time(
    # The static build 7.0.2 of ffmpeg crashes on any .ts, so a system's may.
    make: Make,
    bundled: Ffmpeg,
    name: str,
    options: tuple[str, ...],
) -> None:
    sound, stream, _ = heard(make(name, *MAPPED, *options, before=DELAYED), bundled)
    assert stream.origin_ms == pytest.approx(1500, abs=25)
    found = [stream.origin_ms + at_ms for at_ms in find_chirps(sound)]
    assert found == pytest.approx([1500 + at_ms for at_ms in EXPECTED_MS], abs=9)


@pytest.mark.parametrize(("from_ms", "to_ms"), [(4000, 6000), (5980, 6039)])
def test_a_gap_in_the_stream_keeps_what_follows_in_place(
    make: Make, ffmpeg: Ffmpeg, bundled: Ffmpeg, from_ms: int, to_ms: int
) -> None:
    whole = make("whole.mkv", "-c:a", "libopus")
    holed = whole.with_name("holed.mkv")
    # Packets are taken out; the times of the others stay as they are.
    drop = ("-c", "copy", "-bsf:a", f"noise=drop='between(pts,{from_ms},{to_ms})'")
    subprocess.run([bundled.path, "-v", "error", "-i", str(whole), *drop, str(holed)], check=True)
    assert holed.stat().st_size < whole.stat().st_size
    sound, stream, _ = heard(holed, ffmpeg)
    found = [stream.origin_ms + at_ms for at_ms in find_chirps(sound)]
    assert found == pytest.approx(EXPECTED_MS, abs=1)


def test_the_chosen_stream_is_heard(make: Make, ffmpeg: Ffmpeg) -> None:
    path = make(
        "two.mka",
        *("-filter_complex", "[0:a]volume=0[mute]", "-map", "[mute]", "-map", "0:a", "-c:a", "flac"),
    )
    silent, spoken = probe(path).streams
    for stream, audible in ((silent, False), (spoken, True)):
        with decode(path, stream, cap_ms=60_000, ffmpeg=ffmpeg) as decoding:
            assert any(block.any() for block in decoding) is audible


def test_blocks_are_of_a_second_and_count_up(spoken: Path, ffmpeg: Ffmpeg) -> None:
    with decode(spoken, probe(spoken).default_stream, cap_ms=2_500, ffmpeg=ffmpeg) as decoding:
        assert [(block.size, decoding.samples) for block in decoding] == [
            (16_000, 16_000),
            (16_000, 32_000),
            (8_000, 40_000),
        ]


def test_the_same_file_decodes_to_the_same_samples(make: Make, ffmpeg: Ffmpeg) -> None:
    path = make("a.mp3", "-ac", "2")
    assert np.array_equal(heard(path, ffmpeg)[0], heard(path, ffmpeg)[0])


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.ogg", "a.wav"])
def test_a_truncated_file_gives_what_is_there(make: Make, ffmpeg: Ffmpeg, name: str) -> None:
    path = make(name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    sound, stream, _ = heard(path, ffmpeg)
    assert sound.size / 16 == pytest.approx(stream.demuxed_end_ms, abs=200)
    assert find_chirps(sound)[:2] == pytest.approx(EXPECTED_MS[:2], abs=0.2)


def test_complaints_of_the_decoder_are_counted(make: Make, ffmpeg: Ffmpeg) -> None:
    path = make("a.flac")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = b"\x55" * 64
    path.write_bytes(content)
    _, _, decoded = heard(path, ffmpeg)
    assert decoded.error_lines > 0
    assert "flac" in " ".join(decoded.complaints)


def test_a_mostly_damaged_file_still_gives_the_rest(make: Make, ffmpeg: Ffmpeg) -> None:
    path = make("a.m4a", "-movflags", "+faststart")
    content = bytearray(path.read_bytes())
    content[len(content) // 5 :] = random.Random(5).randbytes(len(content) - len(content) // 5)
    path.write_bytes(content)
    sound, stream, decoded = heard(path, ffmpeg)
    assert 1_000 < sound.size / 16 < stream.demuxed_end_ms
    assert find_chirps(sound)[:1] == pytest.approx(EXPECTED_MS[:1], abs=0.2)
    assert decoded.error_lines > 10


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8, 9, 12, 24, 64])
def test_channels_without_a_layout_are_all_mixed_in_equal_parts(
    tmp_path: Path, ffmpeg: Ffmpeg, channels: int
) -> None:
    # A tone a channel, as of a recorder with one talker a track.
    times = np.arange(2 * 48_000)[:, None] / 48_000
    tones = 300 + 70 * np.arange(channels)
    path = tmp_path / "poly.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(np.rint(12_000 * np.sin(2 * np.pi * tones * times)).astype("<i2").tobytes())
    sound, stream, _ = heard(path, ffmpeg)
    assert (stream.channels, stream.layout) == (channels, None)
    # A window of 1 s: the number of a bin is its frequency.
    loudness = 2 * np.abs(np.fft.rfft(sound[8_000:24_000])) / 16_000
    assert loudness[tones] == pytest.approx(12_000 / channels, rel=0.01)


def test_channels_with_a_layout_are_mixed_by_it(make: Make, ffmpeg: Ffmpeg) -> None:
    path = make("center.flac", "-af", "pan=5.1|FC=c0")
    _, stream, _ = heard(path, ffmpeg)
    assert (stream.channels, stream.layout) == (6, "5.1")


def test_an_inverted_side_is_reported(make: Make, ffmpeg: Ffmpeg) -> None:
    _, _, decoded = heard(make("i.wav", "-af", "pan=stereo|c0=c0|c1=-1*c0"), ffmpeg)
    assert decoded.inverted_ms >= 10_000


def test_a_decoder_that_is_killed_is_a_failure(make: Make, ffmpeg: Ffmpeg) -> None:
    # More than a pipe holds, so that it is still at work.
    path = make("spoken.wav", before=("-stream_loop", "9"))
    with decode(path, probe(path).default_stream, ffmpeg=ffmpeg) as decoding:
        blocks = iter(decoding)
        next(blocks)
        threading.Thread(target=decoding.stop).start()
        with pytest.raises(MediaError, match=r"spoken\.wav.*signal 9"):
            list(blocks)


def test_a_file_that_vanished_is_a_failure(spoken: Path, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    stream = probe(spoken).default_stream
    with (
        pytest.raises(SourceNotFoundError, match=r"gone\.wav does not exist"),
        decode(tmp_path / "gone.wav", stream, ffmpeg=ffmpeg),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("a.wv", ()), ("a.tta", ()), ("a.voc", ()), ("a.nut", ("-c:a", "mp3")), ("a.caf", ())),
        *(("a.w64", ()), ("a.au", ()), ("a.aiff", ()), ("a.avi", ())),
        *(
            ("a.mp2", ()),
            ("a.ac3", ()),
            ("a.flv", ("-ar", "44100")),
            ("a.wma", ()),
            ("a.mpg", ("-c:a", "mp2")),
        ),
        *(("a.dts", ("-strict", "-2")), ("a.thd", ("-strict", "-2")), ("a.rm", ()), ("a.sox", ())),
        *(("a.wtv", ("-c:a", "mp2")), ("a.3gp", ("-c:a", "aac")), ("a.mov", ("-c:a", "pcm_s24le"))),
        *(("a.rf64", ("-f", "wav", "-rf64", "always")), ("a.ts", ("-c:a", "aac"))),
    ],
)
@pytest.mark.slow
def test_less_common_containers_are_heard_at_their_time(
    make: Make, bundled: Ffmpeg, name: str, options: tuple[str, ...]
) -> None:
    sound, stream, _ = heard(make(name, *options), bundled)
    found = [stream.origin_ms + at_ms for at_ms in find_chirps(sound)]
    # Some tell nobody of their encoder's delay, up to 50 ms.
    assert found == pytest.approx(EXPECTED_MS, abs=60)


def test_no_more_is_decoded_than_was_there_but_for_a_hundredth(make: Make, bundled: Ffmpeg) -> None:
    # As where a damaged file grows in repair.
    stream = probe(make("a.wav")).default_stream
    path = make("long.wav", before=("-stream_loop", "4"))
    with decode(path, stream, ffmpeg=bundled) as decoding:
        samples = sum(block.size for block in decoding)
    assert samples == decoding.decoded.samples == (12_000 + 120 + 1_000) * 16


def test_decode_all_takes_no_more_than_its_cap(spoken: Path, ffmpeg: Ffmpeg) -> None:
    assert decode_all(spoken, cap_ms=12_000, ffmpeg=ffmpeg).size == 12 * 16_000
    with pytest.raises(TooLongError, match=r"spoken\.wav lasts 12\.0 s, longer than 11\.9 s"):
        decode_all(spoken, cap_ms=11_900, ffmpeg=ffmpeg)


def test_decode_all_refuses_what_is_not_sound(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "notes.mp3"
    path.write_text("not sound at all\n" * 1000)
    with pytest.raises(NotAudioError, match=r"notes\.mp3"):
        decode_all(path, cap_ms=1000, ffmpeg=ffmpeg)
