"""The disk fills up while calls are in flight: what was obtained is kept, and the rest is bought after."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting, charges, read_artifact
from tests.flows.held import IN_FLIGHT, Held, command
from tests.flows.processes import ARGUMENTS, SEGMENTS, wait_for
from tests.flows.small_disk import full, small_disk
from tests.servers.audio_api import AudioApiServer

_BEFORE = 2


@pytest.fixture(autouse=True)
def little_is_enough_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_LEAST_FREE_MB", "1")


@pytest.mark.parametrize(
    ("where", "all_are_kept"),
    [
        pytest.param("work", True, marks=pytest.mark.slow, id="sound"),
        pytest.param(".", False, id="everything"),
    ],
)
def test_a_disk_that_fills_up_midway(
    stenoflow: Command,
    api: AudioApiServer,
    meeting: Meeting,
    home: Path,
    tmp_path: Path,
    where: str,
    all_are_kept: bool,
) -> None:
    """With only the sound on it, calls in flight are kept; with the database on it, they cannot be."""
    held = Held(_BEFORE)
    api.recogniser = held
    with small_disk(home / where, 16) as disk:
        with command(tmp_path, "transcribe", meeting.path, *ARGUMENTS) as process:
            wait_for(lambda: held.waiting == IN_FLIGHT, process)
            with full(disk):
                held.release()
                out, err = process.communicate()
        line = json.loads(out)
        assert process.returncode == 3
        assert (line["status"], line["error"]["kind"]) == ("failed", "disk-full"), line
        assert "no space left" in line["error"]["message"].lower()
        assert "Traceback" not in err
        bought = len(api.calls)
        assert _BEFORE + IN_FLIGHT <= bought < SEGMENTS
        kept = bought if all_are_kept else _BEFORE
        assert bought - kept <= IN_FLIGHT

        resumed = stenoflow("resume", line["job"], "--json").line
        assert resumed["status"] == "complete", resumed
        assert (resumed["calls"], resumed["reused"]) == (SEGMENTS - kept, kept)
        words = json.loads(read_artifact(resumed, "json"))["words"]
        assert [word["word"] for word in words] == [word.text for word in meeting.words]
        kinds = Counter(kind for kind, _ in charges(home))
        assert (kinds["actual"], kinds["possible"]) == (SEGMENTS, bought - kept)
