"""`make soak`: every kill point on both databases, then kills at random moments until the time is up.

Meanwhile the API misbehaves. Prints what was killed, and what that cost; ends with 1 if anything was lost,
or more was paid for twice than was in flight.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from stenoflow.storage.database.connection import open_database, upgrade
from tests.instrument.recogniser import recognise
from tests.instrument.recording import script, write
from tests.kill.trials import IN_FLIGHT, Bench, Cost
from tests.servers.audio_api import audio_api_server
from tests.servers.postgres import postgres_database, postgres_server

_SECONDS = 300
_LATENCY_S = 0.4
_FAULTS_AT_THE_POINTS = ("ok", "reset-after-body", "429-retry-after-ms")
_FAULTY = 0.2
_FAULTS = (
    *("429", "429-retry-after-ms", "500", "502", "503", "reset-before-body", "reset-after-body"),
    *("close-after-body", "truncated", "gzip-without-tail", "not-json", "no-text", "broken-chunks"),
)
_console = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Figures:
    """What came of the trials so far."""

    costs: list[Cost] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, what: str, trial: Callable[[], Cost]) -> None:
        """Try once; what goes wrong is told, and the rest goes on."""
        try:
            self.costs.append(trial())
        except AssertionError as error:
            self.failures.append(f"{what}: {error}")
            _console.print(f"{what}: {error}", markup=False)

    def __str__(self) -> str:
        """Return one line."""
        kills, segments, bills, faults, again = (
            sum(getattr(cost, name) for cost in self.costs)
            for name in ("kills", "segments", "bills", "faults", "bought_again")
        )
        most = max((cost.bought_again for cost in self.costs), default=0)
        return (
            f"{len(self.costs)} trials, {kills} kills, {segments} segments, {faults} faults of the API, "
            f"{bills} bills, {again} bought again ({most} at most in a trial, {IN_FLIGHT} in flight), "
            f"{len(self.failures)} with losses, doubles or anything else wrong"
        )


def main() -> int:
    """Soak as long as was asked for."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of kills at random moments")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip-points", action="store_true", help="only kills at random moments")
    options = parser.parse_args()
    total: list[Figures] = []
    with (
        _bench() as bench,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data,
        postgres_server(Path(data)) as server,
    ):
        _console.print(f"{bench.segments} segments, {len(bench.points)} kill points")
        for name, database in (("sqlite", None), ("postgresql", server)):
            if not options.skip_points:
                total.append(_all_points(bench, name, database))
            total.append(_at_random(bench, name, database, options.minutes / 2, random.Random(options.seed)))
    return int(any(figures.failures for figures in total))


@contextmanager
def _bench() -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        audio_api_server(lambda sound, _fields: recognise(sound), delay_s=_LATENCY_S) as api,
    ):
        recording = write(Path(folder) / "meeting.mp3", script(_SECONDS), _SECONDS, "-b:a", "64k")
        bench = Bench(api, recording, {"PREFECT_HOME": f"{folder}/prefect"})
        bench.learn(_FAULTS_AT_THE_POINTS)
        yield bench


def _all_points(bench: Bench, name: str, server: str | None) -> Figures:
    figures = Figures()
    for point in bench.points:
        with _database(server) as database:
            figures.add(f"{name} {point}", partial(bench.trial, point, database, _FAULTS_AT_THE_POINTS))
    _console.print(f"{name}, every kill point: {figures}")
    return figures


def _at_random(
    bench: Bench, name: str, server: str | None, minutes: float, random_: random.Random
) -> Figures:
    figures = Figures()
    ends_at = time.monotonic() + 60 * minutes
    while time.monotonic() < ends_at:
        moments = [random_.uniform(1.0, 10.0) for _ in range(random_.randint(1, 2))]
        faults = [_fault(random_) for _ in range(3 * bench.segments)]
        what = f"{name} after {', '.join(f'{moment:.2f}' for moment in moments)} s, {' '.join(faults)}"
        with _database(server) as database:
            figures.add(what, partial(bench.kill_at, moments, database, faults))
    _console.print(f"{name}, random moments: {figures}")
    return figures


def _fault(random_: random.Random) -> str:
    return random_.choice(_FAULTS) if random_.random() < _FAULTY else "ok"


@contextmanager
def _database(server: str | None) -> Iterator[str]:
    """Give the address of an empty PostgreSQL; none for SQLite, which is in the home."""
    if server is None:
        yield ""
        return
    with postgres_database(server) as url:
        database = open_database(url)
        upgrade(database)
        database.close()
        yield url


if __name__ == "__main__":
    sys.exit(main())
