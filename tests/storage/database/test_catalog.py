from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stenoflow.storage.database.catalog import Catalog, Plan
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import BudgetError, DatabaseError, StenoflowError, StorageError
from tests.storage.database.at_once import at_once
from tests.storage.database.rows import artifact, cache_key, cut, job, open_job, recording

THREADS = 8


def test_a_recording_is_stored_once_and_what_is_stored_comes_back(catalog: Catalog) -> None:
    first = catalog.add_recording(recording())
    again = catalog.add_recording(recording())
    assert (again.id, again.created_at) == (first.id, first.created_at)
    stored = catalog.recording(first.id)
    assert (stored.source, stored.name) == ("file:///talks/meeting.mp3", "meeting.mp3")
    assert (stored.bytes, stored.duration_ms, stored.media) == (5_000_000_000, None, None)


def test_the_same_address_with_other_bytes_is_another_recording(catalog: Catalog) -> None:
    before = catalog.add_recording(recording(audio="before"))
    after = catalog.add_recording(recording(audio="after"))
    assert before.id != after.id
    assert catalog.recording(before.id).sha256 != catalog.recording(after.id).sha256


def test_a_recording_added_by_many_at_once_is_one(catalog: Catalog) -> None:
    added = at_once(THREADS, lambda _: catalog.add_recording(recording()))
    assert len({(each.id, each.created_at) for each in added}) == 1


def test_what_probing_found_is_stored(catalog: Catalog) -> None:
    job_id = open_job(catalog)
    media = {"title": "Größe\0 \N{SNOWMAN}", "streams": [{"codec": "opus", "start": None}], "rate": 0.5}
    told = catalog.describe(job_id, 36_000_000, media, 1_234, {"A": "Anna"})
    described = catalog.recording(told.recording_id)
    assert (described.duration_ms, described.media) == (36_000_000, media)
    assert (told.origin_ms, told.speakers) == (1_234, {"A": "Anna"})
    assert (catalog.job(job_id).origin_ms, catalog.job(job_id).speakers) == (1_234, {"A": "Anna"})


def test_a_new_job_is_new(catalog: Catalog) -> None:
    stored = catalog.add_recording(recording())
    opened = catalog.open_job(job(stored, tag="board", budget_micro=7))
    for known in (opened, catalog.job(opened.id)):
        assert (known.state, known.tag, known.budget_micro) == (JobState.NEW, "board", 7)
        assert (known.planned, known.samples, known.origin_ms, known.lost_ms) == (False, None, 0, 0)
        assert known.settings == {"model": "settings"}
        assert known.finished_at is None


def test_opening_a_job_again_changes_its_accounts_only(catalog: Catalog) -> None:
    stored = catalog.add_recording(recording())
    first = catalog.open_job(job(stored, tag="board", budget_micro=7))
    catalog.set_state(first.id, JobState.PARTIAL)
    again = catalog.open_job(job(stored, budget_micro=9))
    assert (again.id, again.created_at, again.state) == (first.id, first.created_at, JobState.PARTIAL)
    assert (again.tag, again.budget_micro) == ("board", 9)
    retagged = catalog.open_job(job(stored, tag="council"))
    assert (retagged.tag, retagged.budget_micro) == ("council", None)
    kept = catalog.job(first.id)
    assert (kept.tag, kept.budget_micro, kept.created_at) == ("council", None, first.created_at)


def test_other_settings_make_another_job(catalog: Catalog) -> None:
    stored = catalog.add_recording(recording())
    opened = {catalog.open_job(job(stored, settings=settings)).id for settings in ("a", "b")}
    assert len(opened) == 2


def test_a_job_opened_by_many_at_once_is_one(catalog: Catalog) -> None:
    def open_once(_: int) -> Job:
        return catalog.open_job(job(catalog.add_recording(recording()), budget_micro=5))

    opened = at_once(THREADS, open_once)
    assert len({(each.id, each.created_at, each.budget_micro) for each in opened}) == 1


def test_a_job_of_no_recording_is_refused(catalog: Catalog) -> None:
    with pytest.raises(DatabaseError):
        catalog.open_job(job(recording()))


def test_a_job_that_is_not_there_says_where_to_look(catalog: Catalog) -> None:
    with pytest.raises(StorageError, match=r"no job nowhere.*stenoflow jobs"):
        catalog.job("nowhere")


