"""One provider stands in where another falls: nothing is lost, and nothing is bought twice."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stenoflow.flows.outcome import Outcome
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.tables import Segment
from stenoflow.tasks.api.errors import (
    BillingStoppedError,
    CallError,
    SegmentRefusedError,
    UnknownOutcomeError,
)
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.calls import failover
from stenoflow.tasks.calls.failover import Breaker, Candidate, patience_s
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.jobs.transcribe.due import Speeds
from stenoflow.tasks.jobs.transcribe.request import job_settings, request_of
from stenoflow.tasks.settings import InboxSettings, load_settings
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from stenoflow.tasks.sources.local import resolve_path
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.flows.silent import silent_runner
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, audio_api_server

_FIRST, _SPARE = "127.0.0.1", "spare"


@pytest.fixture
def spare(home: Path) -> Iterator[AudioApiServer]:
    with audio_api_server(lambda sound, _: recognise(sound)) as server:
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "stenoflow.toml").write_text(f'[providers.spare]\nbase_url = "{server.base_url}"\n', "utf-8")
        yield server


@dataclass
class Ended:
    """A job at its end, and what the database says of it."""

    outcome: Outcome
    context: AppContext

    @property
    def segments(self) -> list[Segment]:
        return list(self.context.catalog.segments(str(self.outcome.job)))

    @property
    def manifest(self) -> dict[str, Any]:
        text = Path(self.outcome.artifacts["txt"].removeprefix("file://"))
        found: dict[str, Any] = json.loads((text.parent / "manifest.json").read_text("utf-8"))
        return found

    @property
    def said(self) -> list[str]:
        path = Path(self.outcome.artifacts["json"].removeprefix("file://"))
        return str(json.loads(path.read_text("utf-8"))["text"]).split()

    def booked(self, *kinds: str) -> Counter[str]:
        """Return ms of sound by provider, of charges of some kinds."""
        sums: Counter[str] = Counter()
        for charge in self.context.reports.charges(str(self.outcome.job)):
            if charge.kind in kinds:
                sums[charge.provider] += charge.quantity or 0
        return sums


Transcribe = Callable[..., Ended]


@pytest.fixture
def transcribe(home: Path, empty_database: Path, meeting: Meeting) -> Iterator[Transcribe]:
    """Transcribe the meeting in this process, without Prefect: a dozen segments, six calls at once."""
    opened = []

    def run(*providers: str, at_once: int = 6, segment_seconds: float = 18, **settings: Any) -> Ended:
        home.mkdir(mode=0o700, exist_ok=True)
        if not (home / "stenoflow.db").exists():
            shutil.copy(empty_database, home / "stenoflow.db")
        opening = open_context(load_settings(home=home, **settings))
        context = opening.__enter__()
        opened.append(opening)
        options = RecordingOptions(providers=providers or (_FIRST, _SPARE), segment_seconds=segment_seconds)
        (source,) = resolve_path(meeting.path)
        work = TranscribeWork(source, request_of(context, options), ("txt", "json"))
        (outcome,) = asyncio.run(silent_runner(context, at_once).run_all([work]))
        return Ended(outcome, context)

    yield run
    for each in opened:
        each.__exit__(None, None, None)


def _check_books(ended: Ended, *servers: tuple[str, AudioApiServer]) -> None:
    """See that what is charged, or may be, is what the servers bill; and that nothing was answered twice."""
    charged = ended.booked("actual", "possible")
    for name, server in servers:
        assert charged[name] == pytest.approx(server.billed_seconds * 1_000, abs=100 * len(server.calls) + 1)
    answered = ended.context.ledger.answered_by(each.cache_key for each in ended.segments)
    assert len(answered) == len(ended.segments) >= 12
    by = Counter(each["provider"] for each in ended.manifest["segments"] if each["state"] == "done")
    assert by == Counter(provider for provider, _ in answered.values())
    paid = ended.booked("actual")
    assert sum(paid.values()) == pytest.approx(_sent_ms(ended.segments), abs=100 * len(ended.segments))


def _sent_ms(segments: list[Segment]) -> float:
    return sum((end - start) / 16 for each in segments for start, end in each.spans)


@pytest.mark.program
@pytest.mark.parametrize("mode", ["401", "402", "404-model", "429-insufficient_quota", "302"])
def test_a_refusal_midway_sends_every_other_segment_to_the_next(
    transcribe: Transcribe, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting, mode: str
) -> None:
    api.script(["ok", "ok", "ok"])
    api.mode = mode
    ended = transcribe()
    assert (ended.outcome.status, ended.outcome.error) == ("complete", None)
    assert ended.said == [word.text for word in meeting.words]
    assert sum(call.charged for call in api.calls) == 3
    heard = [call.sha256 for call in (*api.calls, *spare.calls) if call.charged]
    assert len(heard) == len(set(heard)) == len(ended.segments)
    _check_books(ended, (_FIRST, api), (_SPARE, spare))
    assert transcribe().outcome.calls == 0


@pytest.mark.program
@pytest.mark.parametrize("mode", ["503", "reset-after-body", "429-retry-after-a-day", "400"])
def test_an_outage_midway_loses_nothing_and_the_books_agree(
    transcribe: Transcribe, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting, mode: str
) -> None:
    api.script(["ok", "ok", "ok"])
    api.mode = mode
    ended = transcribe()
    assert (ended.outcome.status, ended.outcome.error) == ("complete", None)
    assert ended.said == [word.text for word in meeting.words]
    assert len([call for call in spare.calls if call.charged]) == len(ended.segments) - 3
    lost = ended.booked("possible")
    assert set(lost) <= {_FIRST}
    assert (lost[_FIRST] > 0) == (mode in {"503", "reset-after-body"})
    if mode != "503":
        # What a server that says 503 has heard, nobody can tell; ours did not.
        _check_books(ended, (_FIRST, api), (_SPARE, spare))


@pytest.mark.program
def test_who_hangs_is_followed_by_the_next_long_before_the_deadline(
    transcribe: Transcribe,
    api: AudioApiServer,
    spare: AudioApiServer,
    meeting: Meeting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failover, "_LEAST_PATIENCE_S", 3.0)
    api.mode = "hang"
    ended = transcribe()
    assert ended.outcome.status == "complete"
    assert ended.said == [word.text for word in meeting.words]
    # Two of those that had a place were replaced before the third failure in a row.
    assert len(api.calls) <= 6 + 2
    _check_books(ended, (_FIRST, api), (_SPARE, spare))


def test_nobody_at_the_first_address_is_found_out_without_cost(
    transcribe: Transcribe, spare: AudioApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        ended = transcribe()
    assert ended.outcome.status == "complete"
    assert len(spare.calls) == len(ended.segments)
    _check_books(ended, (_SPARE, spare))


@pytest.mark.program
def test_what_a_provider_answered_before_is_not_bought_of_another(
    stenoflow: Command, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting
) -> None:
    asked = ("--providers", "127.0.0.1,spare", "--segment-seconds", "20", "--json")
    alone = stenoflow("transcribe", meeting.path, "--segment-seconds", "20", "--json").line
    bought = len(api.calls)
    line = stenoflow("transcribe", meeting.path, *asked).line
    assert (line["status"], line["calls"]) == ("complete", 0)
    assert line["job"] != alone["job"]
    assert read_artifact(line, "txt") == read_artifact(alone, "txt")
    assert (len(api.calls), len(spare.calls)) == (bought, 0)


@pytest.mark.program
def test_where_all_fail_the_job_says_so_and_the_next_run_asks_again(
    transcribe: Transcribe, api: AudioApiServer, spare: AudioApiServer
) -> None:
    api.mode = spare.mode = "402"
    failed = transcribe().outcome
    assert failed.status == "failed"
    assert "spare answered 402" in str(failed.error)
    spare.mode = "ok"
    assert transcribe().outcome.status == "complete"


@pytest.mark.usefixtures("api")
def test_the_embedded_engine_comes_last(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings' model is another provider's, and is not asked of it; its weights count as ever."""
    monkeypatch.setenv("STENOFLOW_MODEL", "gpt-transcribe")
    settings = load_settings(home=home)
    options = RecordingOptions(providers=(_FIRST, "embedded"))
    job = job_settings(settings, load_models(), options)
    assert (job.provider, job.model) == (_FIRST, "gpt-transcribe")
    alone = job_settings(
        settings.model_copy(update={"model": None, "transcription_provider": "embedded"}),
        load_models(),
        RecordingOptions(),
    )
    assert job.others == (f"embedded:{alone.model}",)
    assert job.engine == alone.engine


