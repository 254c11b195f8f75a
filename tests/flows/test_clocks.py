"""Machines whose clocks are off: at PostgreSQL its own clock counts, so who is alive is not taken for dead.

There is no such test with SQLite: its runs share one machine, and so one clock.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stenoflow.storage.database.connection import open_database, upgrade
from tests.flows.conftest import Meeting
from tests.flows.held import IN_FLIGHT, Held, command
from tests.flows.processes import ARGUMENTS, SEGMENTS, wait_for
from tests.servers.audio_api import AudioApiServer
from tests.servers.postgres import postgres_database

_SHIFT = """
import datetime as real
import stenoflow.storage.database.rows as clock
class Shifted(real.datetime):
    @classmethod
    def now(cls, tz=None):
        return real.datetime.now(tz) + real.timedelta(hours={hours})
clock.datetime = Shifted
"""


@pytest.mark.slow
@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("hours", [1])
def test_a_run_whose_clock_is_off_by_an_hour_is_waited_for(
    api: AudioApiServer,
    meeting: Meeting,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
) -> None:
    api.recogniser = held = Held(after=2)
    arguments = ("transcribe", meeting.path, *ARGUMENTS)
    with postgres_database(postgres_url) as url:
        database = open_database(url)
        upgrade(database)
        database.close()
        monkeypatch.setenv("STENOFLOW_DATABASE_URL", url)
        with command(tmp_path, *arguments, first=_SHIFT.format(hours=hours)) as off:
            wait_for(lambda: held.waiting == IN_FLIGHT, off)
            # On a machine of its own, where the first one's lock is not seen.
            monkeypatch.setenv("STENOFLOW_HOME", str(tmp_path / "other machine"))
            monkeypatch.setenv("STENOFLOW_STORE", (tmp_path / "home" / "store").as_uri())
            with command(tmp_path, *arguments) as right:
                assert right.stderr is not None
                assert any("another run is at work on it" in line for line in iter(right.stderr.readline, ""))
                held.release()
                lines = [json.loads(each.communicate()[0]) for each in (off, right)]
    assert [(line["status"], line["error"]) for line in lines] == [("complete", None)] * 2
    assert [line["calls"] for line in lines] == [SEGMENTS, 0]
    assert len(api.calls) == SEGMENTS
