"""What the workers of a fleet share, and how they are started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import boto3.session
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import create_engine, func, make_url, select, text
from sqlalchemy.orm import Session

from stenoflow.flows.prefect_server import start_server
from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.states import ChargeKind, JobState
from stenoflow.storage.database.tables import Attempt, Charge, Job, Recording
from tests.servers.audio_api import AudioApiServer
from tests.servers.installed_postgres import find_programs, has_extension, installed_postgres
from tests.servers.postgres import postgres_database
from tests.servers.postgres_outage import Outage, mortal_postgres_server
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, start_s3
from tests.servers.s3_proxy import S3Proxy, s3_proxy
from tests.servers.seaweedfs import find_weed, start_seaweedfs

_ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Fleet:
    """What the workers share.

    Attributes:
        folder: for homes and logs.
        environment: names the Prefect server, the database, the store and the API.
        database: its address.
        outage: has its server go away and come back.
        store: the way to S3, which can be slowed.
        server: the process of Prefect's server.
        prefects: the address of Prefect's own; None: it is in SQLite.
        inbox: a drop folder's.
    """

    folder: Path
    environment: dict[str, str]
    database: str
    prefects: str | None
    inbox: str
    outage: Outage
    store: S3Proxy
    server: int

    def start_worker(self, name: str, runs: int) -> subprocess.Popen[bytes]:
        """Start a worker that has some flow runs at once."""
        limits = ["--pool", "stenoflow", "--name", name, "--limit", str(runs)]
        return self.start(name, "worker", "start", *limits)

    def prefect(self, *arguments: str) -> None:
        """Run Prefect's own command to its end."""
        assert self.start("operator", *arguments).wait() == 0, arguments

    def deploy(self) -> None:
        """Register the deployments, with `stenoflow deploy`."""
        assert self.start("operator", "deploy", "--pool", "stenoflow", program="stenoflow").wait() == 0

    def transcribe_plainly(self, inboxes: Sequence[str], calls: int) -> float:
        """Transcribe inboxes side by side without Prefect; return the CPU seconds of all.

        Into another database and place, so that nothing is known of them.

        Args:
            inboxes: a command takes each.
            calls: at once, of each.
        """
        without = {name: value for name, value in self.environment.items() if name != "PREFECT_API_URL"}
        spent_s = 0.0
        with postgres_database(self.database) as database:
            ours = {"STENOFLOW_DATABASE_URL": database, "STENOFLOW_STORE": "s3://store/plain"}
            plain = replace(self, environment=without | ours)
            assert plain.start("plain", "db", "upgrade", program="stenoflow").wait() == 0
            asked = ["--looks", "1", "--concurrency", str(calls)]
            begun = [
                plain.start(f"plain {number}", "ingest", inbox, *asked, program="stenoflow")
                for number, inbox in enumerate(inboxes)
            ]
            for number, process in enumerate(begun):
                _, status, usage = os.wait4(process.pid, 0)
                assert status == 0, (self.folder / f"plain {number}" / "log").read_text()[-2000:]
                spent_s += usage.ru_utime + usage.ru_stime
        return spent_s

    def start(self, home: str, *arguments: str, program: str = "prefect") -> subprocess.Popen[bytes]:
        """Start a program in a home of its own, as the leader of its processes."""
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

    def asked_for(self) -> int:
        """Return how many segments were sent, however often each."""
        segments = select(Attempt.job_id, Attempt.segment_index).distinct().subquery()
        with self._reading() as session:
            return int(session.scalar(select(func.count()).select_from(segments)) or 0)

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
def running_fleet(folder: Path, api: AudioApiServer, calls: int) -> Iterator[Fleet]:
    """Run all that the workers share for the block.

    Args:
        folder: for homes and logs.
        api: calls go there.
        calls: at once, of each flow run.
    """
    with ExitStack() as stack:
        outage = stack.enter_context(mortal_postgres_server())
        theirs = stack.enter_context(_prefects_database())
        store = stack.enter_context(s3_proxy(stack.enter_context(_store())))
        ours = outage.url
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": store.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "DO_NOT_TRACK": "1",
            "OPENAI_API_KEY": "sk-fleet-0123456789",
            "OPENAI_BASE_URL": api.base_url,
            "PREFECT_HOME": str(folder / "server"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # Compiled once, as what is installed from a wheel is.
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "STENOFLOW_CONCURRENCY": str(calls),
            "STENOFLOW_DATABASE_URL": ours,
            "STENOFLOW_STORE": "s3://store/artifacts",
            # Nobody looks at its feed of events, nor has it automations.
            "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
            # Four that ask each ten seconds cost the server a fifth of what it does.
            "PREFECT_WORKER_QUERY_SECONDS": "60",
            # What it does each five seconds for what pauses or is late, and for each state of a task run.
            "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "60",
            "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "60",
            "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "60",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
        }
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        if theirs is not None:
            driven = make_url(theirs).set(drivername="postgresql+asyncpg")
            os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = driven.render_as_string(False)
            # Its own 5 are not enough where a dozen flow runs begin at once.
            os.environ["PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE"] = "20"
        (folder / "server").mkdir()
        client = boto3.session.Session().client("s3")
        for bucket in ("store", "meetings"):
            client.create_bucket(Bucket=bucket)
        prefect = start_server()
        stack.callback(prefect.stop)
        prefect.wait()
        os.environ["PREFECT_API_URL"] = prefect.api_url
        fleet = Fleet(folder, dict(os.environ), ours, theirs, "s3://meetings/in/", outage, store, prefect.pid)
        fleet.deploy()
        yield fleet
