"""`make fleet`: workers on one Prefect server, two of them killed midway and the database restarted.

They share nothing but PostgreSQL and S3 (SeaweedFS): homes of their own, and recordings of mixed length that
come in by a drop folder, each tenth of them urgent. Prefect's own database is in PostgreSQL too where one
with pg_trgm is installed (its migrations ask for that), or where STENOFLOW_TEST_POSTGRES names the folder of
its programs. The whole trial, for a quiet machine of many cores: FLEET="--recordings 1000 --longest 7200".
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

import boto3.session
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from rich.console import Console
from sqlalchemy import create_engine, func, make_url, select, text
from sqlalchemy.orm import Session

from stenoflow.flows.prefect_server import start_server
from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.states import ChargeKind, JobState
from stenoflow.storage.database.tables import Attempt, Charge, Job, Recording
from tests.flows.processes import descendants
from tests.instrument.recogniser import recognise
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer, audio_api_server
from tests.servers.installed_postgres import find_programs, has_extension, installed_postgres
from tests.servers.postgres import postgres_database
from tests.servers.postgres_outage import Outage, mortal_postgres_server
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, start_s3
from tests.servers.seaweedfs import find_weed, start_seaweedfs

_ROOT = Path(__file__).parents[2]
# Without one more recording complete, it hangs.
_TIMEOUT_S = 1_800.0
_SEGMENT_S = 60
_DELAY_S = 5.0
# Runs at once on one worker. With more jobs than that, both are at work.
_RUNS = 3
_console = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Fleet:
    """What the workers share.

    Attributes:
        folder: for homes and logs.
        environment: names the Prefect server, the database, the store and the API.
        database: its address.
        outage: has its server go away and come back.
        prefects: the address of Prefect's own; None: it is in SQLite.
        inbox: a drop folder's.
    """

    folder: Path
    environment: dict[str, str]
    database: str
    prefects: str | None
    inbox: str
    outage: Outage

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start one in a home of its own, as the leader of its processes."""
        limits = ["--pool", "stenoflow", "--name", name, "--limit", str(_RUNS)]
        return self._start(name, "worker", "start", *limits)

    def prefect(self, *arguments: str) -> None:
        """Run Prefect's own command to its end."""
        assert self._start("operator", *arguments).wait() == 0, arguments

    def deploy(self) -> None:
        """Register the deployments, with `stenoflow deploy`."""
        assert self._start("operator", "deploy", "--pool", "stenoflow", program="stenoflow").wait() == 0

    def _start(self, home: str, *arguments: str, program: str = "prefect") -> subprocess.Popen[bytes]:
        place = self.folder / home
        place.mkdir(exist_ok=True)
        homes = {
            "STENOFLOW_HOME": f"{place}/stenoflow",
            "PREFECT_HOME": f"{place}/prefect",
            "HOME": str(place),
        }
        log: IO[bytes] = (place / "log").open("ab")
        with log:
            return subprocess.Popen(
                [str(Path(sys.executable).parent / program), *arguments],
                cwd=_ROOT,
                env={**self.environment, **homes},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def complete(self) -> int:
        """Return how many jobs are complete."""
        return self.states().count(JobState.COMPLETE)

    def at_work(self) -> int:
        """Return how many jobs a run has in hand."""
        return self.states().count(JobState.RUNNING)

    def states(self) -> list[str]:
        """Return the states of all jobs."""
        with self._reading() as session:
            return list(session.scalars(select(Job.state)))

    def waits(self) -> dict[str, list[float]]:
        """Return after how many seconds jobs sent their first request, by priority, from the first of all."""
        begun = func.min(Attempt.started_at)
        query = (
            select(Recording.name, begun)
            .join(Job, Job.recording_id == Recording.id)
            .join(Attempt, Attempt.job_id == Job.id)
            .group_by(Recording.name)
        )
        with self._reading() as session:
            rows = session.execute(query).all()
        first = min(moment for _, moment in rows)
        found: dict[str, list[float]] = {"urgent": [], "normal": []}
        for name, moment in rows:
            found[name.partition(" ")[0]].append((moment - first).total_seconds())
        return found

    def exposure(self) -> int:
        """Return what was or may have been charged, in micro-USD."""
        kinds = [ChargeKind.ACTUAL, ChargeKind.POSSIBLE, ChargeKind.RECONCILE]
        with self._reading() as session:
            return int(
                session.scalar(select(func.sum(Charge.amount_micro)).where(Charge.kind.in_(kinds))) or 0
            )

    def kept_by_prefect(self) -> str:
        """Return where Prefect's server kept what, read from that database itself."""
        if self.prefects is None:
            return "Prefect's own database: SQLite, as no PostgreSQL with pg_trgm was found"
        engine = create_engine(self.prefects)
        try:
            with engine.connect() as connection:
                runs = connection.scalar(text("SELECT count(*) FROM flow_run"))
                version = connection.scalar(text("SHOW server_version"))
        finally:
            engine.dispose()
        return f"Prefect's own database: PostgreSQL {version}, with {runs} flow runs"

    def crashed(self) -> list[FlowRun]:
        """Return the flow runs that were found dead."""
        crashed = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED]))
        # Prefect has read its settings when it was imported, and would start another server here.
        ours = {PREFECT_API_URL: self.environment["PREFECT_API_URL"]}
        with temporary_settings(ours), get_client(sync_client=True) as client:
            return client.read_flow_runs(flow_run_filter=FlowRunFilter(state=crashed))

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        database = open_database(self.database)
        try:
            with database.read() as session:
                yield session
        finally:
            database.close()


