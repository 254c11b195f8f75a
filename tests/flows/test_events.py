"""What outcomes mean to a receiver, without sending."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from stenoflow.flows.notifications import EventFactory
from stenoflow.flows.outcome import Outcome, TranscriptDetails
from stenoflow.storage.errors import BudgetError
from stenoflow.tasks.api import errors
from stenoflow.tasks.api.error_body import Redaction
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.api.model_table import ModelKind, UsedModel
from stenoflow.tasks.operations.webhooks import Event

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
KEY = "sk-test-0123456789"
OUTCOME = Outcome(
    "complete", TranscriptDetails(), "file:///in/meeting.mp3", job="job1", recording="rec1", cost_micro=60_000
)


def announcer(run: str = "run1") -> EventFactory:
    return EventFactory(run, "openai", Redaction([KEY]))


def events(outcome: Outcome, *, is_stopped: bool = False, run: str = "run1") -> list[Event]:
    return list(announcer(run).of_outcome(outcome, NOW, is_stopped=is_stopped))


def failed(kind: str, status: str = "partial", message: str = "why") -> Outcome:
    return replace(OUTCOME, status=status, error={"kind": kind, "message": message})


@pytest.mark.parametrize("status", ["complete", "partial", "failed", "refused"])
def test_each_status_is_an_event(status: str) -> None:
    (event,) = events(replace(OUTCOME, status=status))
    told = json.loads(event.body)
    assert told["type"] == f"recording.{status}"
    assert told["timestamp"] == "2026-03-14T12:00:00Z"
    data: dict[str, Any] = told["data"]
    assert (data["job"], data["recording"], data["run"]) == ("job1", "rec1", "run1")
    assert (data["status"], data["cost"], data["currency"]) == (status, "0.0600", "USD")


def test_a_price_that_is_unknown_is_not_nothing() -> None:
    (event,) = events(replace(OUTCOME, cost_micro=None))
    assert event.data["cost"] is None


def test_an_event_is_the_same_however_often_it_is_told_and_another_in_another_run() -> None:
    first, again = events(OUTCOME) + events(replace(OUTCOME, calls=7))
    assert first.id == again.id
    others = [
        *events(OUTCOME, run="run2"),
        *events(replace(OUTCOME, job="job2")),
        *events(replace(OUTCOME, status="failed")),
    ]
    assert len({first.id, *(each.id for each in others)}) == 4


def test_two_sources_without_a_job_are_two_events() -> None:
    ids = {events(replace(OUTCOME, job=None, source=source))[0].id for source in ("file:///a", "file:///b")}
    assert len(ids) == 2


def test_what_the_user_interrupted_is_nothing_new() -> None:
    assert events(failed("interrupted"), is_stopped=True) == []


def test_a_budget_is_reached_once_a_run() -> None:
    first = events(failed(BudgetError.kind, "refused"))
    second = events(replace(failed(BudgetError.kind), job="job2"))
    assert [each.type for each in first] == ["recording.refused", "budget.reached"]
    assert first[1].id == second[1].id
    assert first[0].id != second[0].id


def _subclasses(of: type[CallError]) -> list[type[CallError]]:
    return [each for child in of.__subclasses__() for each in (child, *_subclasses(child))]


def test_every_error_that_stops_a_provider_is_told_as_such() -> None:
    here = [each for each in _subclasses(CallError) if each.__module__ == errors.__name__]
    stopping = {each.kind for each in here if each.scope == "provider"} | {errors.UnreachableError.kind}
    told = {each.kind for each in here if len(events(failed(each.kind), is_stopped=True)) == 2}
    assert told == stopping
    assert len(told) == 6


def test_a_provider_stops_once_a_run_and_only_when_it_did() -> None:
    outcome = failed(errors.KeyRefusedError.kind, "failed")
    assert [each.type for each in events(outcome)] == ["recording.failed"]
    first, second = (events(replace(outcome, job=job), is_stopped=True)[1] for job in ("job1", "job2"))
    assert first.type == "provider.stopped"
    assert first.data["provider"] == "openai"
    assert first.id == second.id


def test_no_key_and_no_presigned_address_is_told() -> None:
    url = "https://bucket.example/a.mp3?X-Amz-Signature=canary"
    message = f"refused {KEY}: cannot read {url}"
    outcome = replace(failed("api-key", message=message), source=url, job=None, artifacts={"txt": url})
    told = "".join(f"{each.id}{each.of}{each.body}" for each in events(outcome, is_stopped=True))
    assert "provider.stopped" in told
    assert "bucket.example/a.mp3" in told
    assert KEY not in told
    assert "canary" not in told


@pytest.mark.parametrize(
    ("shutdown", "warned"),
    [
        (None, False),
        (date(2026, 5, 14), False),
        (date(2026, 5, 13), True),
        (date(2026, 3, 14), True),
        (date(2025, 1, 1), True),
    ],
)
def test_a_model_is_retiring_sixty_days_ahead(shutdown: date | None, *, warned: bool) -> None:
    model = UsedModel(ModelKind.TRANSCRIPTION, "openai", "whisper-1")
    told = list(announcer().of_model(model, shutdown, NOW, "gpt-transcribe"))
    assert [each.type for each in told] == ["model.retiring"] * warned
    for each in told:
        assert each.data["model"] == "whisper-1"
        assert each.data["shutdown"] == str(shutdown)
        assert each.data["successor"] == "gpt-transcribe"
