from __future__ import annotations

import io
import struct
import threading
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from stenoflow.tasks.errors import MediaError
from stenoflow.tasks.media.encode import samples_declared
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.speech_audio import (
    Samples,
    converted,
    decode_speech,
    duration_ms,
    encode,
    encoding,
)

RATE = 24_000
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
# What the format's own frames may add at the end: AAC and MP3 have no count of samples in each frame.
MOST_MORE_MS = {"mp3": 60, "opus": 1, "aac": 100, "flac": 0, "wav": 0, "pcm": 0}


def sound(seconds: float = 3.0) -> Samples:
    times = np.arange(round(seconds * RATE)) / RATE
    wave_: Samples = np.rint(8_000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)
    return wave_


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_encoded_comes_back_as_long_and_as_loud(form: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / f"sound.{form}"
    assert encode([sound(1.0), sound(2.0)], path, form, ffmpeg=ffmpeg) == 3 * RATE
    back = decode_speech(path.read_bytes(), form, ffmpeg=ffmpeg)
    assert 0 <= duration_ms(back.size) - 3_000 <= MOST_MORE_MS[form]
    assert np.abs(back[RATE : 2 * RATE].astype(np.int32)).max() == pytest.approx(8_000, rel=0.05)


@pytest.mark.parametrize("form", ["mp3", "opus", "flac", "wav"])
def test_headers_say_how_long_it_is(form: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / f"sound.{form}"
    encode([sound()] * 4, path, form, ffmpeg=ffmpeg)
    with av.open(str(path)) as container:
        assert (container.duration or 0) / 1_000_000 == pytest.approx(12.0, abs=0.08)


def test_an_mp3_has_one_header_and_no_tag_within(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "sound.mp3"
    encode([sound()] * 3, path, "mp3", ffmpeg=ffmpeg)
    data = path.read_bytes()
    assert data.count(b"Xing") + data.count(b"Info") == 1
    assert b"ID3" not in data
    assert samples_declared(data) == pytest.approx(9 * RATE, abs=1_200)


def test_opus_pages_go_on_from_one_another(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "sound.opus"
    encode([sound()] * 3, path, "opus", ffmpeg=ffmpeg)
    data, granules, at = path.read_bytes(), [], 0
    while (at := data.find(b"OggS", at)) >= 0:
        granules.append(struct.unpack_from("<q", data, at + 6)[0])
        at += 4
    assert granules == sorted(granules)
    assert data.count(b"OpusHead") == 1
    # 9 s at the 48 kHz that Opus counts in, and what the decoder is to skip.
    assert granules[-1] == pytest.approx(9 * 48_000, abs=700)


def test_a_wav_says_its_size(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "sound.wav"
    encode([sound()], path, "wav", ffmpeg=ffmpeg)
    assert struct.unpack_from("<I", path.read_bytes(), 4)[0] == path.stat().st_size - 8
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        assert file.getnframes() == 3 * RATE


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac"])
def test_a_stream_can_be_played_while_it_is_made(form: str, ffmpeg: Ffmpeg) -> None:
    came: list[bytes] = []
    first = threading.Event()

    def read() -> None:
        while part := run.read_some(1 << 16):
            came.append(part)
            if sum(map(len, came)) > 200:
                first.set()

    with encoding(form, ffmpeg=ffmpeg, stall_s=600) as run:
        reader = threading.Thread(target=read)
        reader.start()
        run.write(sound(0.5).astype("<i2").tobytes())
        # Nothing more is written until some of it has come out.
        assert first.wait(600)
        run.write(sound(0.5).astype("<i2").tobytes())
        run.end_input()
        reader.join()
        assert run.finish().code == 0
    back = decode_speech(b"".join(came), form, ffmpeg=ffmpeg)
    assert duration_ms(back.size) == pytest.approx(1_000, abs=110)


def test_what_is_no_sound_is_said_to_be_none(ffmpeg: Ffmpeg) -> None:
    with pytest.raises(MediaError):
        decode_speech(b"not a sound at all", "mp3", ffmpeg=ffmpeg)


def test_sound_can_be_had_in_another_form(ffmpeg: Ffmpeg) -> None:
    wav = converted(sound().astype("<i2").tobytes(), "pcm", "wav", ffmpeg=ffmpeg)
    with wave.open(io.BytesIO(wav)) as file:
        assert file.getnframes() == 3 * RATE
