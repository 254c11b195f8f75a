from __future__ import annotations

import json
import os
import random
import signal
import struct
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stenoflow.tasks.errors import NotAudioError, RefusedError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.media.probe import MediaInfo, probe
from stenoflow.tasks.media.safe_open import opened
from stenoflow.tasks.media.worker import reading
from tests.media.conftest import Make

NOBODY = 65534
PICTURE = ("-f", "lavfi", "-i", "testsrc=duration=14:size=64x48:rate=5")
CENC = (
    *("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"),
    *("-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"),
)


@pytest.mark.parametrize(
    ("name", "options", "codec", "declared"),
    [
        ("a.wav", (), "pcm_s16le", True),
        ("a.mp3", (), "mp3", True),
        ("without-xing.mp3", ("-q:a", "4", "-write_xing", "0"), "mp3", False),
        ("a.aac", (), "aac", False),
        ("a.m4a", (), "aac", True),
        ("a.flac", (), "flac", True),
        ("a.ogg", ("-c:a", "libvorbis"), "vorbis", True),
        ("a.opus", (), "opus", True),
        ("a.mka", ("-c:a", "flac"), "flac", True),
    ],
)
def test_what_a_sound_file_is(
    make: Make, name: str, options: tuple[str, ...], codec: str, *, declared: bool
) -> None:
    info = probe(make(name, *options))
    stream = info.default_stream
    assert (stream.codec, stream.sample_rate, stream.channels) == (codec, 48_000, 1)
    assert (info.has_video, info.origin_ms, info.missing_ms) == (False, 0, 0)
    # An encoder's delay and padding are in the end where nothing tells them apart from sound.
    assert info.demuxed_end_ms == pytest.approx(12_000, abs=1 if declared else 60)
    assert (info.duration_ms is not None, stream.declared_end_ms is not None) == (declared, declared)


def test_streams_and_which_is_the_default(make: Make) -> None:
    path = make(
        "talk.mkv",
        *("-map", "0:v", "-map", "1:a", "-map", "1:a", "-ac:a:1", "2", "-c:a", "flac"),
        *("-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=eng"),
        *("-metadata:s:a:1", "title=Interpreter", "-disposition:a:0", "0", "-disposition:a:1", "default"),
        before=PICTURE,
    )
    info = probe(path)
    assert info.has_video
    assert [(each.index, each.language, each.title, each.channels) for each in info.streams] == [
        (0, "deu", None, 1),
        (1, "eng", "Interpreter", 2),
    ]
    assert info.default_stream is info.streams[1]
    assert info.duration_ms == 14_000


def test_a_cover_is_no_video(make: Make) -> None:
    cover = ("-f", "lavfi", "-i", "color=red:size=64x64:duration=0.1:rate=10")
    path = make(
        "cover.mp3",
        *("-map", "1:a", "-map", "0:v", "-c:v", "mjpeg", "-disposition:v", "attached_pic"),
        before=cover,
    )
    assert not probe(path).has_video


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp3", ()),
        ("a.flac", ()),
        ("a.wav", ()),
        ("a.m4a", ("-movflags", "+faststart")),
        ("a.mka", ("-c:a", "libopus")),
    ],
)
def test_a_truncated_file_says_how_much_is_missing(make: Make, name: str, options: tuple[str, ...]) -> None:
    path = make(name, *options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    info = probe(path)
    assert info.missing_ms == pytest.approx(12_000 - info.demuxed_end_ms, abs=30)
    assert 5_000 < info.missing_ms < 7_000


def test_a_truncated_video_says_how_much_is_missing(make: Make) -> None:
    path = make("a.mkv", "-map", "0:v", "-map", "1:a", "-c:a", "libopus", before=PICTURE)
    whole = probe(path)
    assert whole.missing_ms == 0
    assert whole.demuxed_end_ms == pytest.approx(12_000, abs=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 4_000 < probe(path).missing_ms < 10_000


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("late.m4a", ("-c:a", "aac")),
        ("late.mov", ("-c:a", "pcm_s16le")),
        ("late.opus", ()),
        ("late.wma", ()),
        ("late.mka", ("-c:a", "flac")),
    ],
)
def test_sound_that_starts_late_misses_nothing(make: Make, name: str, options: tuple[str, ...]) -> None:
    info = probe(make(name, *options, before=("-itsoffset", "5")))
    assert info.missing_ms == 0
    assert info.demuxed_end_ms - info.origin_ms == pytest.approx(12_000, abs=60)


@pytest.mark.parametrize("played_ms", [12_000, 10_000, 7_000])
@pytest.mark.parametrize("delay_ms", [0, 2_000, 5_000])
def test_an_edit_list_that_delays_and_shortens_the_sound_misses_nothing(
    make: Make, delay_ms: int, played_ms: int
) -> None:
    path = make("late.m4a", "-c:a", "aac", "-movie_timescale", "1000", before=("-itsoffset", "5"))
    content = bytearray(path.read_bytes())
    # Two edits, (duration in ms, media time): nothing for as long, then the sound from its first sample.
    at = content.find(b"elst") + 12
    _, empty, _, _, start, rate = struct.unpack_from(">IiIIiI", content, at)
    assert empty == -1
    struct.pack_into(">IiIIiI", content, at, delay_ms, -1, rate, played_ms, start, rate)
    path.write_bytes(content)
    info = probe(path)
    assert info.missing_ms == 0
    assert info.demuxed_end_ms - info.origin_ms == pytest.approx(played_ms, abs=60)


