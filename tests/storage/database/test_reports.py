from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import count

import pytest

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.connection import Database, open_database
from stenoflow.storage.database.costs import CostLine, CostsBy, Spending
from stenoflow.storage.database.erasure import Erasure
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import JobFilter, JobProgress, Reports, RunTotals
from stenoflow.storage.database.states import Activity, JobState
from stenoflow.storage.errors import StenoflowError
from tests.storage.database.rows import (
    SEGMENT_SAMPLES,
    Hands,
    bill,
    cache_key,
    cut,
    open_job,
    recording,
    request,
)

LOST = StenoflowError("the connection broke")
TOKYO = timezone(timedelta(hours=9))


def heard(micro: int) -> dict[str, int]:
    return dict.fromkeys(Activity, 0) | {"hearing": micro}


@pytest.fixture
def job_id(catalog: Catalog) -> str:
    return open_job(catalog)


@pytest.fixture
def buy(ledger: Ledger) -> Callable[..., str]:
    """Make a request of its own and have it answered (or lost) at a price."""
    number = count()

    def act(
        job_id: str, costs: Bill, *, lost: bool = False, model: str = "whisper-1", run_id: str = "run"
    ) -> str:
        asked = request(job_id, model=model, run_id=run_id, costs=costs, key=f"bought {next(number)}")
        attempt_id = ledger.begin(asked)
        ledger.mark_unknown(attempt_id, LOST) if lost else ledger.succeed(attempt_id, "{}", costs)
        return attempt_id

    return act


def test_the_progress_of_a_job_that_is_being_cut(catalog: Catalog, ledger: Ledger, reports: Reports) -> None:
    job_id, empty = open_job(catalog, segments=4), open_job(catalog, segments=0, source="file:///empty.mp3")
    catalog.add_segment(job_id, cut(4, silent=True), cache_key(4))
    ledger.mark_cached(job_id, 0)
    ledger.fail_segment(job_id, 1, LOST)
    catalog.finish_plan(empty, 0, 0)
    told = {progress.job_id: progress for progress in reports.progress([job_id, empty, "nowhere"])}
    assert told == {
        job_id: JobProgress(job_id, 5, done=2, failed=1, done_samples=2 * SEGMENT_SAMPLES, planned=False),
        empty: JobProgress(empty, 0, done=0, failed=0, done_samples=0, planned=True),
    }
    assert reports.progress([]) == []


def test_what_one_run_did_is_told_apart_from_the_runs_before(
    job_id: str, reports: Reports, buy: Callable[..., str]
) -> None:
    buy(job_id, bill(100), run_id="before")
    buy(job_id, bill(7))
    buy(job_id, bill(20), lost=True)
    buy(job_id, bill(None))
    assert reports.run_totals(job_id, "run") == RunTotals(3, 2, Spending(7, 20, 1))
    assert reports.run_totals(job_id, "before") == RunTotals(1, 1, Spending(100, 0, 0))
    assert reports.run_totals(job_id, "never") == RunTotals(0, 0, Spending(0, 0, 0))
    assert reports.run_totals("nowhere", "run") == RunTotals(0, 0, Spending(0, 0, 0))


def test_spending_is_that_of_the_jobs_named_or_of_all(
    catalog: Catalog, job_id: str, reports: Reports, buy: Callable[..., str]
) -> None:
    other = open_job(catalog, source="file:///other.mp3")
    buy(job_id, bill(1))
    buy(other, bill(10))
    assert reports.spending([job_id]) == Spending(1, 0, 0)
    assert reports.spending([job_id, other]) == reports.spending() == Spending(11, 0, 0)
    assert reports.spending([]) == Spending(0, 0, 0)


def test_what_is_reserved_is_not_spent(job_id: str, ledger: Ledger, reports: Reports) -> None:
    ledger.begin(request(job_id))
    ledger.refuse(ledger.begin(request(job_id, 1)), LOST)
    assert reports.spending() == Spending(0, 0, 0)
    assert reports.costs(CostsBy.DAY) == []


@pytest.mark.parametrize("price", [None, 20])
def test_a_late_answer_is_not_counted_as_possible_too(
    job_id: str, ledger: Ledger, reports: Reports, buy: Callable[..., str], price: int | None
) -> None:
    attempt_id = buy(job_id, bill(price), lost=True)
    ledger.succeed(attempt_id, "{}", bill(price))
    expected = Spending(price or 0, 0, 1 if price is None else 0)
    assert reports.spending() == expected
    assert reports.run_totals(job_id, "run") == RunTotals(1, 1, expected)
    (line,) = reports.costs(CostsBy.MODEL)
    assert line == CostLine("openai/whisper-1", "USD", 1, 600_000, expected, by_activity=heard(price or 0))


