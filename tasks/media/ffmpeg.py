"""Finding an ffmpeg that is fit for our work, and saying what to do where there is none.

Fitness is tried, not read off a version: a short sound goes through the very arguments that encode
segments and decode recordings, and as many samples must come back as went in.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.media.ffmpeg_arguments import decode_args, encode_args, file_url
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE

VARIABLE = "STENOFLOW_FFMPEG"

_OLDEST = (4, 4)
_DECODERS = ("mp3", "aac", "flac", "pcm_s16le", "opus", "vorbis")
_TRIAL_SAMPLES = SAMPLE_RATE // 10
_TRIAL_DEADLINE_S = 20
_INSTALL = f"install ffmpeg 4.4 or newer with libmp3lame, or name one in {VARIABLE}"


@dataclass(frozen=True, slots=True)
class Ffmpeg:
    """A fit ffmpeg.

    Attributes:
        path: of the program.
        version: as it names itself, such as ``5.1.9-0+deb12u1``.
        origin: ``PATH``, ``imageio-ffmpeg`` or ``STENOFLOW_FFMPEG``.
    """

    path: str
    version: str
    origin: str


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a candidate is: its version, and why it is unfit (empty where it is fit)."""

    version: str
    unfit: str = ""


class _UnfitError(Exception):
    """A candidate failed a trial; the text says which."""


def find_ffmpeg() -> Ffmpeg:
    """Find the ffmpeg to use; each candidate is tried once per process.

    Returns:
        The one that ``STENOFLOW_FFMPEG`` names, else the one on the PATH if it is fit (the system's
        decodes at a third of the cost), else the one that imageio-ffmpeg ships.

    Raises:
        SettingsError: the one that was named is unfit, or none is fit.
    """
    if named := os.environ.get(VARIABLE):
        found = _fit(shutil.which(named) or named, VARIABLE)
        if isinstance(found, Ffmpeg):
            return found
        raise SettingsError(f"{VARIABLE}={named} cannot be used: {found}", _INSTALL)
    reasons = []
    for path, origin in _candidates():
        found = _fit(path, origin)
        if isinstance(found, Ffmpeg):
            return found
        reasons.append(f"{path}: {found}")
    raise SettingsError(f"no fit ffmpeg: {'; '.join(reasons) or 'none was found'}", _INSTALL)


@cache
def examine(path: str) -> Fitness:
    """Try out the program at ``path``; never raises."""
    version = "unknown"
    try:
        version = _version(path)
        _check_decoders(path)
        _check_round_trip(path)
    except _UnfitError as error:
        return Fitness(version, str(error))
    return Fitness(version)


def _fit(path: str, origin: str) -> Ffmpeg | str:
    fitness = examine(path)
    return fitness.unfit or Ffmpeg(path, fitness.version, origin)


def _candidates() -> Iterator[tuple[str, str]]:
    if on_path := shutil.which("ffmpeg"):
        yield on_path, "PATH"
    import imageio_ffmpeg  # noqa: PLC0415 - it takes a tenth of a second, and few commands decode

    with contextlib.suppress(RuntimeError):  # its wheel for this platform may carry no program
        yield imageio_ffmpeg.get_ffmpeg_exe(), "imageio-ffmpeg"


def _version(path: str) -> str:
    match = re.match(r"ffmpeg version (\S+)", _output([path, "-version"]).decode(errors="replace"))
    if match is None:
        raise _UnfitError("it does not call itself ffmpeg")
    version = match[1]
    # Builds from the development branch ("N-109542-g...") carry no number; the trials decide.
    number = re.match(r"n?(\d+)\.(\d+)", version)
    if number and (int(number[1]), int(number[2])) < _OLDEST:
        raise _UnfitError(f"version {version} is older than {_OLDEST[0]}.{_OLDEST[1]}")
    return version


def _check_decoders(path: str) -> None:
    listing = _output([path, "-hide_banner", "-v", "error", "-decoders"]).decode(errors="replace")
    # " A....D libopus   libopus Opus (codec opus)": the codec's name stands behind, where it differs.
    decoders = re.findall(r"^ A\S{5} (\S+)(?:.*\(codec (\S+)\))?", listing, re.MULTILINE)
    known = {name for names in decoders for name in names}
    if missing := [name for name in _DECODERS if name not in known]:
        raise _UnfitError(f"it cannot decode {', '.join(missing)}")


def _check_round_trip(path: str) -> None:
    with tempfile.TemporaryDirectory(prefix="stenoflow-ffmpeg-") as folder:
        encoded = Path(folder, "trial.mp3")
        _output(encode_args(path, encoded), bytes(2 * _TRIAL_SAMPLES))
        decoded = _output(decode_args(path, file_url(encoded), stream=0, channels=1, cap_ms=1000))
    if len(decoded) != 2 * _TRIAL_SAMPLES:
        raise _UnfitError(f"of {_TRIAL_SAMPLES} samples {len(decoded) // 2} came back")


def _output(args: list[str], given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(args, input=given, capture_output=True, timeout=_TRIAL_DEADLINE_S, check=True)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").split("\n")
        said = next((line.strip() for line in lines if line.strip()), f"exit status {error.returncode}")
        raise _UnfitError(said) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _UnfitError(str(error)) from error
    return done.stdout
