from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import StatementError

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database, open_database
from stenoflow.storage.database.tables import Artifact, Attempt, Job, Recording, Segment
from stenoflow.storage.errors import DatabaseError
from tests.storage.database.rows import artifact, cache_key, open_job, recording

NOON = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)


def _add(database: Database, created_at: datetime) -> str:
    row = recording()
    row.created_at = created_at
    with database.write() as session:
        session.add(row)
    return row.id


@pytest.mark.parametrize("hours", [0, 9, -7, 14])
def test_times_come_back_aware_in_utc_from_whatever_zone(database: Database, hours: int) -> None:
    _add(database, NOON.astimezone(timezone(timedelta(hours=hours))))
    with database.read() as session:
        (created_at,) = session.scalars(select(Recording.created_at))
        found = session.scalars(select(Recording.id).where(Recording.created_at == NOON)).all()
    assert created_at == NOON
    assert created_at.tzinfo is UTC
    assert len(found) == 1


def test_times_come_back_in_utc_to_a_connection_of_another_zone(postgres: Database) -> None:
    _add(postgres, NOON)
    url = postgres.engine.url.update_query_dict({"options": "-c timezone=Asia/Tokyo"})
    elsewhere = open_database(url.render_as_string(hide_password=False))
    with elsewhere.read() as session:
        assert session.execute(text("SHOW timezone")).scalar_one() == "Asia/Tokyo"
        created_at = session.scalars(select(Recording.created_at)).one()
    elsewhere.close()
    assert (created_at, created_at.tzinfo) == (NOON, UTC)


def test_a_time_without_a_zone_is_a_mistake(database: Database) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        _add(database, NOON.replace(tzinfo=None))


def test_a_time_that_is_not_there_is_none(database: Database, catalog: Catalog) -> None:
    open_job(catalog)
    with database.read() as session:
        assert session.scalars(select(Job.finished_at)).one() is None


@pytest.mark.parametrize(
    "media",
    [
        {},
        {
            "title": "Zürich 会議 \N{SPEAKING HEAD IN SILHOUETTE}",
            "nothing": None,
            "nested": {"list": [1, 2.5, True]},
        },
        {"control": "\0\x1f", "half": "\udcff", "quotes": "\"'\\", "large": 2**60},
    ],
)
def test_json_comes_back_as_it_was_given(catalog: Catalog, media: dict[str, object]) -> None:
    job_id = open_job(catalog)
    catalog.describe(job_id, 1, media, 0, {})
    assert catalog.recording(catalog.job(job_id).recording_id).media == media


def test_a_segment_stands_in_a_job_an_attempt_in_a_segment_an_artifact_in_a_job(
    database: Database, catalog: Catalog
) -> None:
    job_id = open_job(catalog, segments=1)
    published = artifact("nowhere", "transcript.txt")
    published.created_at = NOON
    orphans = [
        Segment(
            job_id="nowhere",
            index=0,
            start_sample=0,
            end_sample=1,
            forced=False,
            speech=[],
            cache_key=cache_key(0),
            state="cut",
        ),
        Attempt(
            id="attempt",
            job_id=job_id,
            segment_index=1,
            cache_key=cache_key(1),
            run_id="run",
            provider="openai",
            model="whisper-1",
            state="sent",
            started_at=NOON,
        ),
        published,
    ]
    for orphan in orphans:
        with pytest.raises(DatabaseError), database.write() as session:
            session.add(orphan)


@pytest.mark.parametrize("table", [Recording, Job])
def test_what_others_stand_in_is_not_deleted(
    database: Database, catalog: Catalog, table: type[Recording | Job]
) -> None:
    open_job(catalog)
    with pytest.raises(DatabaseError), database.write() as session:
        session.execute(delete(table))


def test_large_files_and_long_recordings_fit(database: Database, catalog: Catalog) -> None:
    job_id = open_job(catalog)
    large = 2**40
    with database.write() as session:
        session.execute(update(Job).values(samples=large, lost_ms=large, budget_micro=large))
        session.execute(update(Segment).where(Segment.index == 0).values(end_sample=large))
        session.execute(update(Recording).values(bytes=large, duration_ms=large))
    assert catalog.job(job_id).samples == catalog.segment(job_id, 0).end_sample == large


def test_an_artifact_has_its_name_once_in_a_job(catalog: Catalog, database: Database) -> None:
    job_id = open_job(catalog)
    with pytest.raises(DatabaseError):
        catalog.record_artifacts(job_id, [artifact(job_id, "a"), artifact(job_id, "a")], 1)
    with database.read() as session:
        assert session.scalars(select(Artifact)).all() == []