def test_all_figures_are_integers(
    job_id: str, ledger: Ledger, reports: Reports, buy: Callable[..., str]
) -> None:
    buy(job_id, bill(7))
    ledger.mark_cached(job_id, 0)
    told = [
        *map(asdict, reports.progress([job_id])),
        *map(asdict, reports.costs(CostsBy.DAY)),
        asdict(reports.run_totals(job_id, "run")),
        asdict(reports.spending()),
        asdict(reports.jobs()[0].spending),
    ]
    json.dumps(told, allow_nan=False)
    assert "." not in json.dumps(told)


def test_jobs_are_listed_newest_first_with_what_they_cost(
    catalog: Catalog, reports: Reports, buy: Callable[..., str]
) -> None:
    jobs = [open_job(catalog, source=f"file:///{number}.mp3") for number in range(3)]
    buy(jobs[0], bill(5))
    buy(jobs[2], bill(6), lost=True)
    lines = reports.jobs()
    assert [line.job.id for line in lines] == jobs[::-1]
    assert [line.recording.name for line in lines] == ["2.mp3", "1.mp3", "0.mp3"]
    assert [line.spending for line in lines] == [Spending(0, 6, 0), Spending(0, 0, 0), Spending(5, 0, 0)]
    assert [line.job.id for line in reports.jobs(limit=2)] == [jobs[2], jobs[1]]


def test_jobs_are_found_by_the_beginning_of_their_id_and_their_state(
    catalog: Catalog, reports: Reports
) -> None:
    jobs = [open_job(catalog, source=f"file:///{number}.mp3") for number in range(3)]
    catalog.set_state(jobs[1], JobState.PARTIAL)
    assert [line.job.id for line in reports.jobs(JobFilter(jobs[0][:8]))] == [jobs[0]]
    assert [line.job.id for line in reports.jobs(JobFilter(state="partial"))] == [jobs[1]]
    assert [line.job.id for line in reports.jobs(JobFilter(jobs[0], state="partial"))] == []
    assert [line.job.id for line in reports.jobs(JobFilter(search="//2.MP"))] == [jobs[2]]
    assert reports.jobs(JobFilter(search="2.mp3", tag="board")) == []
    assert len(reports.jobs(JobFilter(since=datetime(2000, 1, 1, tzinfo=UTC)))) == 3
    assert reports.jobs(JobFilter(since=datetime(2999, 1, 1, tzinfo=UTC))) == []
    assert reports.jobs(JobFilter("%")) == reports.jobs(JobFilter("_")) == []


def test_requests_and_entries_are_listed_in_the_order_they_were_made(
    job_id: str, reports: Reports, buy: Callable[..., str]
) -> None:
    made = [buy(job_id, bill(amount), lost=amount == 2) for amount in (1, 2, 3)]
    assert [attempt.id for attempt in reports.attempts(job_id)] == made
    kinds = [charge.kind for charge in reports.charges(job_id)]
    ends = ("actual", "possible", "actual")
    assert kinds == [kind for end in ends for kind in ("reserve", "release", end)]
    assert (reports.attempts("nowhere"), reports.charges("nowhere")) == ([], [])


def test_costs_by_model(job_id: str, reports: Reports, buy: Callable[..., str]) -> None:
    buy(job_id, bill(5), model="whisper-1")
    buy(job_id, bill(6, quantity=1_000), model="whisper-1")
    buy(job_id, bill(7), model="whisper-1", lost=True)
    buy(job_id, bill(None), model="a-new-one")
    assert reports.costs(CostsBy.MODEL) == [
        CostLine("openai/a-new-one", "USD", 1, 600_000, Spending(0, 0, 1), by_activity=heard(0)),
        CostLine("openai/whisper-1", "USD", 3, 601_000, Spending(11, 7, 0), by_activity=heard(11)),
    ]


def test_currencies_are_not_added_up(job_id: str, reports: Reports, buy: Callable[..., str]) -> None:
    for currency, amount in (("USD", 5), ("EUR", 6), ("USD", 7)):
        buy(job_id, bill(amount, currency=currency))
    told = [(line.heading, line.currency, line.spending.actual_micro) for line in reports.costs(CostsBy.TAG)]
    assert told == [("-", "EUR", 6), ("-", "USD", 12)]