def test_a_delayed_file_that_is_cut_off_still_says_how_much_is_missing(make: Make) -> None:
    path = make("late.m4a", "-c:a", "aac", "-movflags", "+faststart", before=("-itsoffset", "5"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    info = probe(path)
    assert info.missing_ms == pytest.approx(12_000 - info.demuxed_end_ms, abs=60)
    assert 5_000 < info.missing_ms < 7_000


@pytest.mark.parametrize(("name", "options"), [("a.ogg", ("-c:a", "libvorbis")), ("a.opus", ())])
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9, 0.999])
def test_an_ogg_that_does_not_come_to_its_end_is_known_to_be_cut_off(
    make: Make, name: str, options: tuple[str, ...], kept: float
) -> None:
    path = make(name, *options)
    assert not probe(path).default_stream.cut_off
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * kept)])
    assert probe(path).default_stream.cut_off


def test_two_oggs_in_a_row_come_to_their_end(make: Make) -> None:
    path = make("a.opus")
    path.write_bytes(path.read_bytes() * 2)
    assert not probe(path).default_stream.cut_off


def test_a_wav_of_unknown_length_misses_nothing(make: Make) -> None:
    path = make("a.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = content[74:78] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert probe(path).missing_ms == 0


def refusal(path: Path, kind: type[RefusedError]) -> str:
    with pytest.raises(kind) as caught:
        probe(path)
    message = caught.value.message
    assert "\n" not in str(caught.value)
    assert "/" not in message, "a name is enough"
    return message


RANDOM = random.Random(11).randbytes(300_000)
FILES = {
    "empty.mp3": b"",
    "text.mp3": b"Minutes of the meeting, as text.\n" * 5000,
    "random.mp3": RANDOM,
    "random.wav": RANDOM,
    "random.aac": RANDOM,
    "random.bin": RANDOM,
    "zeros.mp3": bytes(300_000),
    "tiny.mp3": b"\xff",
    "riff.wav": b"RIFF\xff\xff\xff\xffWAVE",
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_sound_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    assert name in refusal(path, NotAudioError)


PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile 'secret.mp3'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\nsecret.mp3\n#EXT-X-ENDLIST\n",
    "hls-absolute": "#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\nfile://{folder}/secret.mp3\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "url": "concat:secret.mp3|secret.mp3",
}


@pytest.mark.parametrize("suffix", ["mp3", "wav", "m3u8", "ffconcat"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_under_any_name_reads_no_other_file(make: Make, kind: str, suffix: str) -> None:
    secret = make("secret.mp3")
    path = secret.with_name(f"talk.{suffix}")
    path.write_text(PLAYLISTS[kind].format(folder=secret.parent))
    assert path.name in refusal(path, NotAudioError)


def test_an_encrypted_file_is_refused(make: Make) -> None:
    message = refusal(make("enc.m4a", *CENC, "-f", "mp4"), NotAudioError)
    assert "no sound in enc.m4a can be decoded: it is encrypted" in message


def test_a_video_without_sound_is_refused(make: Make) -> None:
    message = refusal(make("silent.mp4", "-map", "0:v", before=PICTURE), NotAudioError)
    assert message == "silent.mp4 holds no sound (video only)"


def test_an_mp4_without_its_index_is_refused(make: Make) -> None:
    path = make("a.m4a")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path, NotAudioError) == "a.m4a is incomplete: its index is missing"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.mp3", SourceNotFoundError) == "gone.mp3 does not exist"
    assert "not a regular file" in refusal(tmp_path, SourceUnreadableError)
    os.mkfifo(tmp_path / "pipe.mp3")
    assert "not a regular file" in refusal(tmp_path / "pipe.mp3", SourceUnreadableError)


def test_a_file_that_may_not_be_read(make: Make) -> None:
    path = make("private.mp3")
    path.chmod(0)
    with unprivileged():
        assert refusal(path, SourceUnreadableError) == "private.mp3 cannot be read: permission denied"


def test_it_is_waited_for_where_others_have_the_processors(make: Make) -> None:
    path = make("a.mp3")
    for _ in range(100):
        with opened(path) as file, reading("probe", file, cpu_s=1) as run:
            try:
                os.kill(run.pid, signal.SIGSTOP)
            except ProcessLookupError:
                # It has come to its end already.
                continue
            threading.Timer(1.5, os.kill, (run.pid, signal.SIGCONT)).start()
            assert json.loads(run.read(1 << 20))["streams"]
            return
    pytest.fail("it was always faster")


def test_the_deadline_ends_it(make: Make) -> None:
    with pytest.raises(SourceUnreadableError, match=r"a\.mp3 could not be read through in"):
        probe(make("a.mp3"), cpu_s=-1)


@pytest.mark.parametrize(
    "name", [b"-i.mp3", b"a:b%03d.mp3", b"two\nlines.mp3", b"\xff\xfe.mp3", b"x" * 251 + b".mp3"]
)
def test_a_name_is_only_a_name(make: Make, name: bytes) -> None:
    path = make("a.mp3")
    named = path.rename(path.parent / os.fsdecode(name))
    assert isinstance(probe(named), MediaInfo)
    named.write_bytes(b"nothing")
    assert refusal(named, NotAudioError).isprintable()


@contextmanager
def unprivileged() -> Iterator[None]:
    """As root every file is readable; be somebody else for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("silent_s", [0, 1])
def test_dts_in_a_wav_that_calls_it_pcm_is_found(make: Make, tmp_path: Path, silent_s: int) -> None:
    dts = make("a.dts", "-ar", "44100", "-ac", "2", "-strict", "-2", "-c:a", "dca", "-b:a", "1411200")
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(bytes(silent_s * 44_100 * 4))
        file.writeframes(dts.read_bytes())
    assert probe(path).default_stream.codec == "dts"