@pytest.mark.usefixtures("api", "spare")
def test_a_tag_names_providers_too_and_a_recording_counts_before_it(home: Path) -> None:
    settings = load_settings(home=home, tag_providers={"board": (_SPARE, _FIRST)})
    asked = [
        job_settings(settings, load_models(), RecordingOptions(tag=tag, providers=providers))
        for tag, providers in (("board", None), ("board", (_FIRST, _SPARE)), (None, None))
    ]
    assert [(each.provider, each.others) for each in asked] == [
        (_SPARE, ("127.0.0.1:whisper-1",)),
        (_FIRST, ("spare:whisper-1",)),
        (_FIRST, ()),
    ]


@pytest.mark.program
@pytest.mark.parametrize(("due", "first"), [(True, _SPARE), (False, _FIRST)])
def test_what_is_due_goes_to_the_cheapest_that_makes_it(
    transcribe: Transcribe,
    api: AudioApiServer,
    spare: AudioApiServer,
    meeting: Meeting,
    *,
    due: bool,
    first: str,
) -> None:
    """Both make it; the second one is cheaper. The job, and what it bought, stay the same."""
    inbox = InboxSettings(
        name="calls",
        address=str(meeting.path.parent),
        providers=(_FIRST, _SPARE),
        due=(datetime.now().astimezone() - timedelta(minutes=1)).time() if due else None,
    )
    ended = transcribe(inboxes=[inbox], prices=_PRICES)
    assert ended.outcome.status == "complete"
    asked = {_FIRST: api, _SPARE: spare}
    assert [name for name, server in asked.items() if server.calls] == [first]
    again = transcribe()
    assert (again.outcome.job, again.outcome.calls) == (ended.outcome.job, 0)


