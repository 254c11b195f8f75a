"""How much sound of an inbox is yet to be transcribed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stenoflow.storage.database.arrivals import arrival_id
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.tasks.calls.failover import Candidate
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.jobs.transcribe.due import DueOrder, Speeds, left_ms
from stenoflow.tasks.jobs.transcribe.request import job_settings
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.inbox import open_inbox
from stenoflow.tasks.sources.inbox.options import RecordingOptions


@pytest.fixture
def context(tmp_path: Path, empty_database: Path) -> Iterator[AppContext]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    shutil.copy(empty_database, home / "stenoflow.db")
    (tmp_path / "inbox").mkdir()
    with open_context(load_settings(home=home, OPENAI_API_KEY="sk-test")) as opened:
        yield opened


def _prefix(tmp_path: Path) -> str:
    return f"{(tmp_path / 'inbox').resolve().as_uri()}/"


def _put(tmp_path: Path, name: str, size: int) -> str:
    path = tmp_path / "inbox" / name
    path.write_bytes(bytes(size))
    return path.resolve().as_uri()


def _open(context: AppContext, source: str, size: int, duration_ms: int) -> None:
    """Open the job of a recording, of which nothing is transcribed yet."""
    recording = Recording(
        id=f"r{size}", source=source, name="x", version=None, sha256=f"{size:064}", bytes=size
    )
    settings = job_settings(context.settings, context.models, RecordingOptions())
    context.catalog.open_job(
        Job(
            id=f"j{size}",
            recording_id=recording.id,
            settings_hash=settings.settings_hash,
            settings=settings.to_dict(),
            plan_hash=settings.plan_hash,
        ),
        recording,
    )
    context.catalog.describe(f"j{size}", duration_ms, {}, 0, {})


def test_what_waits_counts_by_its_size(context: AppContext, tmp_path: Path) -> None:
    assert left_ms(context, _prefix(tmp_path)) == 0
    _put(tmp_path, "a.wav", 320_000)
    _put(tmp_path, "b.mp3", 80_000)
    _put(tmp_path, "notes.txt", 10**6)
    assert left_ms(context, _prefix(tmp_path)) == 20_000


def test_what_is_opened_counts_once_and_tells_the_length_of_its_like(
    context: AppContext, tmp_path: Path
) -> None:
    _open(context, _put(tmp_path, "a.mp3", 160_000), 160_000, 40_000)
    assert left_ms(context, _prefix(tmp_path)) == 40_000
    # 4,000 bytes a second, as that one.
    _put(tmp_path, "b.MP3", 80_000)
    assert left_ms(context, _prefix(tmp_path)) == 60_000


def test_what_has_come_to_its_end_is_not_waited_for(context: AppContext, tmp_path: Path) -> None:
    _put(tmp_path, "a.wav", 320_000)
    prefix = _prefix(tmp_path)
    (entry,) = open_inbox(prefix, context.s3).look().entries
    assert context.arrivals.take(entry.source.uri, entry.mark)
    assert left_ms(context, prefix) == 10_000
    context.arrivals.end(arrival_id(entry.source.uri, entry.mark), "complete", None, None)
    assert left_ms(context, prefix) == 0


def test_an_inbox_that_is_gone_has_nothing_that_waits(context: AppContext, tmp_path: Path) -> None:
    source = _put(tmp_path, "a.wav", 320_000)
    _open(context, source, 320_000, 7_000)
    shutil.rmtree(tmp_path / "inbox")
    assert left_ms(context, _prefix(tmp_path)) == 7_000


@pytest.mark.parametrize(("hours", "first"), [(0, "embedded:whisper-base"), (30, "openai:whisper-1")])
def test_what_waits_decides_who_makes_it(context: AppContext, tmp_path: Path, hours: int, first: str) -> None:
    """This machine is free, and makes one recording in two hours; not all that wait behind it."""
    _open(context, _put(tmp_path, "a.mp3", 160_000), 160_000, 40_000)
    for number in range(hours):
        # As long as its like for so many bytes.
        with (tmp_path / "inbox" / f"{number}.mp3").open("wb") as file:
            file.truncate(3_600 * 4_000)
    asked = [Candidate("openai", "whisper-1"), Candidate("embedded", "whisper-base")]
    order = DueOrder(
        context, Speeds(context), _prefix(tmp_path), datetime.now(UTC) + timedelta(hours=2), concurrency=2
    )
    assert str(asyncio.run(order.ordered(asked))[0]) == first
