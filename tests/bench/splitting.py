"""Rows cpu and recipe: what splitting an hour takes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.bench import guide
from tests.bench.measuring import Spent, in_turns, median_ratio, spending
from tests.bench.report import Measured, at_most
from tests.bench.scale import SHORT_HOURS, Scale
from tests.bench.sources import CACHE, stereo, warm
from tests.bench.warm import Worker, running_worker


def measure_cpu(scale: Scale) -> Measured:
    """Hold our splitting's processor time against the floor's."""
    source = _source(scale)
    with running_worker() as worker:
        warm_up(worker)
        ours, floor = in_turns(
            scale.runs, lambda: _ours(worker, source), lambda: _of_ffmpeg(guide.convert, source)
        )
    ratio = median_ratio([run.cpu_s for run in ours], [run.cpu_s for run in floor])
    detail = f"{ours[0].cpu_s:.2f} s against {floor[0].cpu_s:.2f} s"
    what = f"CPU of splitting {scale.hour:g} h against one ffmpeg that converts it"
    return Measured([at_most(what, ratio, 1.2, detail=detail)], _raw(ours=ours, floor=floor))


def measure_recipe(scale: Scale) -> Measured:
    """Hold our splitting's wall time against the recipe's."""
    source = _source(scale)
    with running_worker() as worker:
        warm_up(worker)
        ours, recipe = in_turns(
            scale.runs, lambda: _ours(worker, source), lambda: _of_ffmpeg(guide.split, source)
        )
    ratio = median_ratio([run.wall_s for run in ours], [run.wall_s for run in recipe])
    detail = f"{ours[0].wall_s:.2f} s against {recipe[0].wall_s:.2f} s"
    what = f"time of splitting {scale.hour:g} h against the guide's recipe"
    return Measured([at_most(what, ratio, 0.2, detail=detail)], _raw(ours=ours, recipe=recipe))


def warm_up(worker: Worker) -> None:
    """Let the worker load and the system cache what a first run loads and caches."""
    worker.split(stereo(SHORT_HOURS))


def _source(scale: Scale) -> Path:
    source = stereo(scale.hour)
    warm(source)
    return source


def _ours(worker: Worker, source: Path) -> Spent:
    split = worker.split(source)
    return Spent(split.wall_s, split.cpu_s)


def _of_ffmpeg(act: Callable[[Path, Path], object], source: Path) -> Spent:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder, spending() as spent:
        act(source, Path(folder))
    return spent


def _raw(**runs: list[Spent]) -> dict[str, list[dict[str, float]]]:
    return {name: [asdict(run) for run in spent] for name, spent in runs.items()}
