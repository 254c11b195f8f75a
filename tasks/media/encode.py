"""Encoding one segment to MP3, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
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
from tasks.speech.timecode import SAMPLE_RATE

_FULL = os.strerror(errno.ENOSPC)
# ffmpeg cannot declare more than 1105 samples of padding; what LAME adds beyond is heard, as silence.
_MOST_PADDING = 46
_LEAST_CPU_S = 60
_HEADER_BYTES = 1 << 16


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


def encode_mp3(samples: NDArray[np.int16], out: Path, *, ffmpeg: Ffmpeg) -> EncodedSegment:
    """Encode samples to a 64 kbps mono MP3 that decodes to as many (at times 3 ms of silence more).

    Args:
        samples: 16 kHz mono, not empty.
        out: where it goes; it appears there when it is whole, replacing what was there.
        ffmpeg: the program.

    Raises:
        DiskFullError: no space for it.
        MediaError: the encoder failed.
    """
    partial: Path | None = None
    try:
        partial = _temporary_beside(out)
        _encode(samples, partial, shown(out), ffmpeg)
        content = partial.read_bytes()
        declared = samples_declared(content)
        if declared is None or not 0 <= declared - samples.size <= _MOST_PADDING:
            raise MediaError(f"{shown(out)}: the encoder wrote {declared} of {samples.size} samples")
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
    return EncodedSegment(out, samples.size, len(content), hashlib.sha256(content).hexdigest())


def _temporary_beside(out: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name[:100]}.", suffix=".part")
    os.close(handle)
    return Path(name)


def _encode(samples: NDArray[np.int16], target: Path, name: str, ffmpeg: Ffmpeg) -> None:
    pcm = np.ascontiguousarray(samples, "<i2").view(np.uint8).data
    # Encoding takes a five-hundredth of the sound's length, and yields a quarter of its bytes.
    bounds = Bounds(cpu_s=_LEAST_CPU_S + samples.size // SAMPLE_RATE, file_bytes=_HEADER_BYTES + pcm.nbytes)
    with running(encode_args(ffmpeg.path, target), what=name, writes=True, bounds=bounds) as run:
        run.write(pcm)
        finished = run.finish()
        # Some versions end with status 0 after they could not write.
        if finished.code or any(_FULL in line for line in finished.said):
            raise run.error("failed to encode", finished)


def _storing_error(out: Path, error: OSError) -> DiskFullError | MediaError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"no space left to write {shown(out)}")
    return MediaError(f"{shown(out)} could not be written: {error.strerror}")
