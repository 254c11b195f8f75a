"""The measurements: ``python -m tests.bench``, which is what ``make bench`` runs.

Nothing here asserts a time in seconds: ratios of runs that took turns, counts, and memory.
"""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.bench import commands, whole_job
from tests.bench.accuracy import measure_wer
from tests.bench.drop import measure_drop
from tests.bench.measuring import cores
from tests.bench.memory import measure_memory
from tests.bench.report import Measured, show, write
from tests.bench.scale import Scale, scale
from tests.bench.splitting import measure_cpu, measure_recipe
from tests.bench.words import measure_times, measure_words

# Where no terminal says how wide it is.
_WIDTH = 150
_ROWS: dict[str, Callable[[Scale], Measured]] = {
    "words": measure_words,
    "times": measure_times,
    "cpu": measure_cpu,
    "recipe": measure_recipe,
    "job": whole_job.measure_job,
    "limit": whole_job.measure_limit,
    "first": whole_job.measure_first,
    "aac": commands.measure_aac,
    "wav": commands.measure_wav,
    "long": commands.measure_long,
    "crowd": commands.measure_crowd,
    "dropped": commands.measure_dropped,
    "memory": measure_memory,
    "wer": measure_wer,
    "drop": measure_drop,
}


def bench(
    hours: Annotated[
        float | None, typer.Option(help="Length of the long recording. [default: 10]", min=0.01)
    ] = None,
    only: Annotated[str, typer.Option(help="Rows to run, by commas.")] = ",".join(_ROWS),
    json: Annotated[Path, typer.Option(help="Where all raw figures go.")] = Path("bench.json"),
    quick: Annotated[bool, typer.Option("--quick", help="Everything smaller: some minutes in all.")] = False,
    runs: Annotated[
        int | None, typer.Option(help="How often variants take turns. [default: 3]", min=1)
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Then profile the whole job.")] = False,
) -> None:
    """Measure what the pipeline costs and how exact it is, against what it could be."""
    console, progress = Console(), Console(stderr=True)
    if not console.is_terminal:
        console.width = _WIDTH
    sizes = scale(hours, runs, quick=quick)
    machine = _machine()
    rows = {}
    for name in only.split(","):
        if name not in _ROWS:
            raise typer.BadParameter(f"there is no row {name!r}; there are {', '.join(_ROWS)}")
        progress.print(f"{name} …")
        rows[name] = _measured(_ROWS[name], sizes)
    show(rows, console, title=_title(machine, sizes))
    write(json, machine | {"quick": quick, "hours": sizes.long_hours, "runs": sizes.runs}, rows)
    if profile:
        console.print(whole_job.profile(sizes), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(any(row.failed for row in rows.values()))


def _measured(measure: Callable[[Scale], Measured], sizes: Scale) -> Measured:
    try:
        return measure(sizes)
    except Exception as error:  # noqa: BLE001 - a row that cannot be run says why, and the others go on
        failed = Measured.not_run(f"{type(error).__name__}: {error}")
        failed.raw["where"] = traceback.format_exc()
        return failed


def _machine() -> dict[str, Any]:
    return {
        "cores": cores(),
        "load_before": os.getloadavg(),
        "ffmpeg": find_ffmpeg().version,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _title(machine: dict[str, Any], sizes: Scale) -> str:
    load = machine["load_before"][0]
    busy = "; others keep this machine busy: trust no ratio of times" if load > machine["cores"] / 2 else ""
    return (
        f"{machine['cores']} cores, load {load:.2f} before, ffmpeg {machine['ffmpeg']}; "
        f"long recording {sizes.long_hours:g} h, {sizes.runs} runs{busy}"
    )


if __name__ == "__main__":
    typer.run(bench)