def main() -> int:
    """Run the trial; 1 if anything was lost, or paid for more often than a kill explains."""
    parser = argparse.ArgumentParser(prog="make fleet", description=__doc__)
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--shortest", type=int, default=10, help="seconds of the shortest")
    parser.add_argument("--longest", type=int, default=600, help="seconds of the longest")
    parser.add_argument("--workers", type=int, default=4, help="two of them are killed")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        api = stack.enter_context(audio_api_server(lambda sound, _fields: recognise(sound), delay_s=_DELAY_S))
        fleet = stack.enter_context(_fleet(folder, api))
        return _trial(fleet, api, _lengths(options), options.workers)


def _lengths(options: argparse.Namespace) -> list[int]:
    """Return lengths in seconds, as many short ones as long ones in each octave, in no order."""
    last = max(1, options.recordings - 1)
    growth = options.longest / options.shortest
    lengths = [round(options.shortest * growth ** (number / last)) for number in range(options.recordings)]
    random.Random(7).shuffle(lengths)
    return lengths


def _trial(fleet: Fleet, api: AudioApiServer, lengths: list[int], number: int) -> int:
    began = time.monotonic()
    recordings, in_flight = len(lengths), 0
    workers = [fleet.start_worker(f"worker {each}") for each in range(number)]
    try:
        _drop(fleet, lengths)
        asked = ["-p", f"inbox={fleet.inbox}", "-p", 'allow=["priority"]']
        fleet.prefect("deployment", "run", "ingest/stenoflow", *asked)
        for share, worker in ((0.1, workers[0]), (0.5, workers[1])):
            _wait(partial(_is_under_way, fleet, api, share * recordings), fleet)
            in_flight += api.busy
            _kill(worker.pid)
            _console.print(f"killed a worker with all it had started; {api.busy} calls in flight in all")
            if worker is workers[0]:
                fleet.outage.begin()
                time.sleep(2)
                fleet.outage.end()
                _console.print("restarted PostgreSQL as after a crash")
        _wait(lambda: fleet.complete() == recordings, fleet)
    finally:
        for worker in workers:
            _kill(worker.pid)
    return _judge(fleet, api, in_flight, time.monotonic() - began)


def _is_under_way(fleet: Fleet, api: AudioApiServer, least: float) -> bool:
    return fleet.complete() >= max(1, least) and fleet.at_work() > 0 and api.busy > 0


def _judge(fleet: Fleet, api: AudioApiServer, in_flight: int, took_s: float) -> int:
    charged = [call for call in api.calls if call.charged]
    sounds = {call.sha256 for call in charged}
    billed = sum(round(call.seconds * 100) for call in charged)
    exposed = fleet.exposure()
    again = len(charged) - len(sounds)
    crashed = [run.name for run in fleet.crashed()]
    _console.print(fleet.kept_by_prefect())
    _console.print(f"the API took {_DELAY_S:g} s a call, {api.peak} at once at most")
    waits = fleet.waits()
    told = ", ".join(f"{name} {statistics.median(each):.0f} s" for name, each in waits.items() if each)
    _console.print(f"from the first to the median beginning: {told}")
    _console.print(f"found dead, marked as crashed and resumed: {crashed}")
    _console.print(
        f"all complete after {took_s:.0f} s: {len(sounds)} segments, {len(charged)} bills, "
        f"{again} bought again; {billed} micro-USD billed, {exposed} in the ledger"
    )
    is_out_of_order = bool(waits["urgent"]) and statistics.median(waits["urgent"]) > statistics.median(
        waits["normal"]
    )
    return int(again > in_flight or exposed < 0.99 * billed or is_out_of_order)


