"""A real file system of a few megabytes, which a test can fill up."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PIECE = bytes(4096)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount one at a folder for the block; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True)
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "stenoflow-test", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here ({error}): only root of a machine may")
    try:
        yield folder
    finally:
        # Lazily: a process that was killed may not have let go of it yet.
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill a disk for the block, and what is freed on it meanwhile, too."""
    over = threading.Event()
    filled = threading.Event()

    def fill() -> None:
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            while not over.is_set():
                try:
                    ballast.write(_PIECE)
                except OSError:
                    filled.set()
                    over.wait(0.005)

    filler = threading.Thread(target=fill)
    filler.start()
    filled.wait()
    try:
        yield
    finally:
        over.set()
        filler.join()
        (disk / "ballast").unlink()