_PRICES = {
    _FIRST: {"whisper-1": {"amount": "0.6", "per": "minute"}},
    _SPARE: {"whisper-1": {"amount": "0.006", "per": "minute"}},
}


@pytest.mark.program
def test_who_costs_more_than_the_budget_has_room_for_is_passed_over(
    transcribe: Transcribe, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting
) -> None:
    """The cheaper one does the rest; without it, what there is room for is done, and no more."""
    budget = {"run": "0.8"}
    ended = transcribe(prices=_PRICES, budgets=budget)
    assert (ended.outcome.status, ended.outcome.error) == ("complete", None)
    assert ended.said == [word.text for word in meeting.words]
    assert 0 < len(api.calls) <= 4 < len(spare.calls)
    assert ended.context.reports.spending().actual_micro <= 800_000
    _check_books(ended, (_FIRST, api), (_SPARE, spare))


def test_a_job_that_not_even_the_cheapest_can_do_is_refused(
    transcribe: Transcribe, api: AudioApiServer, spare: AudioApiServer
) -> None:
    refused = transcribe(prices=_PRICES, budgets={"run": "0.01"}).outcome
    assert (refused.status, (refused.error or {})["kind"]) == ("refused", "budget")
    assert not [*api.calls, *spare.calls]


@pytest.mark.usefixtures("api", "spare")
def test_an_estimate_prices_all_who_may_be_asked(stenoflow: Command, meeting: Meeting, home: Path) -> None:
    with (home / "stenoflow.toml").open("a", encoding="utf-8") as file:
        file.write('[prices.spare.whisper-1]\namount = "6"\nper = "minute"\n')
        file.write(f'[tag_providers]\nb = ["{_FIRST}", "spare"]\n')
    alone, both, tagged = (
        stenoflow("estimate", meeting.path, *options, "--json").line
        for options in ((), ("--providers", f"{_FIRST},{_SPARE}"), ("--tag", "b"))
    )
    assert "others" not in alone
    assert both == tagged
    ((other,), cost) = both["others"], float(both["cost"])
    assert (other["provider"], other["price"]) == (_SPARE, "6 USD a minute")
    assert float(other["cost"]) == pytest.approx(1_000 * cost, rel=0.01)
    assert float(both["most"]) > float(other["cost"]) > float(alone["most"])
    said = stenoflow("estimate", meeting.path, "--tag", "b").err
    assert f"All of it by whisper-1 at {_SPARE}" in " ".join(said.split())


@pytest.mark.program
def test_a_hiccup_of_the_last_is_sat_out(
    transcribe: Transcribe, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting
) -> None:
    """Nobody is asked after it, so that it is not left alone as one of several is."""
    api.mode = "401"
    spare.script(["503"] * 3)
    ended = transcribe(at_once=3)
    assert (ended.outcome.status, ended.outcome.error) == ("complete", None)
    assert ended.said == [word.text for word in meeting.words]
    assert ended.booked("possible").keys() == {_SPARE}


