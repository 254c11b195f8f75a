"""Decoding a recording once, from its start, to 16 kHz: mixed to one channel, or all channels apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.errors import MediaError, TooLongError
from stenoflow.tasks.media.channels import WINDOW_SAMPLES, Downmix
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.ffmpeg_arguments import decode_args
from stenoflow.tasks.media.levels import ClippingMeter
from stenoflow.tasks.media.probe import AudioStream, probe
from stenoflow.tasks.media.running import Bounds, Finished, Running, running
from stenoflow.tasks.media.safe_open import Opened, Stamp, opened, shown
from stenoflow.tasks.media.truncation import demuxer_options
from stenoflow.tasks.transcript.timecode import ms_to_samples, samples_to_ms

# From one place only, whatever cores are free. AAC fills bands with noise from a generator whose state hangs
# on all that was decoded before, so a decode begun at a seek differs for good: in five minutes of ffmpeg's
# AAC at 128 kbit/s 97 of 290 single seconds were identical by chance, the others not, in places by half the
# scale. A comparison where two decodes meet proves nothing, then.
BLOCK_SAMPLES = WINDOW_SAMPLES
"""Samples in a block: 1 s."""

_SAMPLE_BYTES = 2
# Decoding takes a two-hundredth of the sound's length on a slow machine, and video's packets come on top.
_LEAST_CPU_S = 60
_CPU_SHARE = 10
# An exit status beside this much of the sound is damage, which is reported, not failure.
_ENOUGH = 0.98


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decode came to.

    Attributes:
        samples: decoded, at 16 kHz.
        error_lines: what the decoder complained of, in lines; 0 for a sound file.
        complaints: the last of those lines.
        inverted_ms: how much had one side inverted to the other.
        capped: it was ended at its cap, and there was more.
    """

    samples: int
    error_lines: int
    complaints: tuple[str, ...]
    inverted_ms: int
    capped: bool


