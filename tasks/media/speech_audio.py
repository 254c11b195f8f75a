"""Spoken sound: decoded to samples, and encoded from them, whole or as it comes. 24 kHz, mono, 16 bits."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stenoflow.storage.objects.local import file_errors
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.ffmpeg_arguments import file_url
from stenoflow.tasks.media.running import Bounds, Running, running
from stenoflow.tasks.media.speech_arguments import SPEECH_RATE, speech_decode_args, speech_encode_args

Samples = NDArray[np.int16]

# Two days of speech as WAV; a piece of it takes seconds of processor time.
_BOUNDS = Bounds(cpu_s=7_200, file_bytes=8 << 30)
_BLOCK_BYTES = 1 << 20


def decode_speech(data: bytes, form: str, *, ffmpeg: Ffmpeg, rate: int = SPEECH_RATE) -> Samples:
    """Decode sound that is held whole.

    Args:
        data: the sound.
        form: mp3, opus, aac, flac, wav; or pcm, which is taken as it is.
        ffmpeg: the program.
        rate: samples a second that are wanted.

    Raises:
        MediaError: it cannot be decoded, or there is nothing in it.
    """
    if form == "pcm":
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16, copy=False)
    with tempfile.TemporaryDirectory(prefix="stenoflow-speech-") as folder:
        path = Path(folder, f"sound.{form}")
        with file_errors("write", path):
            path.write_bytes(data)
        args = speech_decode_args(ffmpeg.path, file_url(path), rate)
        with running(args, what="the sound", reads=True, bounds=_BOUNDS) as run:
            decoded = b"".join(iter(lambda: run.read(_BLOCK_BYTES), b""))
            finished = run.finish()
    if finished.code or not decoded:
        raise run.error("failed to decode", finished)
    return np.frombuffer(decoded, "<i2").astype(np.int16, copy=False)


def encode(blocks: Iterable[Samples], out: Path, form: str, *, ffmpeg: Ffmpeg) -> int:
    """Encode samples to a file, whose header says how long it is; returns how many they were.

    Args:
        blocks: what is to be encoded, in order.
        out: the file, which need not be there; broken off, it is left as far as it got.
        form: mp3, opus, aac, flac, wav or pcm.
        ffmpeg: the program.

    Raises:
        MediaError: the encoder failed.
        DiskFullError, ObjectStoreError: the file cannot be written.
    """
    samples = 0
    if form == "pcm":
        with file_errors("write", out), out.open("wb") as file:
            for block in blocks:
                file.write(block.astype("<i2").tobytes())
                samples += block.size
        return samples
    with running(
        speech_encode_args(ffmpeg.path, form, out), what=out.name, writes=True, bounds=_BOUNDS
    ) as run:
        for block in blocks:
            run.write(block.astype("<i2").tobytes())
            samples += block.size
        finished = run.finish()
        # Some versions end with status 0 after they could not write.
        if finished.code or finished.said:
            raise run.error("failed to encode", finished)
    return samples


def converted(data: bytes, form: str, wanted: str, *, ffmpeg: Ffmpeg) -> bytes:
    """Return sound in another form. Raises as `samples_of` and `encode` do."""
    samples = decode_speech(data, form, ffmpeg=ffmpeg)
    with tempfile.TemporaryDirectory(prefix="stenoflow-speech-") as folder:
        path = Path(folder, f"sound.{wanted}")
        encode([samples], path, wanted, ffmpeg=ffmpeg)
        return path.read_bytes()


@contextlib.contextmanager
def encoding(form: str, *, ffmpeg: Ffmpeg, stall_s: float) -> Iterator[Running]:
    """Run an encoder whose output is read while its input is written, each by a thread of its own.

    Args:
        form: mp3, opus, aac, flac or wav.
        ffmpeg: the program.
        stall_s: how long it may have nothing to do.
    """
    args = speech_encode_args(ffmpeg.path, form, None)
    with running(args, what="the stream", writes=True, reads=True, bounds=_BOUNDS, stall_s=stall_s) as run:
        yield run


def duration_ms(samples: int) -> int:
    """Return how long samples last."""
    return round(samples * 1000 / SPEECH_RATE)
