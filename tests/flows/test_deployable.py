"""The flows that Prefect starts by itself, run here in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from stenoflow.flows.outcome import Outcome, TranscriptDetails
from stenoflow.flows.prefect_server import begin_start, surround
from stenoflow.storage.database.states import JobState
from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings
from tests.flows.conftest import Command, Meeting, write_settings
from tests.flows.transcripts import transcribed
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer
from tests.servers.s3 import Bucket, Queue

_ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def inbox(tmp_path: Path, meeting: Meeting) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    shutil.copy(meeting.path, folder / "talk.mp3")
    return folder


@pytest.fixture
def prefect(prefect_api: str) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Run something that talks to Prefect, whose server is there."""
    assert prefect_api

    def run(act: Callable[[], Awaitable[Any]]) -> Any:
        async def ready() -> Any:
            await begin_start().ready()
            return await act()

        return asyncio.run(ready())

    return run


async def flow_runs(name: str) -> list[Any]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))


async def registered(*names: str, pool: str | None = None) -> None:
    """Register deployments; where a pool of workers is named, under its name."""
    from prefect.client.orchestration import get_client
    from prefect.types.entrypoint import EntrypointType

    from stenoflow.flows import deployable
    from stenoflow.flows.deployments import make_pool
    from stenoflow.flows.desk.prefect_api import DEPLOYMENT

    if pool is not None:
        async with get_client() as client:
            await make_pool(client, pool, "process")
    for name in names:
        deployment = await getattr(deployable, name).ato_deployment(
            pool or DEPLOYMENT,
            entrypoint_type=EntrypointType.MODULE_PATH,
            work_pool_name=pool,
            work_queue_name=None if pool is None else "normal",
        )
        await deployment.aapply()


@pytest.mark.program
def test_every_entrypoint_of_prefect_yaml_is_a_flow(home: Path) -> None:
    surround(home)
    from prefect.flows import load_flow_from_entrypoint

    entrypoints = re.findall(r"entrypoint: (\S+)", (_ROOT / "prefect.yaml").read_text("utf-8"))
    assert entrypoints
    for entrypoint in entrypoints:
        assert entrypoint.startswith("stenoflow.flows.")
        assert load_flow_from_entrypoint(entrypoint).fn.__name__ == entrypoint.rpartition(".")[2]


@pytest.mark.program
def test_a_text_that_was_spoken_in_part_is_resumed(
    prefect: Any, api: AudioApiServer, stenoflow: Command, tmp_path: Path
) -> None:
    write_settings('[speech_models."tts-1"]\nmax_characters = 16\n')
    api.script(["ok", "400"])
    speak = ("speak", "The first one. The second one.", "-o", tmp_path / "x.wav", "--json")
    job_id = stenoflow(*speak).line["job"]

    async def act() -> Any:
        from stenoflow.flows.deployable import resume

        return await resume(job_id, return_state=True)

    assert prefect(act).is_completed()
    assert (stenoflow(*speak).line["calls"], len(api.speech.calls)) == (0, 3)


@pytest.mark.program
def test_a_recording_is_transcribed_and_shown(
    prefect: Any, api: AudioApiServer, meeting: Meeting, stenoflow: Command
) -> None:
    async def act() -> Any:
        from prefect.artifacts import Artifact

        from stenoflow.flows.deployable import transcribe
        from stenoflow.tasks.sources.inbox.options import RecordingOptions

        options = RecordingOptions(tag="board", segment_seconds=60)
        state = await transcribe(str(meeting.path), options, return_state=True)
        again = await transcribe(str(meeting.path), options, return_state=True)
        (job,) = [json.loads(line) for line in stenoflow("jobs", "--json").out.splitlines()]
        shown = [await Artifact.aget(f"{kind}-{job['job']}") for kind in ("segments", "summary")]
        return state, again, job, [each and each.data for each in shown]

    state, again, job, (segments, summary) = prefect(act)
    assert (state.is_completed(), again.is_completed()) == (True, True)
    assert (job["state"], job["tag"], len(api.calls)) == ("complete", "board", 4)
    rows = json.loads(segments)
    assert [row["state"] for row in rows] == ["done"] * 4
    assert sum(float(row["cost"]) for row in rows) == pytest.approx(0.024)
    assert meeting.words[0].text in summary
    assert "transcript.srt" in summary


