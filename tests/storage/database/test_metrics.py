"""What is counted, on both databases, against what was done."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from stenoflow.storage.database import metrics
from stenoflow.storage.database.arrivals import Arrivals, arrival_id
from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.charges import Budgets, Scope
from stenoflow.storage.database.connection import Database, open_database
from stenoflow.storage.database.erasure import Erasure
from stenoflow.storage.database.leases import LEASE, Leases
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.metrics import Entries, Metrics, MetricsSnapshot
from stenoflow.storage.database.states import ChargeKind, JobState
from stenoflow.storage.errors import DatabaseError, StenoflowError
from tests.storage.database.rows import RESERVE, Hands, bill, cache_key, open_job, request

LOST = StenoflowError("no answer")


@pytest.fixture
def hands() -> Hands:
    return Hands()


def look(database: Database, hands: Hands, budgets: Budgets | None = None) -> MetricsSnapshot:
    return Metrics(database, budgets or Budgets(), lambda: hands.now).snapshot()


def total(entries: tuple[Entries, ...], *kinds: ChargeKind) -> int:
    return sum(each.amount_micro for each in entries if each.kind in kinds)


def test_nothing_is_zero_and_every_state_is_there(database: Database, hands: Hands) -> None:
    snapshot = look(database, hands)
    assert snapshot.jobs == dict.fromkeys(JobState, 0)
    assert set(snapshot.segments.values()) == {0}
    assert (snapshot.recordings, snapshot.calls, snapshot.entries, snapshot.runs) == (0, (), (), 0)
    assert (snapshot.oldest_job_s, snapshot.oldest_arrival_s) == (0, 0)


def test_calls_and_money_are_those_of_the_ledger(database: Database, hands: Hands) -> None:
    catalog, ledger = Catalog(database, hands), Ledger(database, hands)
    job = open_job(catalog, segments=5)
    answered, refused, lost, _in_flight, unpriced = (
        ledger.begin(request(job, index, costs=bill(None) if index == 4 else None)) for index in range(5)
    )
    ledger.succeed(answered, "{}", bill(RESERVE - 1, quantity=599_000))
    ledger.succeed(unpriced, "{}", bill(None))
    ledger.refuse(refused, LOST)
    ledger.mark_unknown(lost, LOST)

    snapshot = look(database, hands)
    assert Counter({(each.state, each.error_kind): each.count for each in snapshot.calls}) == {
        ("ok", None): 2,
        ("refused", "unexpected"): 1,
        ("unknown", "unexpected"): 1,
        ("sent", None): 1,
    }
    entries = snapshot.entries
    assert {(each.provider, each.model, each.currency, each.unit) for each in entries} == {
        ("openai", "whisper-1", "USD", "ms")
    }
    assert total(entries, ChargeKind.ACTUAL) == RESERVE - 1
    assert total(entries, ChargeKind.POSSIBLE, ChargeKind.RECONCILE) == RESERVE
    assert total(entries, ChargeKind.RESERVE, ChargeKind.RELEASE) == RESERVE
    (actual,) = [each for each in entries if each.kind == ChargeKind.ACTUAL]
    assert (actual.count, actual.unpriced, actual.quantity) == (2, 1, 1_199_000)
    assert snapshot.segments["done"] == 2
    assert snapshot.exposure_micro == {"USD": 3 * RESERVE - 1}

    ledger.succeed(lost, "{}", bill())
    entries = look(database, hands).entries
    assert total(entries, ChargeKind.POSSIBLE, ChargeKind.RECONCILE) == 0
    assert total(entries, ChargeKind.ACTUAL) == 2 * RESERVE - 1


def test_what_is_forgotten_is_gone_but_not_from_the_counters(database: Database, hands: Hands) -> None:
    catalog, ledger = Catalog(database, hands), Ledger(database, hands)
    job = open_job(catalog)
    ledger.succeed(ledger.begin(request(job)), "{}", bill())
    catalog.set_state(job, JobState.COMPLETE)
    before = look(database, hands)
    Erasure(database, Leases(database, clock=hands)).erase(catalog.job(job).recording_id)
    after = look(database, hands)
    assert (before.recordings, len(before.calls), after.recordings, after.calls) == (1, 1, 0, ())
    assert set(after.entries) == set(before.entries) != set()


def test_budgets_are_those_of_this_month(database: Database, hands: Hands) -> None:
    catalog, ledger = Catalog(database, hands), Ledger(database, hands)
    ledger.begin(request(open_job(catalog, tag="board")))
    ledger.begin(request(open_job(catalog, source="file:///b.mp3"), key=cache_key(9)))
    budgets = Budgets(run_micro=1, month_micro=5_000_000, tags_micro={"board": 70_000, "other": 1})
    snapshot = look(database, hands, budgets)
    assert snapshot.exposure_micro == {"USD": 2 * RESERVE}
    assert snapshot.budgets == (
        (Scope("2026-03"), 2 * RESERVE, 5_000_000),
        (Scope("2026-03", "board"), RESERVE, 70_000),
        (Scope("2026-03", "other"), 0, 1),
    )
    hands.now += timedelta(days=31)
    later = look(database, hands, budgets)
    assert [used for _, used, _ in later.budgets] == [0, 0, 0]
    assert later.exposure_micro == {}


@pytest.mark.parametrize("state", [JobState.NEW, JobState.RUNNING, JobState.INTERRUPTED])
def test_the_queue_is_as_old_as_its_oldest_open_job(
    database: Database, hands: Hands, state: JobState
) -> None:
    catalog = Catalog(database, hands)
    oldest = open_job(catalog, source="file:///a.mp3")
    waiting = open_job(catalog, source="file:///b.mp3")
    born = catalog.job(waiting).created_at
    catalog.set_state(oldest, JobState.FAILED)
    catalog.set_state(waiting, state)
    hands.now = born + timedelta(hours=2)
    assert look(database, hands).oldest_job_s == 7_200
    catalog.set_state(waiting, JobState.COMPLETE)
    assert look(database, hands).oldest_job_s == 0


def test_an_arrival_waits_until_it_has_ended(database: Database, hands: Hands) -> None:
    arrivals = Arrivals(database, "run", hands)
    arrivals.take("file:///in/a.mp3", "mark")
    hands.now += timedelta(hours=1)
    assert look(database, hands).oldest_arrival_s == 3_600
    arrivals.end(arrival_id("file:///in/a.mp3", "mark"), "complete", None, None)
    assert look(database, hands).oldest_arrival_s == 0


def test_a_run_is_alive_for_as_long_as_its_lease(database: Database, hands: Hands) -> None:
    leases = Leases(database, clock=lambda: hands.now)
    with leases.held("run"):
        assert look(database, hands).runs == 1
        hands.now += LEASE + timedelta(seconds=1)
        assert look(database, hands).runs == 0


def test_this_machines_clock_counts_only_where_the_server_has_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_job(Catalog(database, lambda: datetime.now(UTC) - timedelta(days=1)))

    def ahead() -> datetime:
        return datetime.now(UTC) + timedelta(days=365)

    monkeypatch.setattr(metrics, "utc_now", ahead)
    age = timedelta(seconds=Metrics(database, Budgets(), ahead).snapshot().oldest_job_s)
    assert (age > timedelta(days=365)) == database.is_embedded
    assert age > timedelta(hours=23)


def test_a_database_without_tables_is_an_error(database_url: str) -> None:
    bare = open_database(database_url)
    with pytest.raises(DatabaseError):
        Metrics(bare, Budgets()).snapshot()
    bare.close()


def test_a_segment_is_in_one_state(database: Database, hands: Hands) -> None:
    catalog, ledger = Catalog(database, hands), Ledger(database, hands)
    job = open_job(catalog, segments=3)
    ledger.fail_segment(job, 1, LOST)
    ledger.mark_cached(job, 2)
    assert look(database, hands).segments == {"cut": 1, "silent": 0, "done": 1, "failed": 1}
    assert ledger.answered([cache_key(0)]) == set()