@pytest.mark.parametrize("state", [state for state in JobState if state not in {"new", "running"}])
def test_a_state_with_its_reason_goes_when_the_job_runs_again(catalog: Catalog, state: JobState) -> None:
    job_id = open_job(catalog)
    catalog.set_state(job_id, state, BudgetError("too dear", "raise it"))
    ended = catalog.job(job_id)
    assert (ended.state, ended.error_kind, ended.error_message) == (state, "budget", "too dear (raise it)")
    assert ended.finished_at == datetime(2026, 3, 14, 12, 0, 3, tzinfo=UTC)
    catalog.set_state(job_id, JobState.RUNNING)
    running = catalog.job(job_id)
    assert (running.state, running.error_kind, running.error_message) == (JobState.RUNNING, None, None)
    assert running.finished_at is None


def test_a_state_is_that_of_one_job(catalog: Catalog) -> None:
    here, there = open_job(catalog), open_job(catalog, source="file:///other.mp3")
    catalog.set_state(here, JobState.FAILED)
    catalog.describe(here, 1, {}, 1_234, {})
    assert (catalog.job(there).state, catalog.job(there).origin_ms) == (JobState.NEW, 0)
    assert (catalog.job(here).state, catalog.job(here).origin_ms) == (JobState.FAILED, 1_234)


def test_segments_come_in_their_order_as_they_were_cut(catalog: Catalog) -> None:
    job_id = open_job(catalog, segments=0)
    cuts = {11: cut(11), 2: cut(2, silent=True), 0: cut(0)}
    for index, piece in cuts.items():
        catalog.add_segment(job_id, piece, cache_key(index))
    stored = catalog.segments(job_id)
    assert [segment.index for segment in stored] == [0, 2, 11]
    assert [segment.state for segment in stored] == [SegmentState.CUT, SegmentState.SILENT, SegmentState.CUT]
    for segment in stored:
        piece = cuts[segment.index]
        assert (segment.start_sample, segment.end_sample) == (piece.start_sample, piece.end_sample)
        assert (segment.forced, segment.cache_key) == (piece.forced, cache_key(segment.index))
        assert segment.speech == [list(region) for region in piece.speech]
        assert segment.spans == piece.spans
        assert catalog.segment(job_id, segment.index).cache_key == segment.cache_key


def test_a_cut_is_decided_once(catalog: Catalog) -> None:
    job_id = open_job(catalog, segments=1)
    catalog.add_segment(job_id, cut(0), cache_key(0))
    with pytest.raises(StorageError, match="elsewhere"):
        catalog.add_segment(job_id, cut(0, silent=True), "another")
    assert catalog.segment(job_id, 0).cache_key == cache_key(0)


def test_a_plan_is_adopted_when_it_is_finished(catalog: Catalog) -> None:
    stored = catalog.add_recording(recording())
    planning = catalog.open_job(job(stored))
    pieces = (cut(0), cut(1, silent=True), replace(cut(2), gain_db=31))
    for piece in pieces:
        catalog.add_segment(planning.id, piece, cache_key(piece.index))
        assert catalog.find_plan(stored.sha256, planning.plan_hash) is None
    damage = {"missing": [[10, 20]]}
    catalog.finish_plan(planning.id, 28_800_000, 40, damage)
    assert catalog.find_plan(stored.sha256, planning.plan_hash) == Plan(pieces, 28_800_000, 40, damage)


def test_a_plan_keeps_each_channel_with_its_levels(catalog: Catalog) -> None:
    stored = catalog.add_recording(recording())
    planning = catalog.open_job(job(stored))
    pieces = tuple(
        replace(cut(index), channel=index % 2, speech=((0, 120, -20, -31, -100),)) for index in range(4)
    )
    for piece in pieces:
        catalog.add_segment(planning.id, piece, cache_key(piece.index))
    catalog.finish_plan(planning.id, 28_800_000, 0)
    plan = catalog.find_plan(stored.sha256, planning.plan_hash)
    assert plan is not None
    assert plan.segments == pieces
    assert catalog.segment(planning.id, 1).regions == [(0, 120)]