def test_costs_by_recording_and_by_tag(catalog: Catalog, reports: Reports, buy: Callable[..., str]) -> None:
    tagged = {"zürich": 1, "Äther": 2, "Zug": 4, "": 8}
    for tag, amount in tagged.items():
        buy(open_job(catalog, source=f"file:///{tag or 'untagged'}.mp3", tag=tag), bill(amount))
    by_tag = [(line.heading, line.spending.actual_micro) for line in reports.costs(CostsBy.TAG)]
    assert by_tag == [("-", 8), ("Zug", 4), ("zürich", 1), ("Äther", 2)]
    by_recording = {line.heading: line.spending.actual_micro for line in reports.costs(CostsBy.RECORDING)}
    assert by_recording == {"zürich.mp3": 1, "Äther.mp3": 2, "Zug.mp3": 4, "untagged.mp3": 8}


def test_recordings_of_the_same_name_are_told_apart(
    catalog: Catalog, reports: Reports, buy: Callable[..., str]
) -> None:
    buy(open_job(catalog, source="file:///monday/meeting.mp3"), bill(10))
    buy(open_job(catalog, source="file:///tuesday/meeting.mp3"), bill(7))
    lines = reports.costs(CostsBy.RECORDING)
    assert sorted(line.spending.actual_micro for line in lines) == [7, 10]
    assert {line.heading for line in lines} == {"meeting.mp3"}


def test_charges_outlive_their_recording(
    database: Database, catalog: Catalog, ledger: Ledger, reports: Reports, hands: Hands
) -> None:
    costs = Bill(9_000, "character", "15 USD a million characters", 135, "USD")
    asked = replace(request(open_job(catalog), model="tts-1", costs=costs), activity=Activity.SPEECH)
    ledger.succeed(ledger.begin(asked), "{}", costs)
    Erasure(database, Leases(database, clock=hands), hands).erase(recording().id)
    line = CostLine("-", "USD", 1, 0, Spending(135, 0, 0), 9_000, heard(0) | {"speaking": 135})
    assert reports.costs(CostsBy.RECORDING) == reports.costs(CostsBy.TAG) == [line]
    assert reports.costs(CostsBy.ACTIVITY) == [replace(line, heading="speaking")]


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def away(request: pytest.FixtureRequest, database: Database) -> Iterator[Reports]:
    """Reports over a connection whose zone is another, which only PostgreSQL's connections have."""
    if database.is_embedded:
        yield Reports(database)
        return
    url = database.engine.url.update_query_dict({"options": f"-c timezone={request.param}"})
    elsewhere = open_database(url.render_as_string(hide_password=False))
    yield Reports(elsewhere)
    elsewhere.close()


def test_days_and_months_are_those_of_utc(
    job_id: str, hands: Hands, away: Reports, buy: Callable[..., str]
) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    for amount, at in enumerate([midnight - timedelta(minutes=1), midnight, midnight + timedelta(hours=23)]):
        hands.now = at.astimezone(TOKYO)
        buy(job_id, bill(10**amount))
    days = [(line.heading, line.spending.actual_micro) for line in away.costs(CostsBy.DAY)]
    assert days == [("2026-02-28", 1), ("2026-03-01", 110)]
    months = [(line.heading, line.spending.actual_micro) for line in away.costs(CostsBy.MONTH)]
    assert months == [("2026-02", 1), ("2026-03", 110)]


@pytest.mark.parametrize("zone", [UTC, TOKYO])
def test_costs_since_a_moment_in_any_zone(
    job_id: str, hands: Hands, away: Reports, buy: Callable[..., str], zone: timezone
) -> None:
    since = datetime(2026, 3, 1, tzinfo=zone)
    for amount, at in enumerate([since - timedelta(minutes=1), since, since + timedelta(hours=12)]):
        hands.now = at.astimezone(UTC)
        buy(job_id, bill(10**amount))
    assert sum(line.spending.actual_micro for line in away.costs(CostsBy.DAY, since)) == 110
    assert sum(line.spending.actual_micro for line in away.costs(CostsBy.TAG)) == 111
    assert away.costs(CostsBy.MODEL, since + timedelta(days=2)) == []
    last = away.charges(job_id)[-1].created_at.astimezone(zone)
    assert sum(line.spending.actual_micro for line in away.costs(CostsBy.DAY, last)) == 100
