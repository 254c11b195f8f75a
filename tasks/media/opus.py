"""Encoding a whole recording small, to be heard in a page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.media.arguments import opus_args
from tasks.media.bounds import Bounds
from tasks.media.naming import shown
from tasks.media.programs import Ffmpeg
from tasks.media.running import running

CONTENT_TYPE = "audio/webm; codecs=opus"
BYTES_A_SECOND = 3_100
"""About: 24 kbps, and what the container adds."""

# A day, on a machine that takes a fiftieth of the sound's length, and twice the size to be expected.
_BOUNDS = Bounds(cpu_s=2_000, file_bytes=2 * BYTES_A_SECOND * 86_400)


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
    with running(args, what=shown(out), writes=True, bounds=_BOUNDS) as run:
        for part in parts:
            run.write(np.ascontiguousarray(part, "<i2").view(np.uint8).data)
        finished = run.finish()
        if finished.code:
            raise run.error("failed to encode", finished)
