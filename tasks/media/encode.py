"""Encoding one segment to MP3, whole or not at all."""

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

from storage.errors import DiskFullError
from tasks.errors import MediaError
from tasks.media.arguments import encode_args
from tasks.media.bounds import Bounds
from tasks.media.mp3_header import samples_declared
from tasks.media.naming import shown
from tasks.media.programs import Ffmpeg
from tasks.media.running import running

_FULL = os.strerror(errno.ENOSPC)
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
        if _FULL in error.message:
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
        if finished.code or any(_FULL in line for line in finished.said):
            raise run.error("failed to encode", finished)
    return samples


def _storing_error(out: Path, error: OSError) -> DiskFullError | MediaError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"no space left to write {shown(out)}")
    return MediaError(f"{shown(out)} could not be written: {error.strerror}")
