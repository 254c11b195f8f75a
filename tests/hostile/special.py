"""What has a sound's name and is no regular file, or is a strange one."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_SPARSE_BYTES = 5 << 30
_TAIL_BYTES = 8 << 20
_UNKNOWN = b"\xff" * 4


def make_special(folder: Path, whole: bytes) -> list[Path]:
    """Make pipes, folders, links and a file of 5 GB that takes no room; ``whole`` is a sound WAV."""
    folder.mkdir()
    names = ("pipe.mp3", "folder.mp3", "to-nothing.mp3", "to-itself.mp3", "to-zeros.mp3", "to-the-pipe.mp3")
    pipe, directory, nothing, itself, zeros, to_pipe = paths = [folder / name for name in names]
    os.mkfifo(pipe)
    directory.mkdir()
    nothing.symlink_to(folder / "nothing")
    itself.symlink_to(itself)
    zeros.symlink_to("/dev/zero")
    to_pipe.symlink_to(pipe)
    return [*paths, *_sparse(folder, whole), _too_long_a_name(folder)]


def _sparse(folder: Path, whole: bytes) -> list[Path]:
    """Make half an hour of silence that takes no room, and a sound file with zeros behind it."""
    silence, tail = folder / "5-gb.wav", folder / "zeros-behind.wav"
    form = struct.pack("<HHIIHH", 1, 8, 192_000, 3_072_000, 16, 16)
    silence.write_bytes(whole[:4] + _UNKNOWN + whole[8:20] + form + b"data" + _UNKNOWN)
    os.truncate(silence, _SPARSE_BYTES)
    tail.write_bytes(whole)
    os.truncate(tail, _TAIL_BYTES)
    return [silence, tail]


def _too_long_a_name(folder: Path) -> Path:
    """A name that no file system takes."""
    return folder / f"{'long' * 100}.mp3"