def _drop(fleet: Fleet, lengths: Sequence[int]) -> None:
    """Put recordings of different sound into the inbox, with options for all, each tenth urgent."""
    client = boto3.session.Session().client("s3")
    bucket = fleet.inbox.split("/")[2]
    client.put_object(
        Bucket=bucket, Key="in/stenoflow.toml", Body=f"[recordings]\nsegment_seconds = {_SEGMENT_S}\n"
    )
    words = script(max(lengths) + 7 * len(lengths))
    for number, seconds in enumerate(lengths):
        begin_ms = 7_000 * number
        some = [word for word in words if begin_ms <= word.start_ms < begin_ms + 1000 * seconds]
        shift = 7 * number * 16_000
        moved = [replace(word, start_sample=word.start_sample - shift) for word in some]
        path = write(fleet.folder / f"{number}.mp3", moved, seconds, "-b:a", "64k")
        name = f"in/{'urgent' if number % 10 == 9 else 'normal'} {number}"
        if number % 10 == 9:
            client.put_object(Bucket=bucket, Key=f"{name}.json", Body=b'{"priority": "urgent"}')
        client.upload_file(str(path), bucket, f"{name}.mp3")
        path.unlink()


def _kill(pid: int) -> None:
    """Kill a process with all that it started."""
    for each in [pid, *descendants(pid)]:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _wait(condition: Callable[[], bool], fleet: Fleet) -> None:
    complete, ends_at = -1, 0.0
    while not condition():
        if fleet.complete() > complete:
            complete, ends_at = fleet.complete(), time.monotonic() + _TIMEOUT_S
        if time.monotonic() > ends_at:
            logs = "\n".join(path.read_text()[-2000:] for path in fleet.folder.glob("*/log"))
            raise TimeoutError(f"it never came so far: {fleet.states()}\n{logs}")
        time.sleep(1.0)


@contextmanager
def _prefects_database() -> Iterator[str | None]:
    """Give the address of a PostgreSQL database for Prefect; None where there is none with pg_trgm."""
    programs = find_programs()
    if programs is None:
        yield None
        return
    with installed_postgres(programs) as server:
        has_all = has_extension(server, "pg_trgm")
        with postgres_database(server) if has_all else nullcontext(None) as url:
            yield url


def _store() -> AbstractContextManager[str]:
    return start_s3() if find_weed() is None else start_seaweedfs(ACCESS_KEY, SECRET_KEY)


@contextmanager
def _fleet(folder: Path, api: AudioApiServer) -> Iterator[Fleet]:
    with ExitStack() as stack:
        outage = stack.enter_context(mortal_postgres_server())
        theirs = stack.enter_context(_prefects_database())
        endpoint = stack.enter_context(_store())
        ours = outage.url
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "DO_NOT_TRACK": "1",
            "OPENAI_API_KEY": "sk-fleet-0123456789",
            "OPENAI_BASE_URL": api.base_url,
            "PREFECT_HOME": str(folder / "server"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "STENOFLOW_DATABASE_URL": ours,
            "STENOFLOW_STORE": "s3://store/artifacts",
        }
        if theirs is not None:
            driven = make_url(theirs).set(drivername="postgresql+asyncpg")
            os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = driven.render_as_string(False)
        (folder / "server").mkdir()
        client = boto3.session.Session().client("s3")
        for bucket in ("store", "meetings"):
            client.create_bucket(Bucket=bucket)
        prefect = start_server()
        stack.callback(prefect.stop)
        prefect.wait()
        os.environ["PREFECT_API_URL"] = prefect.api_url
        fleet = Fleet(folder, dict(os.environ), ours, theirs, "s3://meetings/in/", outage)
        fleet.deploy()
        yield fleet


if __name__ == "__main__":
    sys.exit(main())
