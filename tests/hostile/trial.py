"""Trying a file out as a job does: look into it, refuse it or decode it to its end, and find its gaps."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from pathlib import Path

from stenoflow.tasks.errors import MediaError, RefusedError
from stenoflow.tasks.media.decode import decode
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.levels import frame_levels
from stenoflow.tasks.media.probe import MediaInfo, probe
from stenoflow.tasks.media.running import OverdueError
from stenoflow.tasks.media.safe_open import shown
from stenoflow.tasks.media.undecodable import Zeros, find_gaps
from stenoflow.tasks.transcript.timecode import ms_to_samples
from tests.hostile.baits import is_bait

MAX_HOURS = 24
# Of processor time, which is the same on a machine that is busy: for starting the programs, and for more.
_CPU_S = 15.0
_BYTES_PER_CPU_S = 20_000_000
_SAMPLES_PER_CPU_S = 100 * 16_000
# Only what waits for something that never comes takes that long.
_HANGS_S = 600.0


@dataclass(slots=True)
class Outcome:
    """What came of a file.

    Attributes:
        path: the file.
        info: what it was found to be; None where it was refused.
        samples: how many were decoded; None where it was refused before, or failed.
        gaps_ms: how much of that stands for what could not be decoded.
        error: what refused it or failed.
        problems: what should never be.
    """

    path: Path
    info: MediaInfo | None = None
    samples: int | None = None
    gaps_ms: int = 0
    error: RefusedError | MediaError | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def known(self) -> MediaInfo:
        """What it was found to be, of a file that must not be refused."""
        assert self.info is not None, f"{self.path.name}: {self.error}"
        return self.info

    @property
    def decoded_ms(self) -> float:
        """How much was decoded, of a file that can be."""
        assert self.samples is not None, f"{self.path.name}: {self.error}"
        return self.samples / 16


def try_out(path: Path, ffmpeg: Ffmpeg, max_hours: float = MAX_HOURS) -> Outcome:
    """Look into a file and decode it if it is not too long; whatever goes wrong is in the outcome.

    What it costs is told by all that this process started, so nothing else may run beside it.
    """
    outcome = Outcome(path)
    began = _cpu_s()
    try:
        outcome.info = probe(path, cpu_s=_HANGS_S)
        _check_cost(outcome, began, _size(path) / _BYTES_PER_CPU_S)
        if outcome.info.demuxed_end_ms <= max_hours * 3_600_000:
            _decode(outcome, ffmpeg)
    except (RefusedError, MediaError) as error:
        outcome.error = error
        outcome.problems += _unclear(path, error)
        _check_cost(outcome, began, _size(path) / _BYTES_PER_CPU_S)
    except Exception as error:  # noqa: BLE001 - finding these is what this is for
        outcome.problems.append(f"raw {error!r}")
    return outcome


def _decode(outcome: Outcome, ffmpeg: Ffmpeg) -> None:
    assert outcome.info is not None
    stream, heard_bait, zeros = outcome.info.default_stream, False, Zeros()
    length_ms = stream.demuxed_end_ms - stream.origin_ms
    began = _cpu_s()
    with decode(outcome.path, stream, ffmpeg=ffmpeg, stall_s=_HANGS_S) as decoding:
        for block in decoding:
            heard_bait = heard_bait or is_bait(block)
            zeros.add(frame_levels(block).tolist())
    outcome.samples = decoding.samples
    if decoding.decoded.complaints and (silent := zeros.finish()):
        outcome.gaps_ms = sum(gap.duration_ms for gap in find_gaps(outcome.path, stream, silent))
    _check_cost(outcome, began, decoding.samples / _SAMPLES_PER_CPU_S)
    if outcome.gaps_ms > outcome.decoded_ms:
        outcome.problems.append(f"{outcome.gaps_ms} ms of gaps in {outcome.decoded_ms:.0f} ms")
    if heard_bait:
        outcome.problems.append("holds the sound of a bait")
    if decoding.samples > ms_to_samples(length_ms * 101 // 100 + 1_000):
        outcome.problems.append(f"{length_ms} ms grew to {outcome.decoded_ms:.0f} ms")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it is none of those that are read


def _cpu_s() -> float:
    """Return what the processes cost that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _check_cost(outcome: Outcome, began: float, more_s: float) -> None:
    took_s = _cpu_s() - began
    if took_s > _CPU_S + more_s:
        outcome.problems.append(f"took {took_s:.1f} s of processor time")


def _unclear(path: Path, error: RefusedError | MediaError) -> list[str]:
    said = str(error)
    return [
        f"{problem}: {said!r}"
        for problem, is_so in (
            ("more than one printable line", not said.isprintable()),
            ("without the file's name", shown(path) not in error.message),
            # That of a program which failed for reasons of its own.
            ("a traceback", "Traceback" in said or "that examines it failed" in said),
            ("too long to read", len(said) > 1000),
            ("a hang", isinstance(error.__cause__ or error, OverdueError)),
        )
        if is_so
    ]