def test_names_of_speakers_are_added_and_changed(catalog: Catalog) -> None:
    job_id = open_job(catalog)
    assert not catalog.name_speakers(job_id, {})
    assert catalog.name_speakers(job_id, {"A": "Anna", "B": "Ben"})
    assert not catalog.name_speakers(job_id, {"A": "Anna"})
    assert catalog.name_speakers(job_id, {"B": "Bert"})
    assert catalog.job(job_id).speakers == {"A": "Anna", "B": "Bert"}


def test_a_plan_is_one_of_the_same_audio_and_rule_under_any_name(catalog: Catalog) -> None:
    stored = catalog.add_recording(recording())
    catalog.open_job(job(stored, settings="begun, and broken off"))
    planned = catalog.open_job(job(stored))
    catalog.finish_plan(planned.id, 0, 0)
    renamed = catalog.add_recording(recording("file:///renamed.mp3"))
    other = catalog.open_job(job(renamed, settings="another model"))
    assert catalog.find_plan(renamed.sha256, other.plan_hash) == Plan((), 0, 0)
    assert catalog.find_plan(recording(audio="other").sha256, other.plan_hash) is None
    assert catalog.find_plan(renamed.sha256, job(renamed, plan="other").plan_hash) is None


def test_parked_segments_are_put_back_and_no_others(catalog: Catalog, database: Database) -> None:
    job_id, other = open_job(catalog, segments=4), open_job(catalog, source="file:///other.mp3")
    states = [SegmentState.FAILED, SegmentState.DONE, SegmentState.SILENT, SegmentState.CUT]
    with database.write() as session:
        for segment in (*catalog.segments(job_id), catalog.segment(other, 0)):
            segment.state, segment.error_kind, segment.error_message = states[segment.index], "failed", "why"
            session.merge(segment)
    # Done is what has an answer.
    Ledger(database).put_result(catalog.segment(job_id, 1).cache_key, "{}")
    assert catalog.claim(job_id)
    first, *rest = catalog.segments(job_id)
    assert (first.state, first.error_kind, first.error_message) == (SegmentState.CUT, None, None)
    assert [segment.state for segment in rest] == states[1:]
    assert catalog.segment(other, 0).state == SegmentState.FAILED


def test_artifacts_replace_those_before_of_the_same_job(catalog: Catalog) -> None:
    job_id, other = open_job(catalog), open_job(catalog, source="file:///other.mp3")
    catalog.record_artifacts(other, [artifact(other, "transcript.txt")], 1)
    catalog.record_artifacts(job_id, [artifact(job_id, name) for name in ("b", "a", "old")], 1_000)
    catalog.record_artifacts(job_id, (artifact(job_id, name, "new") for name in ("c", "b", "a")), 2_000)
    stored = catalog.artifacts(job_id)
    assert [each.name for each in stored] == ["a", "b", "c"]
    assert {(each.sha256, each.bytes) for each in stored} == {(artifact("", "", "new").sha256, 3)}
    assert catalog.recording(catalog.job(job_id).recording_id).duration_ms == 2_000
    assert [each.name for each in catalog.artifacts(other)] == ["transcript.txt"]


def test_artifacts_recorded_by_many_at_once_are_those_of_one(catalog: Catalog) -> None:
    job_id = open_job(catalog)

    def record(number: int) -> None:
        content = str(number)
        catalog.record_artifacts(job_id, [artifact(job_id, name, content) for name in "abc"], number)

    at_once(THREADS, record)
    stored = catalog.artifacts(job_id)
    assert [each.name for each in stored] == ["a", "b", "c"]
    assert len({each.sha256 for each in stored}) == 1


@pytest.mark.parametrize("odd", ["half \udcff", "whole \N{SNOWMAN}", "nothing \0"])
def test_text_that_no_database_takes_does_not_lose_the_row(catalog: Catalog, odd: str) -> None:
    job_id = open_job(catalog, tag=odd, source=f"file:///{odd}")
    kept = odd.replace("\udcff", "\N{REPLACEMENT CHARACTER}").replace("\0", "\N{REPLACEMENT CHARACTER}")
    catalog.set_state(job_id, JobState.FAILED, StenoflowError(odd))
    stored = catalog.job(job_id)
    assert (stored.tag, stored.error_message) == (kept, kept)
    assert catalog.recording(stored.recording_id).name == kept
