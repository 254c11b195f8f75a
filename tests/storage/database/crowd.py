"""Many processes on the segments of one job, some of them killed; what they said, against the ledger.

``python -m tests.storage.database.crowd [--segments N]`` measures it on both databases.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sqlalchemy import func, select

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database, open_database, upgrade
from stenoflow.storage.database.tables import Attempt, Charge
from tests.servers.postgres import postgres_database, postgres_server
from tests.storage.database.rows import RESERVE, open_job
from tests.waiting import wait_for

_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Stay:
    """A request from when it was sent to when its answer was stored, or its worker was dead."""

    run_id: str
    sent_ns: int
    over_ns: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Crowd:
    """What came of it.

    Attributes:
        stays: by segment, in the order of time.
        killed: the runs that were.
        seconds: from the first worker's start to the last one's end.
    """

    job_id: str
    stays: dict[int, list[Stay]]
    killed: set[str]
    seconds: float

    @property
    def sent(self) -> int:
        """How many requests left."""
        return sum(map(len, self.stays.values()))

    @property
    def overlapping(self) -> list[int]:
        """The segments that were asked for while another request for them was under way."""
        return [
            index
            for index, stays in self.stays.items()
            if any(later.sent_ns < earlier.over_ns for earlier, later in pairwise(stays))
        ]

    @property
    def bought_twice(self) -> list[int]:
        """The segments of which more than one answer was stored, or that a living worker paid for in vain."""
        return [
            index
            for index, stays in self.stays.items()
            if [each.is_kept for each in stays].count(True) > 1
            or any(not each.is_kept and each.run_id not in self.killed for each in stays)
        ]


def crowd(database: Database, url: str, folder: Path, *, workers: int, segments: int, kills: int) -> Crowd:
    """Set workers on a new job; kill some at moments that are spread over its course."""
    job_id = open_job(Catalog(database), segments=segments)
    began = time.monotonic()
    processes = {f"run-{n}": _start(url, folder, f"run-{n}", job_id, segments) for n in range(workers)}
    over = {}
    try:
        for number, run_id in enumerate(random.Random(segments).sample(sorted(processes), kills)):
            _wait_for_answers(folder, (number + 1) * segments // (kills + 1), processes[run_id])
            processes[run_id].kill()
            processes[run_id].wait()
            over[run_id] = time.monotonic_ns()
        for run_id, process in processes.items():
            assert process.wait() == 0 or run_id in over, run_id
    finally:
        for process in processes.values():
            process.kill()
    return Crowd(job_id, _stays(folder, over), set(over), time.monotonic() - began)


def check(crowd: Crowd, database: Database, segments: int) -> None:
    """Hold what the workers said against each other, and against the ledger."""
    assert sorted(crowd.stays) == list(range(segments))
    assert crowd.overlapping == []
    assert crowd.bought_twice == []
    with database.read() as session:
        states = session.execute(select(Attempt.state, Attempt.run_id, Attempt.open_key)).all()
        answered = select(Attempt.segment_index).where(Attempt.state == "ok")
        assert sorted(session.scalars(answered)) == list(range(segments))
        total = session.scalars(select(func.sum(Charge.amount_micro))).one()
    lost = [run_id for state, run_id, _ in states if state != "ok"]
    assert [open_key for *_, open_key in states if open_key is not None] == []
    # Who is killed has one request in hand, and it counts: it was sent, or may have been.
    assert set(lost) <= crowd.killed
    assert len(lost) == len(set(lost))
    assert crowd.sent <= len(states)
    assert total == RESERVE * len(states)


def _start(url: str, folder: Path, run_id: str, job_id: str, segments: int) -> subprocess.Popen[bytes]:
    module = "tests.storage.database.claiming"
    args = [sys.executable, "-m", module, url, str(folder), run_id, job_id, str(segments)]
    return subprocess.Popen(args, cwd=_ROOT)


def _wait_for_answers(folder: Path, answers: int, worker: subprocess.Popen[bytes]) -> None:
    def kept() -> int:
        return sum(log.read_text().count("kept") for log in folder.glob("*.log"))

    wait_for(lambda: kept() >= answers, worker)


def _stays(folder: Path, over: dict[str, int]) -> dict[int, list[Stay]]:
    stays = defaultdict[int, list[Stay]](list)
    for log in folder.glob("*.log"):
        sent: dict[int, int] = {}
        for line in log.read_text("utf-8").splitlines():
            what, index, ns = line.split()
            if what == "sent":
                sent[int(index)] = int(ns)
            else:
                stays[int(index)].append(Stay(log.stem, sent.pop(int(index)), int(ns), is_kept=True))
        for number, sent_ns in sent.items():
            stays[number].append(Stay(log.stem, sent_ns, over[log.stem], is_kept=False))
    return {index: sorted(each, key=lambda stay: stay.sent_ns) for index, each in stays.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what it takes on each database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data,
        postgres_server(Path(data)) as server,
        postgres_database(server) as postgres,
        tempfile.TemporaryDirectory() as home,
    ):
        for url in (f"sqlite:///{home}/stenoflow.db", postgres):
            database = open_database(url)
            upgrade(database)
            with tempfile.TemporaryDirectory() as folder:
                found = crowd(database, url, Path(folder), **vars(options))
            check(found, database, options.segments)
            name = database.engine.dialect.name
            print(f"{name}: {options}, {found.sent} sent, {found.seconds:.1f} s")  # noqa: T201 - its result
            database.close()


if __name__ == "__main__":
    main()
