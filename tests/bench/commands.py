"""Rows aac, wav, long, crowd and dropped: a whole command against the recipe and plain requests.

Each without and with a Prefect server: wall time, processor time of all processes, the server's included, and
the largest memory of ours.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from tests.bench import guide, product
from tests.bench.api import Api, running_api
from tests.bench.measuring import Spent, in_turns, median_ratio, spending
from tests.bench.report import Figure, Measured, at_most
from tests.bench.scale import Scale
from tests.bench.sources import CACHE, crowd, encoded, stereo, warm
from tests.bench.watching import OURS, Watcher, cpu_s, descendants

_WAV_HOURS = 25 / 60
_RECORDINGS = 300
_RECORDING_S = 6
_CALLS_AT_ONCE = 16
_CALL_S = 1.06
_READY_S = 600


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A Prefect server that runs."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return what it has spent of the processor."""
        return sum(sum(cpu_s(pid)) for pid in (self.pid, *descendants(self.pid)))


def measure_aac(scale: Scale) -> Measured:
    """Hold an hour of AAC at 48 kHz against the recipe."""
    return _one_file(scale.runs, encoded(scale.hour, "aac.m4a", "-c:a", "aac", "-b:a", "128k"), 0.5)


def measure_wav(scale: Scale) -> Measured:
    """Hold 25 minutes of WAV against the recipe."""
    return _one_file(scale.runs, encoded(min(_WAV_HOURS, scale.hour), "pcm.wav"), None)


def measure_long(scale: Scale) -> Measured:
    """Hold the long MP3 against the recipe, once."""
    return _one_file(1, stereo(scale.long_hours), None)


def measure_crowd(scale: Scale) -> Measured:
    """Transcribe a folder of 300 recordings of 6 s, 16 calls at once, against the calls alone."""
    return _crowd(scale, "transcribe")


def measure_dropped(scale: Scale) -> Measured:
    """Do the same by a drop folder's look."""
    return _crowd(scale, "ingest", "--looks", "1")


def _one_file(runs: int, source: Path, limit: float | None) -> Measured:
    warm(source)
    with running_api("simulated") as api, running_prefect() as server:
        _by_command(api, None, encoded(0.02, "pcm.wav"))
        _by_command(api, server, encoded(0.02, "pcm.wav"))
        alone, served, recipe = in_turns(
            runs,
            lambda: _by_command(api, None, source),
            lambda: _by_command(api, server, source),
            lambda: _by_recipe(api, source),
        )
    figures = [_taken("the recipe", recipe)]
    for name, ours in (("without a server", alone), ("with one", served)):
        figures.append(_taken(name, ours))
        ratio = median_ratio([run.wall_s for run in ours], [run.wall_s for run in recipe])
        what = f"{name}, wall time against the recipe's"
        figures.append(at_most(what, ratio, limit) if limit else Figure(what, f"{ratio:.2f}"))
        cpu = median_ratio([run.cpu_s for run in ours], [run.cpu_s for run in recipe])
        figures.append(Figure(f"{name}, processor time against the recipe's", f"{cpu:.2f}"))
    return Measured(figures, _raw(alone=alone, served=served, recipe=recipe))


def _crowd(scale: Scale, command: str, *options: str) -> Measured:
    number = _RECORDINGS if scale.long_hours >= 1 else 30
    folder = crowd(number, _RECORDING_S)
    least_s = number * _CALL_S / _CALLS_AT_ONCE
    arguments: tuple[str | Path, ...] = (folder, *options, "--concurrency", str(_CALLS_AT_ONCE))
    with running_api("simulated") as api, running_prefect() as server:
        _by_command(api, server, encoded(0.02, "pcm.wav"))
        without, with_server, recipe = in_turns(
            scale.runs,
            lambda: _by_command(api, None, *arguments, command=command),
            lambda: _by_command(api, server, *arguments, command=command),
            lambda: _folder_by_recipe(api, folder),
        )
    figures = [_taken("the recipe", recipe)]
    for name, ours, limit in (("without a server", without, 1.5), ("with one", with_server, 3.0)):
        figures.append(_taken(name, ours))
        times = statistics.median(run.wall_s for run in ours) / least_s
        figures.append(at_most(f"{name}, against the calls alone ({least_s:.0f} s)", times, limit))
    return Measured(figures, _raw(alone=without, served=with_server, recipe=recipe))


@contextmanager
def running_prefect() -> Iterator[PrefectServer]:
    """Run a Prefect server of its own for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("prefect")
    with tempfile.TemporaryDirectory(dir=_cache(), ignore_cleanup_errors=True) as home:
        environment = product.surroundings(Path(home), None) | {"PREFECT_HOME": home}
        with subprocess.Popen(
            [program, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                url = f"http://127.0.0.1:{port}/api"
                _await(f"{url}/health")
                yield PrefectServer(url, process.pid)
            finally:
                process.terminate()


def _await(url: str) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _READY_S:
        try:
            if httpx.get(url, timeout=_READY_S).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError("Prefect's server did not start")


def _by_command(
    api: Api, server: PrefectServer | None, *arguments: str | Path, command: str = "transcribe"
) -> Run:
    watcher = Watcher()
    with product.empty_home() as home:
        before = server.cpu_s() if server else 0.0
        with spending() as spent:
            product.transcribe(
                home,
                api,
                *arguments,
                command=command,
                watch=watcher.watch,
                prefect=server.url if server else None,
            )
        watcher.stop()
        after = server.cpu_s() if server else 0.0
    return Run(spent.wall_s, spent.cpu_s + after - before, watcher.peaks_mb[OURS])


def _by_recipe(api: Api, source: Path) -> Run:
    with tempfile.TemporaryDirectory(dir=_cache()) as folder:
        return _run(lambda: guide.transcribe(guide.split(source, Path(folder)), api, 6))


def _folder_by_recipe(api: Api, sources: Path) -> Run:
    files = sorted(sources.iterdir())

    async def all_of_them(folder: Path) -> None:
        room = asyncio.Semaphore(_CALLS_AT_ONCE)

        async def one(number: int, source: Path) -> None:
            (parts := folder / str(number)).mkdir()
            async with room:
                await asyncio.to_thread(lambda: guide.transcribe(guide.split(source, parts), api, 1))

        await asyncio.gather(*(one(*pair) for pair in enumerate(files)))

    with tempfile.TemporaryDirectory(dir=_cache()) as folder:
        return _run(lambda: asyncio.run(all_of_them(Path(folder))))


def _run(what: Callable[[], object]) -> Run:
    spent: Spent
    with spending() as spent:
        what()
    return Run(spent.wall_s, spent.cpu_s)


def _taken(name: str, runs: Sequence[Run]) -> Figure:
    wall, cpu, peak = (
        statistics.median(getattr(run, of) for run in runs) for of in ("wall_s", "cpu_s", "peak_mb")
    )
    return Figure(name, f"{wall:.1f} s, {cpu:.1f} s of processor" + (f", {peak:.0f} MB" if peak else ""))


def _raw(**runs: Sequence[Run]) -> dict[str, object]:
    return {name: [asdict(run) for run in of] for name, of in runs.items()}


def _cache() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE
