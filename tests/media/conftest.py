"""Recordings made on the fly, and the ffmpegs to make and read them with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from stenoflow.tasks.media.ffmpeg import Ffmpeg, examine, find_ffmpeg
from tests.media.chirps import write_wav

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def bundled() -> Ffmpeg:
    path = imageio_ffmpeg.get_ffmpeg_exe()
    return Ffmpeg(path, examine(path).version, "imageio-ffmpeg")


@pytest.fixture(scope="session", params=["bundled", pytest.param("system", marks=pytest.mark.slow)])
def ffmpeg(request: pytest.FixtureRequest, bundled: Ffmpeg) -> Ffmpeg:
    """Each fit ffmpeg of this machine."""
    if request.param == "bundled":
        return bundled
    found = find_ffmpeg()
    if found.origin != "PATH":
        pytest.skip("no fit ffmpeg on the PATH")
    return found


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV of 12 s, 48 kHz mono, with chirps at known times."""
    return write_wav(tmp_path_factory.mktemp("sound") / "spoken.wav")


@pytest.fixture
def make(tmp_path: Path, spoken: Path, bundled: Ffmpeg) -> Make:
    """Encode the chirps: ``make("talk.mp3", "-b:a", "64k", before=[...])``."""

    def run(name: str, *options: str, before: tuple[str, ...] = ()) -> Path:
        target = tmp_path / name
        args = [bundled.path, "-v", "error", "-y", *before, "-i", str(spoken), *options, f"file:{target}"]
        subprocess.run(args, check=True, stdin=subprocess.DEVNULL)
        return target

    return run
