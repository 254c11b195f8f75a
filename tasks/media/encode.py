"""Encode segments as MP3, and pages' sound as Opus."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stenoflow.storage.errors import DiskFullError
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import MediaError
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.ffmpeg_arguments import encode_args, opus_args
from stenoflow.tasks.media.running import Bounds, running
from stenoflow.tasks.media.safe_open import shown

_FULL = os.strerror(errno.ENOSPC).lower()
# ffmpeg cannot declare more than 1105 samples of padding; what LAME adds beyond is heard, as silence.
_MOST_PADDING = 46
# A segment of three hours, on a machine that is slow.
_BOUNDS = Bounds(cpu_s=600, file_bytes=100_000_000)


@dataclass(frozen=True, slots=True)
class EncodedSegment:
    """A segment as it is uploaded.

    Attributes:
        path: the MP3.
        samples: how many were encoded, at 16 kHz.
        size_bytes: of the file.
        sha256: of the file, in hex.
    """

    path: Path
    samples: int
    size_bytes: int
    sha256: str


def encode_mp3(parts: Iterable[NDArray[np.int16]], out: Path, *, ffmpeg: Ffmpeg) -> EncodedSegment:
    """Encode samples, joined, to a 64 kbps mono MP3 that decodes to as many (at times 3 ms of silence more).

    Args:
        parts: 16 kHz mono, not empty.
        out: where it goes; it appears there when it is whole, replacing what was there.
        ffmpeg: the program.

    Raises:
        DiskFullError: no space for it.
        MediaError: the encoder failed.
    """
    partial: Path | None = None
    try:
        partial = _temporary_beside(out)
        samples = _encode(parts, partial, shown(out), ffmpeg)
        content = partial.read_bytes()
        declared = samples_declared(content)
        if declared is None or not 0 <= declared - samples <= _MOST_PADDING:
            raise MediaError(f"{shown(out)}: the encoder wrote {declared} of {samples} samples")
        partial.replace(out)
    except OSError as error:
        raise _storing_error(out, error) from error
    except MediaError as error:
        if _FULL in error.message.lower():
            raise DiskFullError(f"no space left to write {shown(out)}") from error
        raise
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return EncodedSegment(out, samples, len(content), hashlib.sha256(content).hexdigest())


def _temporary_beside(out: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name[:100]}.", suffix=".part")
    os.close(handle)
    return Path(name)


def _encode(parts: Iterable[NDArray[np.int16]], target: Path, name: str, ffmpeg: Ffmpeg) -> int:
    """Encode what comes, and return how many samples that was."""
    samples = 0
    with running(encode_args(ffmpeg.path, target), what=name, writes=True, bounds=_BOUNDS) as run:
        for part in parts:
            run.write(np.ascontiguousarray(part, "<i2").view(np.uint8).data)
            samples += part.size
        finished = run.finish()
        # Some versions end with status 0 after they could not write.
        if finished.code or any(_FULL in line.lower() for line in finished.said):
            raise run.error("failed to encode", finished)
    return samples


def _storing_error(out: Path, error: OSError) -> DiskFullError | MediaError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"no space left to write {shown(out)}")
    return MediaError(f"{shown(out)} could not be written: {plain_reason(error)}")


# The header stands behind the frame header (4 bytes) and the side information (9 for mono at 16 kHz,
# up to 32 otherwise).
_SEARCHED_BYTES = 64
_TAGS = (b"Info", b"Xing")
_HAS_FRAMES_BYTES_AND_TOC = 0x7
_LAME_PART = 120
# MPEG-2 layer III, which is what 16 kHz takes.
_FRAME_SAMPLES = 576


def samples_declared(content: bytes) -> int | None:
    """Say to how many samples a 16 kHz MP3 decodes, encoder delay and padding taken off.

    Returns:
        None where the header is missing or counts other bytes than there are: the encoder writes it
        last, so a file that was cut off has none that fits.
    """
    at = max(content.find(tag, 0, _SEARCHED_BYTES) for tag in _TAGS)
    if at < 0 or len(content) < at + _LAME_PART + 24:
        return None
    flags, frames, size = (_big_endian(content, at + offset, 4) for offset in (4, 8, 12))
    if flags & _HAS_FRAMES_BYTES_AND_TOC != _HAS_FRAMES_BYTES_AND_TOC or size != len(content):
        return None
    trims = _big_endian(content, at + _LAME_PART + 21, 3)
    delay, padding = trims >> 12, trims & 0xFFF
    return frames * _FRAME_SAMPLES - delay - padding


def _big_endian(content: bytes, offset: int, size: int) -> int:
    return int.from_bytes(content[offset : offset + size], "big")


CONTENT_TYPE = "audio/webm; codecs=opus"
BYTES_A_SECOND = 3_100
"""About: 24 kbps, and what the container adds."""

# A day, on a machine that takes a fiftieth of the sound's length, and twice the size to be expected.
_OPUS_BOUNDS = Bounds(cpu_s=2_000, file_bytes=2 * BYTES_A_SECOND * 86_400)


def encode_opus(parts: Iterable[NDArray[np.int16]], out: Path, *, ffmpeg: Ffmpeg) -> None:
    """Encode samples, joined, to 24 kbps Opus in WebM.

    Args:
        parts: 16 kHz mono, not empty.
        out: where it goes; what is there after an error is not whole.
        ffmpeg: the program.

    Raises:
        MediaError: the encoder failed.
    """
    args = opus_args(ffmpeg.path, out)
    with running(args, what=shown(out), writes=True, bounds=_OPUS_BOUNDS) as run:
        for part in parts:
            run.write(np.ascontiguousarray(part, "<i2").view(np.uint8).data)
        finished = run.finish()
        if finished.code:
            raise run.error("failed to encode", finished)
