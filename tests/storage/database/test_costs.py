"""Costs are read from the sums of days, and always say what the ledger's entries say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from alembic import command
from sqlalchemy import delete

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.costs import CostLine, CostsBy
from stenoflow.storage.database.erasure import Erasure
from stenoflow.storage.database.health import Health
from stenoflow.storage.database.job_records import JobRecords
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.database.tables import Base, Job
from stenoflow.storage.errors import StenoflowError
from tests.storage.database.rows import Hands, bill, cache_key, cut, open_job, recording, request
from tests.storage.database.rows import job as job_of
from tests.storage.database.test_upgrade import config_of

LOST = StenoflowError("the connection broke")
BEGUN = datetime(2026, 2, 27, 22, tzinfo=UTC)


@pytest.fixture
def job_ids(catalog: Catalog, ledger: Ledger, hands: Hands) -> list[str]:
    """Jobs with and without tags and inboxes, whose requests end in every way over some days."""
    hands.now, number, made = BEGUN, count(), []
    for tag, inbox in ((None, None), ("board", "meetings"), ("", "calls"), ("board", None)):
        stored = catalog.add_recording(recording(f"file:///{next(number)}.mp3"))
        opened = job_of(stored, tag=tag)
        opened.inbox = inbox
        made.append(catalog.open_job(opened).id)
        catalog.add_segment(made[-1], cut(0), cache_key(0))
        for model, costs in (("a", bill(7)), ("b", bill(None)), ("a", bill(5, currency="EUR"))):
            asked = request(made[-1], model=model, costs=costs, key=f"answered {next(number)}")
            ledger.succeed(ledger.begin(asked), "{}", costs)
            lost = ledger.begin(request(made[-1], model=model, costs=costs, key=f"lost {next(number)}"))
            ledger.mark_unknown(lost, LOST)
            late = ledger.begin(request(made[-1], model=model, costs=costs, key=f"late {next(number)}"))
            ledger.mark_unknown(late, LOST)
            hands.now += timedelta(hours=9)
            ledger.succeed(late, "{}", costs)
            never = ledger.begin(request(made[-1], model=model, costs=costs, key=f"never {next(number)}"))
            ledger.mark_unknown(never, LOST)
            ledger.refuse(never, LOST)
    return made


def all_costs(reports: Reports, since: datetime | None = None) -> dict[CostsBy, list[CostLine]]:
    return {by: reports.costs(by, since) for by in CostsBy}


def without_recordings(told: dict[CostsBy, list[CostLine]]) -> dict[CostsBy, list[CostLine]]:
    return {by: lines for by, lines in told.items() if by is not CostsBy.RECORDING}


def test_the_sums_of_days_say_what_the_entries_say(job_ids: list[str], reports: Reports) -> None:
    assert job_ids
    for days in range(-1, 9):
        midnight = datetime(2026, 2, 27, tzinfo=UTC) + timedelta(days=days)
        # A moment in a day is not looked up in sums of days; nothing was charged in a day's first.
        entries = all_costs(reports, midnight + timedelta(microseconds=1))
        assert all_costs(reports, midnight) == entries
    assert len({line.heading for line in reports.costs(CostsBy.DAY)}) > 3
    inboxes = {line.heading: line.calls for line in reports.costs(CostsBy.INBOX) if line.currency == "USD"}
    assert inboxes == {"-": 12, "calls": 6, "meetings": 6}
    assert reports.costs(CostsBy.TAG, datetime(2999, 1, 1, tzinfo=UTC)) == []


def test_of_recordings_those_that_cost_most_are_found(
    job_ids: list[str], catalog: Catalog, ledger: Ledger, reports: Reports, database: Database, hands: Hands
) -> None:
    assert job_ids
    dear = bill(1_000)
    for number in (10, 11):
        job_id = open_job(catalog, source=f"file:///dear {number}.mp3")
        for index in range(number - 9):
            asked = request(job_id, index, costs=dear, key=f"dear {number} {index}")
            ledger.succeed(ledger.begin(asked), "{}", dear)
    names = {most: {line.heading for line in reports.costs(CostsBy.RECORDING, most=most)} for most in (1, 2)}
    assert names == {1: {"dear 11.mp3"}, 2: {"dear 10.mp3", "dear 11.mp3"}}
    Erasure(database, Leases(database, clock=hands), hands).erase(recording("file:///dear 11.mp3").id)
    (line,) = reports.costs(CostsBy.RECORDING, most=1)
    assert (line.heading, line.spending.actual_micro) == ("-", 2_000)
    assert reports.costs(CostsBy.RECORDING, most=99) == reports.costs(CostsBy.RECORDING)


def test_only_what_is_still_uncertain_is_counted_as_such(job_ids: list[str], database: Database) -> None:
    assert Health(database).uncertain(BEGUN) == 3 * len(job_ids)
    assert Health(database).uncertain(BEGUN + timedelta(days=365)) == 0


def test_what_was_charged_before_there_were_sums_of_days_is_summed_up(
    job_ids: list[str], database: Database, reports: Reports
) -> None:
    assert job_ids
    before = without_recordings(all_costs(reports))
    uncertain = Health(database).uncertain(BEGUN)
    with database.engine.begin() as connection:
        config = config_of(connection)
        command.downgrade(config, "0015")
        command.upgrade(config, "head")
    after = without_recordings(all_costs(reports))
    # From which inbox it came was not kept.
    assert {line.heading for line in after.pop(CostsBy.INBOX)} == {"-"}
    assert before.pop(CostsBy.INBOX)
    assert after == before
    assert Health(database).uncertain(BEGUN) == uncertain


def test_a_job_that_is_taken_back_has_its_costs_by_day_and_inbox_again(
    job_ids: list[str], database: Database, reports: Reports
) -> None:
    before = all_costs(reports)
    records = [JobRecords(database).read(job_id) for job_id in job_ids]
    with database.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(delete(table))
    for record in [*records, records[0]]:
        JobRecords(database).restore(record)
    assert all_costs(reports) == before


def test_a_job_learns_its_inbox_when_it_is_opened_again(
    catalog: Catalog, ledger: Ledger, reports: Reports, database: Database
) -> None:
    job_id = open_job(catalog)
    opened = job_of(recording())
    opened.inbox = "meetings"
    catalog.open_job(opened)
    catalog.open_job(job_of(recording()))
    with database.read() as session:
        assert session.get_one(Job, job_id).inbox == "meetings"
    ledger.succeed(ledger.begin(request(job_id)), "{}", bill())
    assert [line.heading for line in reports.costs(CostsBy.INBOX)] == ["meetings"]
