"""`make fleet`: two workers on one Prefect server, one of them killed midway; what that came to.

They share nothing but PostgreSQL and S3: homes of their own, and recordings that come in by a drop folder.
Prefect's own database is in PostgreSQL too where one with pg_trgm is installed (its migrations ask for that),
or where STENOFLOW_TEST_POSTGRES names the folder of its programs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
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
from stenoflow.storage.database.connection import open_database, upgrade
from stenoflow.storage.database.states import ChargeKind, JobState
from stenoflow.storage.database.tables import Charge, Job
from tests.flows.processes import descendants
from tests.instrument.recogniser import recognise
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer, audio_api_server
from tests.servers.installed_postgres import find_programs, has_extension, installed_postgres
from tests.servers.postgres import postgres_database, postgres_server
from tests.servers.s3 import start_s3

_ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 900.0
_SEGMENT_S = 60
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
        prefects: the address of Prefect's own; None: it is in SQLite.
        inbox: a drop folder's.
    """

    folder: Path
    environment: dict[str, str]
    database: str
    prefects: str | None
    inbox: str

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start one in a home of its own, as the leader of its processes."""
        limits = ["--pool", "stenoflow", "--name", name, "--limit", str(_RUNS)]
        return self._start(name, "worker", "start", *limits)

    def prefect(self, *arguments: str) -> None:
        """Run Prefect's own command to its end."""
        assert self._start("operator", *arguments).wait() == 0, arguments

    def _start(self, home: str, *arguments: str) -> subprocess.Popen[bytes]:
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
                [str(Path(sys.executable).parent / "prefect"), *arguments],
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
    parser.add_argument("--recordings", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=240, help="of each recording")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        api = stack.enter_context(audio_api_server(lambda sound, _fields: recognise(sound), delay_s=15.0))
        fleet = stack.enter_context(_fleet(folder, api))
        return _trial(fleet, api, options.recordings, options.seconds)


def _trial(fleet: Fleet, api: AudioApiServer, recordings: int, seconds: int) -> int:
    began = time.monotonic()
    first = fleet.start_worker("first")
    second = fleet.start_worker("second")
    try:
        _drop(fleet, recordings, seconds)
        fleet.prefect("deployment", "run", "ingest/stenoflow", "-p", f"inbox={fleet.inbox}")
        _wait(lambda: fleet.complete() >= 1 and fleet.at_work() > _RUNS and api.busy > 0, fleet)
        in_flight = api.busy
        _kill(first.pid)
        _console.print(f"killed the first worker with all it had started; {in_flight} calls in flight in all")
        _wait(lambda: fleet.complete() == recordings, fleet)
    finally:
        _kill(first.pid)
        _kill(second.pid)
    return _judge(fleet, api, in_flight, time.monotonic() - began)


def _judge(fleet: Fleet, api: AudioApiServer, in_flight: int, took_s: float) -> int:
    charged = [call for call in api.calls if call.charged]
    sounds = {call.sha256 for call in charged}
    billed = sum(round(call.seconds * 100) for call in charged)
    exposed = fleet.exposure()
    again = len(charged) - len(sounds)
    crashed = [run.name for run in fleet.crashed()]
    _console.print(fleet.kept_by_prefect())
    _console.print(f"found dead, marked as crashed and resumed: {crashed}")
    _console.print(
        f"all complete after {took_s:.0f} s: {len(sounds)} segments, {len(charged)} bills, "
        f"{again} bought again; {billed} micro-USD billed, {exposed} in the ledger"
    )
    return int(again > in_flight or exposed < 0.99 * billed)


def _drop(fleet: Fleet, recordings: int, seconds: int) -> None:
    """Put recordings of different sound into the inbox, with options for all."""
    client = boto3.session.Session().client("s3")
    bucket = fleet.inbox.split("/")[2]
    client.put_object(
        Bucket=bucket, Key="in/stenoflow.toml", Body=f"[recordings]\nsegment_seconds = {_SEGMENT_S}\n"
    )
    words = script(seconds + 7 * recordings)
    for number in range(recordings):
        some = [word for word in words if word.start_ms >= 7_000 * number]
        shift = 7 * number * 16_000
        moved = [replace(word, start_sample=word.start_sample - shift) for word in some]
        path = write(fleet.folder / f"{number}.mp3", moved, seconds, "-b:a", "64k")
        client.upload_file(str(path), bucket, f"in/meeting {number}.mp3")


def _kill(pid: int) -> None:
    """Kill a process with all that it started."""
    for each in [pid, *descendants(pid)]:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _wait(condition: Callable[[], bool], fleet: Fleet) -> None:
    ends_at = time.monotonic() + _TIMEOUT_S
    while not condition():
        if time.monotonic() > ends_at:
            logs = "\n".join(path.read_text()[-2000:] for path in fleet.folder.glob("*/log"))
            raise TimeoutError(f"it never came so far: {fleet.states()}\n{logs}")
        time.sleep(1.0)


@contextmanager
def _databases(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Run PostgreSQL; gives the address of our database, and of Prefect's: None where that must be SQLite."""
    with ExitStack() as stack:
        programs = find_programs()
        run = postgres_server(folder / "data") if programs is None else installed_postgres(programs)
        server = stack.enter_context(run)
        ours = stack.enter_context(postgres_database(server))
        theirs = postgres_database(server) if has_extension(server, "pg_trgm") else nullcontext(None)
        yield ours, stack.enter_context(theirs)


@contextmanager
def _fleet(folder: Path, api: AudioApiServer) -> Iterator[Fleet]:
    with ExitStack() as stack:
        ours, theirs = stack.enter_context(_databases(folder))
        endpoint = stack.enter_context(start_s3())
        database = open_database(ours)
        upgrade(database)
        database.close()
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
        client = boto3.session.Session().client("s3")
        for bucket in ("store", "meetings"):
            client.create_bucket(Bucket=bucket)
        prefect = start_server()
        stack.callback(prefect.stop)
        prefect.wait()
        os.environ["PREFECT_API_URL"] = prefect.api_url
        fleet = Fleet(folder, dict(os.environ), ours, theirs, "s3://meetings/in/")
        fleet.prefect("work-pool", "create", "stenoflow", "--type", "process")
        for priority, name in enumerate(["urgent", "normal", "bulk"], 1):
            fleet.prefect("work-queue", "create", name, "--pool", "stenoflow", "--priority", str(priority))
        fleet.prefect("--no-prompt", "deploy", "--all")
        yield fleet


if __name__ == "__main__":
    sys.exit(main())