@pytest.mark.program
def test_one_limit_holds_for_all_calls_of_all_runs(
    prefect: Any, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_SHARED_CALLS", "1")
    api.delay_s = 0.3

    async def act() -> Any:
        from stenoflow.flows.deployable import transcribe
        from stenoflow.tasks.sources.inbox.options import RecordingOptions

        return await transcribe(str(meeting.path), RecordingOptions(segment_seconds=60), return_state=True)

    assert prefect(act).is_completed()
    assert (api.peak, len(api.calls)) == (1, 4)


_TWO_SLOTS = """
import asyncio
from stenoflow.flows.deployment_context import shared_limits
from stenoflow.tasks.settings import load_settings

async def both():
    slot = shared_limits(load_settings())
    async with slot(), slot():
        print("both are in")

asyncio.run(both())
"""


@pytest.mark.program
def test_without_a_server_the_limit_of_this_process_is_all_there_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    surround(home)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/api")
    monkeypatch.setenv("STENOFLOW_SHARED_CALLS", "1")
    # In a process of its own: Prefect's settings are those of its import.
    printed = subprocess.run(
        [sys.executable, "-c", _TWO_SLOTS],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert printed.stdout == "both are in\n"


@pytest.mark.program
def test_no_key_is_seen_in_the_dashboard(prefect: Any, api: AudioApiServer, meeting: Meeting) -> None:
    api.key = "another"

    async def act() -> str:
        from prefect.client.orchestration import get_client

        from stenoflow.flows.deployable import transcribe

        await transcribe(str(meeting.path), return_state=True)
        async with get_client() as client:
            seen = [*await client.read_flow_runs(), *await client.read_artifacts(), *await client.read_logs()]
        return "\n".join(each.model_dump_json() for each in seen)

    seen = prefect(act)
    assert "OPENAI_API_KEY" in seen, "the refusal is to be seen"
    assert "sk-test-0123456789" not in seen


@pytest.mark.program
def test_what_fails_says_why_and_where_to_look_under_our_tag(
    prefect: Any, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.script(["400"])
    monkeypatch.setenv("STENOFLOW_DESK_URL", "https://desk.example.com/")

    async def act() -> Any:
        from prefect.client.orchestration import get_client

        from stenoflow.flows.deployable import transcribe
        from stenoflow.tasks.sources.inbox.options import RecordingOptions

        options = RecordingOptions(segment_seconds=60, tag="board")
        state = await transcribe(str(meeting.path), options, return_state=True)
        assert state.state_details.flow_run_id is not None
        async with get_client() as client:
            return state, await client.read_flow_run(state.state_details.flow_run_id)

    state, run = prefect(act)
    assert (state.is_failed(), state.name) == (True, "Partial")
    assert "400" in state.message
    assert re.search(r"https://desk\.example\.com/desk/jobs/\w+/", state.message)
    assert (run.name, run.tags) == (meeting.path.name, ["board"])


@pytest.mark.program
def test_a_recording_of_an_inbox_is_taken_in_once(prefect: Any, api: AudioApiServer, inbox: Path) -> None:
    async def act() -> Any:
        from stenoflow.flows.deployable import ingest_recording

        source = (inbox / "talk.mp3").as_uri()
        return [await ingest_recording(str(inbox), source, return_state=True) for _ in range(2)]

    states = prefect(act)
    assert [state.name for state in states] == ["Completed", "Skipped"]
    assert len(api.calls) == 1


@pytest.mark.usefixtures("api")
def test_ingest_asks_for_a_flow_run_a_recording_and_for_no_second_one(prefect: Any, inbox: Path) -> None:
    (inbox / "talk.json").write_text('{"priority": "urgent", "tag": "board"}')

    async def act() -> Any:
        from stenoflow.flows.deployable import ingest

        await registered("ingest_recording")
        before = len(await _asked_for(inbox))
        states = [
            await ingest(str(inbox), looks=1, allow=["priority", "tag"], return_state=True) for _ in range(2)
        ]
        return before, states, await _asked_for(inbox)

    before, states, runs = prefect(act)
    assert all(state.is_completed() for state in states)
    assert (before, len(runs)) == (0, 1)
    assert runs[0].parameters["options"] == {"priority": "urgent", "tag": "board"}


@pytest.mark.program
def test_flow_runs_share_many_recordings_and_those_that_are_not_needed_go(
    prefect: Any, api: AudioApiServer, inbox: Path, stenoflow: Command
) -> None:
    (inbox / "talk.mp3").unlink()
    for number in range(9):
        write(inbox / f"talk {number}.mp3", script(8 + number), 8 + number, "-b:a", "64k")

    async def act() -> Any:
        from stenoflow.flows.deployable import ingest, ingest_recordings

        await registered("ingest_recordings")
        looks = [await ingest(str(inbox), looks=1, return_state=True) for _ in range(2)]
        shared = await _sharing(inbox)
        ended = await ingest_recordings(**shared[0].parameters, return_state=True)
        again = await ingest(str(inbox), looks=1, return_state=True)
        shown = await _shown_by(ended)
        return looks, shared, ended, await _sharing(inbox), again, await _tasks_of(ended), shown

    looks, shared, ended, left, again, tasks, shown = prefect(act)
    assert [state.message.partition(" ")[0] for state in (*looks, again)] == ["9", "0", "0"]
    assert (len(shared), left) == (3, [])
    assert "talk" not in str(shared[0].parameters)
    assert (ended.message, len(api.calls)) == ("9 complete", 9)
    assert sorted(each.name.partition(" · ")[0] for each in tasks) == [f"talk {n}.mp3" for n in range(9)]
    assert [key.partition("-")[0] for key in shown] == ["summary"] * 9
    recording = stenoflow("jobs", "--json").lines[0]["recording"]
    assert stenoflow("forget", recording, "--yes").exit_code == 0
    assert len(prefect(lambda: _tasks_of(ended))) == 8


@pytest.mark.usefixtures("api")
def test_where_an_older_version_was_deployed_each_recording_has_a_flow_run(
    prefect: Any, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stenoflow.flows import dispatch

    monkeypatch.setattr(dispatch, "_MOST_FLOW_RUNS", 0)

    async def act() -> Any:
        from prefect.client.orchestration import get_client

        from stenoflow.flows.deployable import ingest

        await registered("ingest_recording", "ingest_recordings")
        async with get_client() as client:
            shared = await client.read_deployment_by_name(dispatch.INGEST_RECORDINGS)
            await client.delete_deployment(shared.id)
        return await ingest(str(inbox), looks=1, return_state=True), await _sharing(inbox)

    look, shared = prefect(act)
    assert (look.message.partition(" ")[0], shared) == ("1", [])


@pytest.mark.program
def test_what_was_not_taken_in_a_stint_is_left_to_another_flow_run(
    prefect: Any, api: AudioApiServer, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stenoflow.flows import dispatch

    monkeypatch.setattr(dispatch, "_STINT_S", 0.0)
    monkeypatch.setattr(dispatch, "_MOST_FLOW_RUNS", 0)
    shutil.copy(inbox / "talk.mp3", inbox / "the same.mp3")

    async def act() -> Any:
        from stenoflow.flows.deployable import ingest, ingest_recordings
        from stenoflow.flows.dispatch import ask_for_another

        await registered("ingest_recordings", "resume")
        await ingest(str(inbox), looks=1, return_state=True)
        (shared,) = await _sharing(inbox)
        seen: list[tuple[str | None, int]] = []
        async with _waiting("resume/stenoflow", {"job": "another"}):
            for _ in range(2):
                state = await ingest_recordings(**shared.parameters, return_state=True)
                if not seen:
                    await ask_for_another(str(shared.id))
                seen.append((state.message, len(await _sharing(inbox))))
        return seen

    # What was asked for to go on goes, too, once nothing is left to do.
    assert prefect(act) == [("1 complete", 2), ("1 complete", 0)]
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    ("ended", "waiting", "asked"),
    [(["complete", "complete"], 1, 1), (["failed"], 1, 0), (["complete"], 0, 0)],
)
def test_once_the_first_is_complete_another_flow_run_is_asked_for_while_any_waits(
    prefect: Any, inbox: Path, ended: list[str], waiting: int, asked: int
) -> None:
    async def act() -> Any:
        from prefect.client.orchestration import get_client

        from stenoflow.flows.dispatch import asking_for_another

        await registered("ingest_recordings")
        given = {"inbox": str(inbox), "batch": "these", "recordings": 2}
        async with get_client() as client:
            named = await client.read_deployment_by_name("ingest recordings/stenoflow")
            run = await client.create_flow_run_from_deployment(named.id, parameters=given)
        with open_context(load_settings(), str(run.id)) as context, context.leases.held(str(run.id)):
            context.arrivals.expect("these", [(f"{inbox}/{each}", "5-1") for each in range(1 + waiting)])
            context.arrivals.take_next("these")
            async with asking_for_another(context.arrivals, "these", str(run.id)) as note:
                for status in ended:
                    note(Outcome(status, TranscriptDetails()))
        return [each.parameters for each in await _sharing(inbox) if each.id != run.id], given

    found, given = prefect(act)
    assert found == [given] * asked


def test_a_stint_is_over_once_others_need_its_place(prefect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from stenoflow.flows import dispatch

    monkeypatch.setattr(dispatch, "_STINT_S", 0.0)
    monkeypatch.setattr(dispatch, "_ASK_AGAIN_S", 0.0)

    async def act() -> Any:
        from prefect.client.orchestration import get_client

        from stenoflow.flows.dispatch import Stint

        # Of its own, as other tests leave flow runs that wait.
        await registered("recover", "resume", "ingest_recordings", pool="stint")
        async with get_client() as client:
            named = await client.read_deployment_by_name("ingest recordings/stint")
            asked = {"inbox": "there", "batch": "these", "recordings": 2}
            run = await client.create_flow_run_from_deployment(named.id, parameters=asked)
        stint = Stint(str(run.id))
        seen = [await stint.is_over()]
        async with _waiting("recover/stint"), _waiting("ingest recordings/stint", asked):
            seen.append(await stint.is_over())
            async with _waiting("resume/stint", {"job": "another"}, later=timedelta(hours=1)):
                seen.append(await stint.is_over())
            async with _waiting("resume/stint", {"job": "another"}, queue="bulk"):
                seen.append(await stint.is_over())
            async with _waiting("ingest recordings/stint", asked | {"batch": "others"}):
                seen.append(await stint.is_over())
        return [*seen, await stint.is_over()]

    assert prefect(act) == [False, False, False, False, True, True]


@contextlib.asynccontextmanager
async def _waiting(
    deployment: str,
    parameters: dict[str, Any] | None = None,
    queue: str | None = None,
    later: timedelta = timedelta(),
) -> AsyncIterator[None]:
    """Have a flow run wait for a place for as long as the block lasts."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import State
    from prefect.states import Scheduled

    async with get_client() as client:
        named = await client.read_deployment_by_name(deployment)
        due: State[None] = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(seconds=1) + later)
        run = await client.create_flow_run_from_deployment(
            named.id, parameters=parameters, state=due, work_queue_name=queue
        )
        yield
        await client.delete_flow_run(run.id)


async def _tasks_of(state: Any) -> list[Any]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    ours = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    async with get_client() as client:
        return await client.read_task_runs(flow_run_filter=ours)


async def _shown_by(state: Any) -> list[str]:
    """Return the keys of what a flow run shows."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    ours = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    async with get_client() as client:
        return [each.key or "" for each in await client.read_artifacts(flow_run_filter=ours)]


async def _sharing(inbox: Path) -> list[Any]:
    ours = [run for run in await all_runs() if run.deployment_id and run.parameters.get("recordings")]
    return [run for run in ours if str(inbox) in run.parameters["inbox"]]


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_a_look_empties_the_queue_of_its_inbox(
    prefect: Any, bucket: Bucket, queue: Queue, meeting: Meeting, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.put("in/town hall.mp3", meeting.path.read_bytes())
    for key in ("in/town hall.mp3", "in/town hall.mp3", "out/other.mp3"):
        queue.announce(bucket.name, key)
    queue.say("hello")

    # Prefect's own settings of the tests let nothing through.
    caplog.set_level("WARNING", "stenoflow.flows.deployable")

    async def act() -> Any:
        from prefect.client.orchestration import get_client

        from stenoflow.flows.deployable import ingest

        await registered("ingest_recording")
        states = [await ingest(f"{bucket.url}/in/", looks=1, queue=url, return_state=True) for url in urls]
        async with get_client() as client:
            return states, await client.read_flow_runs()

    urls = [queue.url, f"{queue.url}-none"]
    (done, refused), runs = prefect(act)
    asked = [run for run in runs if run.parameters.get("inbox") == f"{bucket.url}/in/"]
    sources = {run.parameters["source"] for run in asked if "source" in run.parameters}
    assert (done.is_completed(), sources) == (True, {f"{bucket.url}/in/town hall.mp3"})
    # What is no event of S3 is left to whoever else reads it.
    assert queue.left() == 1
    said = caplog.text
    assert "is passed over: " in said
    assert f"names no recording of {bucket.url}/in/" in said
    assert refused.is_failed()
    assert f"the queue {urls[1]} is not there" in refused.message


async def _asked_for(inbox: Path) -> list[Any]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        runs = await client.read_flow_runs()
    return [run for run in runs if run.parameters.get("source", "").startswith(inbox.as_uri())]


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_jobs_that_a_run_died_over_are_taken_up(prefect: Any, meeting: Meeting, stenoflow: Command) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    with open_context(load_settings()) as context:
        context.catalog.claim(line["job"])
        assert context.catalog.job(line["job"]).state == JobState.RUNNING

    async def act() -> Any:
        from stenoflow.flows.deployable import recover

        await registered("resume")
        await recover()
        await recover()
        return [run for run in await all_runs() if run.parameters.get("job") == line["job"]]

    assert len(prefect(act)) == 1


async def all_runs() -> list[Any]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        return await client.read_flow_runs()


async def started(name: str, **parameters: Any) -> str:
    """Return the id of a flow run that is running, as far as Prefect knows."""
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    await registered(name)
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(f"{name.replace('_', ' ')}/stenoflow")
        run = await client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
        await client.set_flow_run_state(run.id, Running(), force=True)
    return str(run.id)


async def came_of(*run_ids: str) -> list[tuple[str, str, list[str]]]:
    """Return source, state and tags of flow runs and of those that were asked for since."""
    runs = sorted(await all_runs(), key=lambda run: run.created)
    first = next(number for number, run in enumerate(runs) if str(run.id) in run_ids)
    since = [run for run in runs[first:] if run.tags or "source" in run.parameters]
    return [(run.parameters.get("source"), run.state_name, run.tags) for run in since]


@pytest.fixture
def no_time_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.client.schemas.objects import StateType

    from stenoflow.flows import dispatch

    monkeypatch.setattr(
        dispatch, "_STARTING", {StateType.RUNNING: timedelta(), StateType.PENDING: timedelta()}
    )
    monkeypatch.setattr(dispatch, "LEASE", timedelta())


@pytest.mark.usefixtures("no_time_to_start")
def test_a_flow_run_that_dies_before_it_has_begun_is_asked_for_anew(prefect: Any, inbox: Path) -> None:
    async def act() -> Any:
        from prefect.client.orchestration import get_client

        from stenoflow.flows.deployable import recover

        lost = await started("ingest_recording", inbox=str(inbox), source="lost")
        alive = await started("transcribe", source="alive")
        with open_context(load_settings()) as context, context.leases.held(alive):
            await recover()
        seen = await came_of(lost)
        async with get_client() as client:
            # Else the next test would find it dead.
            await client.delete_flow_run(UUID(alive))
        return seen

    as_they_are = [("lost", "Crashed", []), ("alive", "Running", []), ("lost", "Scheduled", ["recovered"])]
    assert prefect(act)[:3] == as_they_are


@pytest.mark.program
def test_while_something_is_alive_that_recovers_no_process_begins_for_it(prefect: Any) -> None:
    async def act() -> Any:
        from prefect.client.orchestration import get_client
        from prefect.types.entrypoint import EntrypointType

        from stenoflow.flows import deployable
        from stenoflow.flows.dispatch import delete_idle_looks, recover_and_tidy

        every = timedelta(seconds=50)
        deployment = await deployable.recover.ato_deployment(
            "again", interval=every, entrypoint_type=EntrypointType.MODULE_PATH
        )
        id_ = await deployment.aapply()
        async with get_client() as client:

            async def states() -> list[str | None]:
                runs = [run for run in await all_runs() if run.deployment_id == id_]
                return [run.state_name for run in sorted(runs, key=lambda run: run.expected_start_time)]

            path: Any = f"/deployments/{id_}/schedule"
            schedule = partial(client.request, "POST", path, json={"min_runs": 4})
            asked = await client.create_flow_run_from_deployment(id_)
            (await schedule()).raise_for_status()
            with open_context(load_settings()) as context:
                await recover_and_tidy(context)
            await delete_idle_looks()
            (await schedule()).raise_for_status()
            seen = await states()
            await client.delete_flow_run(asked.id)
            await client.delete_deployment(id_)
        return seen

    # What is cancelled stays until its time, or it would be scheduled anew; what a person asked for is left.
    asked, *others = prefect(act)
    cancelled = others.count("Cancelled")
    assert (asked, cancelled in {1, 2}) == ("Scheduled", True)
    assert others[: cancelled + 1] == ["Cancelled"] * cancelled + ["Scheduled"]


@pytest.mark.program
@pytest.mark.usefixtures("no_time_to_start")
def test_what_died_is_recovered_by_those_that_are_alive(
    prefect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stenoflow.flows import dispatch

    monkeypatch.setattr(dispatch, "_RECOVER_EVERY", timedelta(milliseconds=10))

    async def act() -> Any:
        lost = await started("ingest_recording", inbox="inbox", source="lost while others live")
        with open_context(load_settings()) as context:
            async with dispatch.recovering(context):
                while len(seen := await came_of(lost)) < 2:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)
        return seen

    assert [(state, tags) for _, state, tags in prefect(act)] == [
        ("Crashed", []),
        ("Scheduled", ["recovered"]),
    ]


def test_what_a_killed_serve_had_not_begun_is_asked_for_at_its_next_start(prefect: Any) -> None:
    async def act() -> Any:
        from prefect.client.orchestration import get_client

        from stenoflow.flows.dispatch import recover_crashed_runs

        lost, alive = [await started("transcribe", source=name) for name in ("lost at start", "at work")]
        with open_context(load_settings()) as context, context.leases.held(alive):
            await recover_crashed_runs(context)
            before = await came_of(lost)
            await recover_crashed_runs(context, at_start=True)
        seen = await came_of(lost)
        async with get_client() as client:
            await client.delete_flow_run(UUID(alive))
        return before, seen

    before, seen = prefect(act)
    assert ("lost at start", "Running", []) in before
    assert {("lost at start", "Crashed", ()), ("lost at start", "Scheduled", ("recovered",))} <= {
        (source, state, tuple(tags)) for source, state, tags in seen
    }
    assert ("at work", "Running", []) in seen


@pytest.mark.program
@pytest.mark.usefixtures("no_time_to_start")
def test_what_a_worker_took_and_never_began_is_asked_for_once_it_is_silent(prefect: Any) -> None:
    async def act() -> Any:
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.actions import WorkPoolCreate
        from prefect.states import Pending
        from prefect.types.entrypoint import EntrypointType

        from stenoflow.flows import deployable
        from stenoflow.flows.deployable import recover
        from stenoflow.flows.dispatch import _has_lost_its_worker

        async with get_client() as client:
            for kind in ("process", "docker"):
                await client.create_work_pool(WorkPoolCreate(name=kind, type=kind))
            taken = {}
            for pool, worker in (
                ("process", "gone"),
                ("process", "here"),
                ("process", ""),
                ("docker", "gone"),
            ):
                deployment = await deployable.transcribe.ato_deployment(
                    f"in {pool}", work_pool_name=pool, entrypoint_type=EntrypointType.MODULE_PATH
                )
                made = await deployment.aapply()
                run = await client.create_flow_run_from_deployment(made, parameters={"source": worker})
                await client.set_flow_run_state(run.id, Pending())
                if worker:
                    await client.update_flow_run_labels(run.id, {"prefect.worker.name": worker})
                taken[pool, worker] = run.id
            for pool, worker in (("process", "gone"), ("process", "here"), ("docker", "gone")):
                await client.send_worker_heartbeat(pool, worker, 1 if worker == "gone" else 600)
            await asyncio.sleep(4)
            found = {
                who
                for who, id_ in taken.items()
                if await _has_lost_its_worker(client, await client.read_flow_run(id_))
            }
            lost = str(taken["process", "gone"])
            await recover()
            seen = await came_of(lost)
            for id_ in taken.values():
                await client.delete_flow_run(id_)
        return found, seen

    found, seen = prefect(act)
    assert found == {("process", "gone"), ("process", "")}
    assert ("gone", "Crashed", []) in seen
    assert ("gone", "Scheduled", ["recovered"]) in seen


@pytest.mark.program
@pytest.mark.usefixtures("no_time_to_start")
@pytest.mark.parametrize("is_start", [False, True])
def test_a_look_that_died_does_not_keep_its_inbox_closed(prefect: Any, is_start: bool) -> None:
    async def act() -> Any:
        from prefect.client.orchestration import get_client
        from prefect.states import Pending, Running

        from stenoflow.flows.deployable import recover as recover_crashed
        from stenoflow.flows.dispatch import free_slots

        async def recover() -> None:
            if is_start:
                with open_context(load_settings()) as context:
                    await free_slots(context)
            else:
                await recover_crashed()

        async with get_client() as client:
            ids = [await looks_alone(name) for name in ("died", "alive", "erased", "without its inbox")]
            looks = [await client.create_flow_run_from_deployment(each) for each in ids]
            for look in looks:
                await client.set_flow_run_state(look.id, Pending())
                await client.set_flow_run_state(look.id, Running())
            await client.delete_flow_run(looks[2].id)
            await client.update_global_concurrency_limit(f"deployment:{ids[2]}", one_slot_taken())
            await client.delete_deployment(ids.pop())
            with open_context(load_settings()) as context, context.leases.held(str(looks[1].id)):
                await recover()
            seen = [(await client.read_flow_run(look.id)).state_name for look in looks[:2]]
            slots = [
                (await client.read_global_concurrency_limit_by_name(f"deployment:{each}")).active_slots
                for each in ids
            ]
            for look in (looks[0], looks[1], looks[3]):
                # Else the next test would find them.
                await client.delete_flow_run(look.id)
        return seen, slots

    assert prefect(act) == (["Crashed", "Running"], [0, 1, 0])


def one_slot_taken() -> Any:
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    return GlobalConcurrencyLimitUpdate(active_slots=1)


async def looks_alone(name: str) -> UUID:
    """Register an inbox of which one look runs at a time."""
    from prefect.types.entrypoint import EntrypointType

    from stenoflow.flows import deployable
    from stenoflow.flows.deployments import _ALONE

    deployment = await deployable.ingest.ato_deployment(
        name,
        concurrency_limit=_ALONE,
        parameters={"inbox": name},
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    made = await deployment.aapply()
    assert isinstance(made, UUID)
    return made


@pytest.mark.program
@pytest.mark.usefixtures("api", "no_time_to_start")
@pytest.mark.parametrize("said_by_its_worker", [False, True])
def test_all_that_a_flow_run_was_to_do_is_asked_for_anew(
    prefect: Any, meeting: Meeting, stenoflow: Command, said_by_its_worker: bool
) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line

    async def act() -> Any:
        from prefect.client.orchestration import get_client
        from prefect.states import Crashed

        from stenoflow.flows.deployable import recover

        run_id = await started("transcribe", source="folder")
        with open_context(load_settings(), run_id) as context:
            context.catalog.claim(line["job"])
        if said_by_its_worker:
            async with get_client() as client:
                await client.set_flow_run_state(UUID(run_id), Crashed(), force=True)
        await recover()
        return await came_of(run_id)

    assert prefect(act) == [("folder", "Crashed", []), ("folder", "Scheduled", ["recovered"])]


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_a_job_that_run_after_run_died_over_is_not_begun_for_ever(
    prefect: Any, meeting: Meeting, stenoflow: Command
) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    for _ in range(3):
        with open_context(load_settings()) as context:
            context.catalog.claim(line["job"])

    async def act() -> Any:
        from prefect import tags

        from stenoflow.flows.deployable import resume

        with tags("recovered"):
            by_itself = await resume(line["job"], return_state=True)
        return by_itself, await resume(line["job"], return_state=True)

    by_itself, by_somebody = prefect(act)
    assert "3 runs in a row died" in by_itself.message
    assert by_somebody.is_completed()


def test_looks_that_found_nothing_leave_no_flow_run(prefect: Any, tmp_path: Path) -> None:
    async def act() -> list[str]:
        from prefect.client.orchestration import get_client
        from prefect.exceptions import ObjectNotFound

        from stenoflow.flows.deployable import recover
        from stenoflow.flows.dispatch import ended_look

        looks = {asked: UUID(await started("ingest", inbox=str(tmp_path))) for asked in (0, 2)}
        left = []
        async with get_client() as client:
            for asked in (0, 2):
                await client.set_flow_run_state(looks[asked], ended_look(asked, "ended"), force=True)
            await recover()
            for run_id in looks.values():
                with contextlib.suppress(ObjectNotFound):
                    left.append((await client.read_flow_run(run_id)).state_name or "")
        return left

    assert prefect(act) == ["Completed"]


@pytest.mark.program
def test_minutes_are_made_and_shown(prefect: Any, api: AudioApiServer, stenoflow: Command) -> None:
    job = transcribed(("Good morning.", "We ship on Friday."))

    async def act() -> Any:
        from prefect.artifacts import Artifact

        from stenoflow.flows.deployable import digest, resume

        state = await digest(job, return_state=True)
        (made,) = [each for each in stenoflow("jobs", "--json").lines if each["kind"] == "digest"]
        return (
            state,
            await Artifact.aget(f"summary-{made['job']}"),
            await resume(made["job"], return_state=True),
        )

    state, shown, again = prefect(act)
    assert state.is_completed()
    assert again.is_completed()
    assert "We ship on Friday" in shown.data
    assert len(api.chat.chats) == 1
    # Their flow runs bear the recording's name, and go with it.
    recording = stenoflow("jobs", "--json").lines[0]["recording"]
    assert stenoflow("forget", recording, "--yes", "--json").line["flow_runs"] == 2
