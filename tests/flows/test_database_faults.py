"""The database goes away, or is held by another, while calls are in flight: what was paid for is kept."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.tables import Charge, Segment
from tests.flows.conftest import Command, Meeting, charges, read_artifact
from tests.flows.held import IN_FLIGHT, Held, command
from tests.flows.processes import ARGUMENTS, SEGMENTS, wait_for
from tests.servers.audio_api import AudioApiServer
from tests.servers.postgres_outage import Outage
from tests.storage.database.breaking import Moment, breaking

pytestmark = pytest.mark.slow

_BEFORE = 2
"""Calls that are answered before the fault."""

_AWAY_S = float(os.environ.get("FAULT_SECONDS", "2"))
"""How long the fault lasts after the calls in flight were answered; the program's patience is 60 s."""


@pytest.fixture
def held(api: AudioApiServer) -> Held:
    held = Held(_BEFORE)
    api.recogniser = held
    return held


@pytest.fixture
def outage(mortal_postgres: Outage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outage]:
    """A database that the settings name."""
    mortal_postgres.empty()
    monkeypatch.setenv("STENOFLOW_DATABASE_URL", mortal_postgres.url)
    yield mortal_postgres
    mortal_postgres.end()


def _charges(outage: Outage) -> Counter[str]:
    database = open_database(outage.url)
    with database.read() as session:
        kinds = Counter(session.scalars(select(Charge.kind)))
    database.close()
    return kinds


def _is_quiet(outage: Outage) -> bool:
    """Tell whether only calls are under way: the cutting has stored all that it has room for."""
    database = open_database(outage.url)
    segments = []
    # Far apart, since a busy machine may take that long for a cut.
    for _ in range(3):
        with database.read() as session:
            segments.append(session.scalars(select(func.count()).select_from(Segment)).one())
        time.sleep(1.0)
    database.close()
    return segments[0] > _BEFORE + IN_FLIGHT and len(set(segments)) == 1


def _assert_whole(line: dict[str, Any], meeting: Meeting) -> None:
    assert (line["status"], line["error"]) == ("complete", None)
    words = json.loads(read_artifact(line, "json"))["words"]
    assert [word["word"] for word in words] == [word.text for word in meeting.words]


@pytest.mark.usefixtures("home")
def test_answers_that_come_while_postgresql_is_away_are_kept(
    api: AudioApiServer, held: Held, meeting: Meeting, outage: Outage, tmp_path: Path
) -> None:
    with command(tmp_path, "transcribe", meeting.path, *ARGUMENTS) as process:
        wait_for(lambda: held.waiting == IN_FLIGHT and _is_quiet(outage), process)
        outage.begin()
        held.release()
        wait_for(lambda: len(api.calls) >= _BEFORE + IN_FLIGHT, process)
        time.sleep(_AWAY_S)
        assert len(api.calls) == _BEFORE + IN_FLIGHT, "nothing is sent that is not stored as sent"
        outage.end()
        out, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (0, False), err
    _assert_whole(json.loads(out), meeting)
    assert len(api.calls) == SEGMENTS
    assert json.loads(out)["calls"] == SEGMENTS
    assert _charges(outage) == {"reserve": SEGMENTS, "release": SEGMENTS, "actual": SEGMENTS}


def test_a_postgresql_that_stays_away_costs_at_most_what_was_in_flight(
    stenoflow: Command, api: AudioApiServer, held: Held, meeting: Meeting, outage: Outage, tmp_path: Path
) -> None:
    hasty = f"from stenoflow.storage.database import reconnect; reconnect.TIMEOUT_S = {_AWAY_S}"
    with command(tmp_path, "transcribe", meeting.path, *ARGUMENTS, first=hasty) as process:
        wait_for(lambda: held.waiting == IN_FLIGHT, process)
        outage.begin()
        held.release()
        out, err = process.communicate()
    line = json.loads(out)
    assert process.returncode == 3
    assert (line["status"], line["error"]["kind"]) == ("failed", "database")
    assert "check that it runs" in line["error"]["message"]
    assert "Traceback" not in err
    assert len(api.calls) == _BEFORE + IN_FLIGHT

    outage.end()
    resumed = stenoflow("resume", line["job"], "--json").line
    _assert_whole(resumed, meeting)
    again = len(api.calls) - SEGMENTS
    assert 0 < again <= IN_FLIGHT
    assert _charges(outage)["possible"] == again
    assert stenoflow("transcribe", meeting.path, *ARGUMENTS).line["calls"] == 0


@pytest.mark.parametrize("moment", Moment)
def test_transactions_that_are_broken_off_are_seen_through(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, outage: Outage, moment: Moment
) -> None:
    """Those of calls and of publishing; one that stores a cut ends the job, which resume goes on with."""
    with breaking(Engine, moment, every=7, times=100) as broken:
        line = stenoflow("transcribe", meeting.path, *ARGUMENTS).line
    assert len(broken) > SEGMENTS // 2
    _assert_whole(line, meeting)
    assert len(api.calls) == SEGMENTS
    charged = _charges(outage)
    assert charged["actual"] == SEGMENTS
    # Of those that were stored as sent unheard; they cost nothing, which nobody can know.
    assert charged["possible"] <= (len(broken) if moment is Moment.BEHIND_COMMIT else 0)


def test_a_sqlite_that_another_holds_is_waited_for(
    api: AudioApiServer, held: Held, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    with command(tmp_path, "transcribe", meeting.path, *ARGUMENTS) as process:
        wait_for(lambda: held.waiting == IN_FLIGHT, process)
        with closing(sqlite3.connect(home / "stenoflow.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            held.release()
            wait_for(lambda: len(api.calls) >= _BEFORE + IN_FLIGHT, process)
            time.sleep(_AWAY_S)
            assert len(api.calls) == _BEFORE + IN_FLIGHT
            other.execute("ROLLBACK")
        out, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (0, False), err
    _assert_whole(json.loads(out), meeting)
    assert len(api.calls) == SEGMENTS
    kinds = Counter(kind for kind, _ in charges(home))
    assert kinds == {"reserve": SEGMENTS, "release": SEGMENTS, "actual": SEGMENTS}