@pytest.mark.parametrize("said", ["127.0.0.1", "127.0.0.1,nobody", "spare,spare"])
@pytest.mark.usefixtures("api", "spare")
def test_a_list_that_makes_no_sense_is_refused(stenoflow: Command, meeting: Meeting, said: str) -> None:
    assert stenoflow("transcribe", meeting.path, "--providers", said).exit_code == 2


def _fails(breaker: Breaker, error: CallError, *, is_last: bool = False) -> None:
    with pytest.raises(type(error)), breaker.trying("openai", is_last=is_last):
        raise error


def test_a_broken_provider_is_left_alone_for_a_while_and_tried_again() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    _fails(breaker, SegmentRefusedError("this segment"))
    assert breaker.lets("openai")
    for _ in range(2):
        _fails(breaker, UnknownOutcomeError("no answer"))
    assert breaker.lets("openai")
    _fails(breaker, UnknownOutcomeError("no answer"))
    assert not breaker.lets("openai")
    with pytest.raises(UnknownOutcomeError), breaker.trying("openai"):
        pytest.fail("it was sent")
    assert breaker.lets("groq")
    now[0] = 60.0
    assert breaker.lets("openai")
    _fails(breaker, BillingStoppedError("no credit"))
    assert not breaker.lets("openai")
    now[0] = 120.0
    with breaker.trying("openai"):
        pass
    assert breaker.lets("openai")


def test_one_call_alone_tries_whether_a_provider_has_recovered() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    _fails(breaker, BillingStoppedError("no credit"))
    now[0] = 60.0
    with breaker.trying("openai"):
        assert not breaker.lets("openai")
        with pytest.raises(BillingStoppedError), breaker.trying("openai"):
            pytest.fail("it was sent")
    assert breaker.lets("openai")
    _fails(breaker, BillingStoppedError("no credit"))
    now[0] = 120.0
    # One that ends otherwise says nothing, and keeps nobody from trying.
    with pytest.raises(LookupError), breaker.trying("openai"):
        raise LookupError
    assert breaker.lets("openai")


def test_the_last_is_asked_all_the_same_unless_it_refuses_everybody() -> None:
    breaker = Breaker()
    for _ in range(4):
        _fails(breaker, UnknownOutcomeError("no answer"), is_last=True)
    assert not breaker.lets("openai")
    with breaker.trying("openai", is_last=True):
        pass
    assert breaker.lets("openai")
    _fails(breaker, BillingStoppedError("no credit"), is_last=True)
    with pytest.raises(BillingStoppedError), breaker.trying("openai", is_last=True):
        pytest.fail("it was sent")


@pytest.mark.parametrize(
    ("sound_s", "speed", "until_due_s", "waited_s"),
    [
        (60, 8.0, None, 52.5),
        (600, 8.0, None, 255.0),
        # Who was fast before has answered long since; who is slow is given its time.
        (600, 100.0, None, 48.0),
        (600, 1.0, None, 1_830.0),
        # Half of what is left is the next one's; but nobody answers in no time.
        (600, 8.0, 200.0, 100.0),
        (600, 8.0, -5.0, 30.0),
        (600, 0.0, 80_000.0, 40_000.0),
    ],
)
def test_it_is_waited_as_long_as_an_answer_may_take(
    sound_s: int, speed: float, until_due_s: float | None, waited_s: float
) -> None:
    assert patience_s(sound_s * 1_000, speed, until_due_s) == pytest.approx(waited_s)


@pytest.mark.parametrize(("given_s", "waited_s"), [(None, 52.5), (900.0, 900.0)])
def test_a_provider_may_be_given_a_time_of_its_own(
    home: Path, empty_database: Path, given_s: float | None, waited_s: float
) -> None:
    home.mkdir(mode=0o700)
    shutil.copy(empty_database, home / "stenoflow.db")
    own = {_SPARE: {"base_url": "http://127.0.0.1:9/v1", "deadline_s": given_s}}
    with open_context(load_settings(home=home, providers=own)) as context:
        speeds = Speeds(context)
        asked = Candidate(_SPARE, "whisper-1"), Candidate("embedded", "whisper-base")
        waited = [asyncio.run(speeds.patience_s(each, 60_000, None)) for each in asked]
    assert waited == [waited_s, None]
