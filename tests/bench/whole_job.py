"""Rows job, limit and first: the whole job against the guide's way, and against what no way can beat."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import guide, product
from tests.bench.api import Api, running_api
from tests.bench.measuring import cores, in_turns, median_ratio, spending
from tests.bench.report import Figure, Measured, at_most
from tests.bench.scale import SHORT_HOURS, Scale
from tests.bench.sources import CACHE, stereo, warm
from tests.bench.splitting import warm_up
from tests.bench.warm import Worker, running_worker

_CALLS_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Limited:
    """A whole job, warm, and what bounds it; in seconds."""

    job_s: float
    first_s: float
    split_cpu_s: float
    decode_s: float
    slowest_call_s: float

    @property
    def bound_s(self) -> float:
        """The least that it can take on these cores, were all of it done side by side."""
        return max(self.split_cpu_s / cores(), self.first_s + self.slowest_call_s)

    @property
    def pipeline_s(self) -> float:
        """The least that it can take where the last segment is cut when all before it was decoded."""
        return self.decode_s + self.slowest_call_s


def measure_job(scale: Scale) -> Measured:
    """Hold the command, its start included, against the recipe and plain requests."""
    source = stereo(scale.hour)
    warm(source)
    with running_api("simulated") as api:
        _by_command(api, stereo(SHORT_HOURS))
        ours, recipe = in_turns(scale.runs, lambda: _by_command(api, source), lambda: _by_recipe(api, source))
    what = f"stenoflow transcribe of {scale.hour:g} h against the recipe and plain requests"
    detail = f"{ours[0]:.1f} s against {recipe[0]:.1f} s"
    figure = at_most(what, median_ratio(ours, recipe), 0.3, detail=detail)
    return Measured([figure], {"ours_s": ours, "recipe_s": recipe})


def measure_limit(scale: Scale) -> Measured:
    """Hold the whole job, warm, against its bounds."""
    figures: list[Figure] = []
    raw: dict[str, object] = {}
    with running_api("simulated") as api, running_worker(api) as worker:
        start_s = _started(worker)
        figures.append(Figure("start of the interpreter and of Prefect, apart", f"{start_s:.1f} s"))
        for hours, runs in {scale.hour: scale.runs, scale.long_hours: 1}.items():
            source = stereo(hours)
            warm(source)
            limited = [_limited(api, worker, source) for _ in range(runs)]
            figures += _figures(hours, limited)
            raw[f"{hours:g} h"] = [
                asdict(run) | {"bound_s": run.bound_s, "pipeline_s": run.pipeline_s} for run in limited
            ]
    return Measured(figures, {"start_s": start_s, "cores": cores(), **raw})


def measure_first(scale: Scale) -> Measured:
    """Measure how much later the first request leaves where the recording is long."""
    if scale.long_hours <= SHORT_HOURS:
        return Measured.not_run(f"--hours must be above {SHORT_HOURS:.2f}")
    long, short = stereo(scale.long_hours), stereo(SHORT_HOURS)
    warm(long)
    with running_api("simulated") as api, running_worker(api) as worker:
        _started(worker)
        of_long, of_short = in_turns(
            scale.runs, lambda: _first_request(api, worker, long), lambda: _first_request(api, worker, short)
        )
    later = statistics.median(one - other for one, other in zip(of_long, of_short, strict=True))
    detail = f"{of_long[0]:.2f} s against {of_short[0]:.2f} s of {SHORT_HOURS * 60:.0f} min"
    what = f"first request later on {scale.long_hours:g} h than on one segment's read-ahead"
    return Measured(
        [at_most(what, later, 3, unit=" s", detail=detail)], {"long_s": of_long, "short_s": of_short}
    )


def profile(scale: Scale) -> str:
    """Profile the whole job, warm; returns the table."""
    with running_api("simulated") as api, running_worker(api) as worker:
        _started(worker)
        return worker.profile(stereo(scale.hour))


def _started(worker: Worker) -> float:
    """Start Prefect and let all be loaded by a small job; returns how long the start alone took."""
    start_s = worker.start()
    worker.job(stereo(SHORT_HOURS))
    warm_up(worker)
    return start_s


def _limited(api: Api, worker: Worker, source: Path) -> Limited:
    split = worker.split(source)
    with spending() as decode:
        guide.decode(source)
    api.take_log()
    job = worker.job(source)
    slowest = max(request.took_s for request in api.take_log())
    return Limited(job.wall_s, job.first_s, split.cpu_s, decode.wall_s, slowest)


def _figures(hours: float, runs: list[Limited]) -> list[Figure]:
    def median(of: Callable[[Limited], float]) -> float:
        return statistics.median(map(of, runs))

    return [
        at_most(
            f"whole job, warm, {hours:g} h against max(CPU of splitting / cores, first segment + a call)",
            median(lambda run: run.job_s / run.bound_s),
            1.15,
            detail=f"{median(lambda run: run.job_s):.1f} s against {median(lambda run: run.bound_s):.1f} s",
        ),
        Figure(
            "beside it, against a linear decode + a call",
            f"{median(lambda run: run.job_s / run.pipeline_s):.2f} "
            f"({median(lambda run: run.pipeline_s):.1f} s)",
        ),
    ]


def _first_request(api: Api, worker: Worker, source: Path) -> float:
    api.take_log()
    job = worker.job(source)
    return api.take_log()[0].at - job.began


def _by_command(api: Api, source: Path) -> float:
    with product.empty_home() as home:
        return product.transcribe(home, api, source).wall_s


def _by_recipe(api: Api, source: Path) -> float:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        began = time.monotonic()
        guide.transcribe(guide.split(source, Path(folder)), api, _CALLS_AT_ONCE)
        return time.monotonic() - began