class Decoding:
    """One linear decode; iterate over it once for the blocks. Made by `decode`.

    Attributes:
        samples: how many have been handed out so far; the position of the next block.
        clipping: how much of each channel is clipped, before they are mixed.
    """

    def __init__(
        self, run: Running, file: Opened, stream: AudioStream, cap_samples: int, *, apart: bool = False
    ) -> None:
        self.samples = 0
        self.clipping = ClippingMeter()
        self._run = run
        self._file = file
        self._stream = stream
        self._cap_samples = cap_samples
        self._channels = channels_out(stream, apart=apart)
        self._downmix = Downmix() if self._channels == 2 and not apart else None
        self._decoded: Decoded | None = None

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        """Yield blocks of 16 kHz samples, each of 1 s but the last; shape (samples,), or (samples, channels).

        Raises:
            MediaError: the decoder failed, stalled, or gave nothing.
            SourceUnreadableError: the file was written to meanwhile.
        """
        channels = self._channels
        while raw := self._run.read(BLOCK_SAMPLES * channels * _SAMPLE_BYTES):
            # A decoder that is killed may leave half a sample.
            values = np.frombuffer(raw, "<i2", len(raw) // (channels * _SAMPLE_BYTES) * channels)
            block = self._mixed(values)[: self._cap_samples - self.samples]
            if not block.size:
                self._run.stop()
                break
            self.samples += len(block)
            yield block
        self._file.check_unchanged()
        self._decoded = self._judged(self._run.finish())

    @property
    def decoded(self) -> Decoded:
        """What it came to; only after the last block."""
        if self._decoded is None:
            raise RuntimeError("the decode has not ended")
        return self._decoded

    def stop(self) -> None:
        """End it from another thread; the iteration then raises `MediaError`."""
        self._run.stop()

    def _mixed(self, values: NDArray[np.int16]) -> NDArray[np.int16]:
        frames = values.reshape(-1, self._channels)
        if values.size:
            self.clipping.add(frames)
        if self._downmix is not None:
            return self._downmix.add(frames)
        return values if self._channels == 1 else frames

    def _judged(self, finished: Finished) -> Decoded:
        expected = ms_to_samples(self._stream.demuxed_end_ms - self._stream.origin_ms)
        capped = self.samples == self._cap_samples
        if not capped and (finished.code < 0 or (finished.code and self.samples < _ENOUGH * expected)):
            raise self._run.error(f"stopped after {samples_to_ms(self.samples) / 1000:.1f} s", finished)
        if not self.samples:
            raise MediaError(f"{self._file.name}: no sound could be decoded")
        inverted = 0 if self._downmix is None else self._downmix.inverted_windows
        inverted_ms = samples_to_ms(inverted * WINDOW_SAMPLES)
        return Decoded(self.samples, finished.lines, finished.said, inverted_ms, capped)


@contextlib.contextmanager
def decode(
    path: Path,
    stream: AudioStream,
    *,
    ffmpeg: Ffmpeg,
    cap_ms: int | None = None,
    stamp: Stamp | None = None,
    stall_s: float = 60.0,
    apart: bool = False,
) -> Iterator[Decoding]:
    """Decode one audio stream from its start; leaving the block ends the decoder.

    Sample n lies at ``stream.origin_ms + n / 16`` ms on the recording's timeline.

    Args:
        path: the recording.
        stream: which of its streams, from `probe`.
        ffmpeg: the program.
        cap_ms: decode no more than this; by default 1 % and 1 s more than was demuxed, which a sound
            stream stays below. A damaged one can grow in repair, from 60 s to 343.
        stamp: what the file must have, since it was hashed with it.
        stall_s: the longest to wait for the next second of sound.
        apart: give all its channels by themselves, at least two; else they are mixed.

    Raises:
        SourceNotFoundError, SourceUnreadableError, NotAudioError: it is not there any more.
        MediaError: the decoder could not be started (later: see `Decoding.__iter__`).
    """
    length_ms = stream.demuxed_end_ms - stream.origin_ms
    cap_ms = length_ms + length_ms // 100 + 1_000 if cap_ms is None else cap_ms
    with opened(path) as file:
        file.check_unchanged(stamp)
        # ffmpeg's clock starts with the container's, not with the sound that may come late.
        args = decode_args(
            ffmpeg.path,
            file.url,
            stream=stream.index,
            channels=channels_out(stream, apart=apart),
            cap_ms=stream.origin_ms + cap_ms,
            apart=apart,
            in_equal_parts=0 if apart or not _is_mixed_equally(stream) else stream.channels,
            options=demuxer_options(file),
        )
        bounds = Bounds(cpu_s=_LEAST_CPU_S + cap_ms // _CPU_SHARE // 1000)
        with running(
            args, what=file.name, reads=True, handles=[file.handle], bounds=bounds, stall_s=stall_s
        ) as run:
            yield Decoding(run, file, stream, ms_to_samples(cap_ms), apart=apart)


def decode_all(path: Path, *, cap_ms: int, ffmpeg: Ffmpeg) -> NDArray[np.int16]:
    """Decode a short file whole; its memory is bounded by ``cap_ms``.

    Returns:
        The default stream at 16 kHz mono.

    Raises:
        NotAudioError: it holds no sound that can be decoded.
        SourceUnreadableError: it cannot be read.
        TooLongError: it is longer than ``cap_ms``.
        MediaError: decoding failed midway.
    """
    stream = probe(path).default_stream
    length_ms = stream.demuxed_end_ms - stream.origin_ms
    if length_ms > cap_ms:
        raise TooLongError(f"{shown(path)} lasts {length_ms / 1000:.1f} s, longer than {cap_ms / 1000:g} s")
    with decode(path, stream, cap_ms=cap_ms, ffmpeg=ffmpeg) as decoding:
        blocks = list(decoding)
    return np.concatenate(blocks)


def channels_out(stream: AudioStream, *, apart: bool = False) -> int:
    """Say how many channels are decoded: all where they are kept apart, else one or two, to be mixed."""
    if apart:
        return stream.channels
    return 1 if _is_mixed_equally(stream) else min(2, stream.channels)


def _is_mixed_equally(stream: AudioStream) -> bool:
    """Tell whether nobody knows which channel is which: a field recorder has one talker a track."""
    return stream.channels > 2 and stream.layout is None
