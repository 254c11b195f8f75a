"""The flows that Prefect starts by itself, run here in this process."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from flows.orchestration import begin_start, surround
from storage.database.states import JobState
from tasks.settings import load_settings
from tasks.workshop import open_workshop
from tests.flows.conftest import Command, Meeting
from tests.flows.transcripts import transcribed
from tests.servers.audio_api import AudioApiServer

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def inbox(tmp_path: Path, meeting: Meeting) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    shutil.copy(meeting.path, folder / "talk.mp3")
    return folder


@pytest.fixture
def prefect(home: Path) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Run something that talks to Prefect, once its server is there."""
    surround(home)

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


async def registered(*names: str) -> None:
    from flows import deployable
    from flows.spreading import DEPLOYMENT

    for name in names:
        deployment = await getattr(deployable, name).ato_deployment(DEPLOYMENT)
        await deployment.aapply()


def test_a_text_that_was_spoken_in_part_is_resumed(
    prefect: Any, api: AudioApiServer, stenoflow: Command, tmp_path: Path
) -> None:
    Path("stenoflow.toml").write_text('[speech_models."tts-1"]\nmax_characters = 16\n', "utf-8")
    api.script(["ok", "400"])
    speak = ("speak", "The first one. The second one.", "-o", tmp_path / "x.wav", "--json")
    job_id = stenoflow(*speak).line["job"]

    async def act() -> Any:
        from flows.deployable import resume

        return await resume(job_id, return_state=True)

    assert prefect(act).is_completed()
    assert (stenoflow(*speak).line["calls"], len(api.speech.calls)) == (0, 3)


def test_a_recording_is_transcribed_and_shown(
    prefect: Any, api: AudioApiServer, meeting: Meeting, stenoflow: Command
) -> None:
    async def act() -> Any:
        from prefect.artifacts import Artifact

        from flows.deployable import transcribe
        from tasks.inbox.options import Options

        options = Options(tag="board", segment_seconds=60)
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


def test_one_limit_holds_for_all_calls_of_all_runs(
    prefect: Any, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_SHARED_CALLS", "1")
    api.delay_s = 0.3

    async def act() -> Any:
        from flows.deployable import transcribe
        from tasks.inbox.options import Options

        return await transcribe(str(meeting.path), Options(segment_seconds=60), return_state=True)

    assert prefect(act).is_completed()
    assert (api.peak, len(api.calls)) == (1, 4)


_TWO_SLOTS = """
import asyncio
from flows.limits import shared_limits
from tasks.settings import load_settings

async def both():
    slot = shared_limits(load_settings())
    async with slot(), slot():
        print("both are in")

asyncio.run(both())
"""


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


def test_no_key_is_seen_in_the_dashboard(prefect: Any, api: AudioApiServer, meeting: Meeting) -> None:
    api.key = "another"

    async def act() -> str:
        from prefect.client.orchestration import get_client

        from flows.deployable import transcribe

        await transcribe(str(meeting.path), return_state=True)
        async with get_client() as client:
            seen = [*await client.read_flow_runs(), *await client.read_artifacts(), *await client.read_logs()]
        return "\n".join(each.model_dump_json() for each in seen)

    seen = prefect(act)
    assert "OPENAI_API_KEY" in seen, "the refusal is to be seen"
    assert "sk-test-0123456789" not in seen


def test_what_fails_says_so_in_its_state(prefect: Any, api: AudioApiServer, meeting: Meeting) -> None:
    api.script(["400"])

    async def act() -> Any:
        from flows.deployable import transcribe
        from tasks.inbox.options import Options

        return await transcribe(str(meeting.path), Options(segment_seconds=60), return_state=True)

    state = prefect(act)
    assert (state.is_failed(), state.name) == (True, "Partial")
    assert "400" in state.message


def test_a_recording_of_an_inbox_is_taken_in_once(prefect: Any, api: AudioApiServer, inbox: Path) -> None:
    async def act() -> Any:
        from flows.deployable import take_in

        source = (inbox / "talk.mp3").as_uri()
        return [await take_in(str(inbox), source, return_state=True) for _ in range(2)]

    states = prefect(act)
    assert [state.name for state in states] == ["Completed", "Skipped"]
    assert len(api.calls) == 1


@pytest.mark.usefixtures("api")
def test_ingest_asks_for_a_flow_run_a_recording_and_for_no_second_one(prefect: Any, inbox: Path) -> None:
    (inbox / "talk.json").write_text('{"priority": "urgent", "tag": "board"}')

    async def act() -> Any:
        from flows.deployable import ingest

        await registered("take_in")
        before = len(await _asked_for(inbox))
        states = [await ingest(str(inbox), looks=1, return_state=True) for _ in range(2)]
        return before, states, await _asked_for(inbox)

    before, states, runs = prefect(act)
    assert all(state.is_completed() for state in states)
    assert (before, len(runs)) == (0, 1)
    assert runs[0].parameters["options"] == {"priority": "urgent", "tag": "board"}


async def _asked_for(inbox: Path) -> list[Any]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        runs = await client.read_flow_runs()
    return [run for run in runs if run.parameters.get("source", "").startswith(inbox.as_uri())]


@pytest.mark.usefixtures("api")
def test_jobs_that_a_run_died_over_are_taken_up(prefect: Any, meeting: Meeting, stenoflow: Command) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    with open_workshop(load_settings()) as workshop:
        workshop.catalog.claim(line["job"])
        assert workshop.catalog.job(line["job"]).state == JobState.RUNNING

    async def act() -> Any:
        from prefect.client.orchestration import get_client

        from flows.deployable import take_up

        await registered("resume")
        await take_up()
        await take_up()
        async with get_client() as client:
            return [run for run in await client.read_flow_runs() if run.parameters.get("job") == line["job"]]

    assert len(prefect(act)) == 1


def test_minutes_are_made_and_shown(prefect: Any, api: AudioApiServer, stenoflow: Command) -> None:
    job = transcribed(("Good morning.", "We ship on Friday."))

    async def act() -> Any:
        from prefect.artifacts import Artifact

        from flows.deployable import digest, resume

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
