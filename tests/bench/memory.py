"""Row memory: the most that the whole job holds, on recordings of an hour to a day."""

from __future__ import annotations

from pathlib import Path

from tests.bench import product
from tests.bench.api import Api, running_api
from tests.bench.report import Figure, Measured
from tests.bench.scale import Scale
from tests.bench.sources import stereo
from tests.bench.watching import Watcher

_MOST_MB = 200
_FLAT = 1.15
_APART = ("Prefect's server", "shell")


def measure_memory(scale: Scale) -> Measured:
    """Watch the command on recordings of three lengths."""
    if not Path("/proc/self/statm").exists():
        return Measured.not_run("there is no /proc to read from")
    lengths = (scale.hour, scale.long_hours, scale.longest_hours)
    with running_api("simulated") as api:
        peaks = {hours: _peaks(api, stereo(hours)) for hours in lengths}
    names = sorted(
        {name for of_length in peaks.values() for name in of_length}, key=lambda name: name != "our process"
    )
    figures = [
        _figure(name, {hours: of[name] for hours, of in peaks.items() if name in of}) for name in names
    ]
    return Measured(figures, {"peaks_mb": {f"{hours:g} h": of_length for hours, of_length in peaks.items()}})


def _peaks(api: Api, source: Path) -> dict[str, float]:
    watcher = Watcher()
    with product.empty_home() as home:
        try:
            product.transcribe(home, api, source, watch=watcher.watch)
        finally:
            watcher.stop()
    return dict(watcher.peaks_mb)


def _figure(name: str, peaks: dict[float, float]) -> Figure:
    lengths = ", ".join(f"{hours:g} h" for hours in peaks)
    shown = ", ".join(f"{peak:.0f}" for peak in peaks.values()) + " MB"
    if name in _APART:
        return Figure(f"{name}, apart: {lengths}", shown)
    first, *_ = peaks.values()
    reached = max(peaks.values()) <= min(_MOST_MB, first * _FLAT)
    return Figure(f"{name}: {lengths}", shown, f"≤ {_MOST_MB} MB, ≤ {_FLAT:g} of the first", reached=reached)
