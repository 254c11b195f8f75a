"""Two runs on the same at the same time: each segment is bought once, and a dead run is not waited for."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from stenoflow.flows.outcome import Outcome
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.jobs.transcribe.request import request_of
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources import resolve
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from tests.flows.conftest import Command, Meeting
from tests.flows.held import IN_FLIGHT, Held
from tests.flows.processes import ARGUMENTS, SEGMENTS, running, wait_for
from tests.flows.silent import silent_runner
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer


def _line(out: str) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(out)
    return line


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("renamed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_same_recording_twice_at_once_is_bought_once(
    api: AudioApiServer, meeting: Meeting, tmp_path: Path, renamed: bool
) -> None:
    api.delay_s = 1.0
    other = Meeting(tmp_path / "copy.mp3", meeting.words, meeting.seconds) if renamed else meeting
    if renamed:
        shutil.copy(meeting.path, other.path)
    with ExitStack() as stack:
        processes = [stack.enter_context(running(each, tmp_path)) for each in (meeting, other)]
        outputs = [process.communicate() for process in processes]
    lines = [_line(out) for out, _ in outputs]
    assert [line["status"] for line in lines] == ["complete", "complete"], outputs
    assert len(api.calls) == SEGMENTS
    assert sum(line["calls"] for line in lines) == SEGMENTS
    assert (lines[0]["job"] == lines[1]["job"]) is not renamed


@pytest.mark.program
def test_a_run_waits_for_one_that_is_alive_and_takes_over_when_that_is_killed(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    api.recogniser = held = Held(after=1)
    with running(meeting, tmp_path) as first:
        wait_for(lambda: held.waiting == IN_FLIGHT, first)
        with running(meeting, tmp_path) as second:
            assert second.stderr is not None
            said = iter(second.stderr.readline, "")
            assert any("another run is at work on it" in line for line in said)
            first.kill()
            first.wait()
            held.release()
            out, _ = second.communicate()
    assert _line(out)["status"] == "complete"
    assert len(api.calls) <= SEGMENTS + 2
    shown = json.loads(stenoflow("show", _line(out)["job"], "--json").out)
    recorded = sum(float(shown[name]) for name in ("cost", "possible_cost"))
    billed = sum(round(call.seconds * 100) for call in api.calls)
    assert recorded * 1_000_000 >= 0.99 * billed
    assert stenoflow("transcribe", meeting.path, *ARGUMENTS).line["calls"] == 0


@pytest.mark.usefixtures("home")
def test_while_calls_are_busy_no_more_recordings_are_taken_than_can_be_begun(
    api: AudioApiServer, tmp_path: Path
) -> None:
    """What one process has taken and not begun, no other can begin with."""
    api.recogniser = held = Held(after=0)
    folder, seconds, calls = tmp_path / "in", 90, 4
    folder.mkdir()
    for number in range(8):
        # Of other lengths, so that none is another's copy.
        write(folder / f"{number}.wav", script(seconds + number), seconds + number)
    taken: list[str] = []

    async def coming(context: AppContext) -> AsyncIterator[TranscribeWork]:
        request = request_of(context, RecordingOptions(segment_seconds=10))
        for source in resolve(str(folder), context.s3, taken.append):
            taken.append(source.name)
            yield TranscribeWork(source, request, [])
            # The others come once the first one keeps all calls busy.
            await asyncio.to_thread(wait_for, lambda: held.waiting == calls or len(taken) > 1)

    async def act() -> list[str]:
        outcomes: list[Outcome] = []
        with open_context(load_settings()) as context:
            work = asyncio.create_task(silent_runner(context, calls).follow(coming(context), outcomes.append))
            await asyncio.to_thread(wait_for, lambda: len(taken) > 3)
            await asyncio.sleep(1.0)
            seen = len(taken)
            held.release()
            await work
        assert seen == 4
        return [each.status for each in outcomes]

    assert asyncio.run(act()) == ["complete"] * 8
