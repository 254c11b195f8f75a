"""Many threads in the ledger at the same moment, as a run with sixteen calls in flight makes them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from sqlalchemy import func, select

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.costs import Spending
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.database.tables import Charge
from stenoflow.storage.errors import AnsweredError, BudgetError, StenoflowError
from tests.storage.database.at_once import at_once
from tests.storage.database.rows import RESERVE, bill, cache_key, open_job, request

THREADS = 16
LOST = StenoflowError("the connection broke")


def test_a_budget_for_five_lets_five_of_sixteen_begin(
    ledger: Ledger, catalog: Catalog, reports: Reports
) -> None:
    job_id = open_job(catalog, segments=THREADS, budget_micro=6 * RESERVE - 1)

    def begin(index: int) -> bool:
        try:
            ledger.begin(request(job_id, index))
        except BudgetError:
            return False
        return True

    assert Counter(at_once(THREADS, begin)) == {True: 5, False: THREADS - 5}
    assert [charge.kind for charge in reports.charges(job_id)] == ["reserve"] * 5


def test_the_exposure_is_within_the_budget_at_every_moment(
    ledger: Ledger, catalog: Catalog, database: Database
) -> None:
    budget = 8 * RESERVE
    job_id = open_job(catalog, segments=THREADS, budget_micro=budget)
    exposure = select(func.coalesce(func.sum(Charge.amount_micro), 0)).where(Charge.job_id == job_id)
    over = Event()

    def watch() -> list[int]:
        seen = []
        while not over.is_set():
            with database.read() as session:
                seen.append(int(session.scalar(exposure) or 0))
        return seen

    def spend(index: int) -> None:
        for turn in range(2):
            try:
                attempt_id = ledger.begin(request(job_id, index))
            except (BudgetError, AnsweredError):
                continue
            if (index + turn) % 8 == 0:
                ledger.mark_unknown(attempt_id, LOST)
            elif index % 2:
                ledger.refuse(attempt_id, LOST)
            else:
                ledger.succeed(attempt_id, "{}", bill(RESERVE // 10))

    with ThreadPoolExecutor(1) as watcher:
        watched = watcher.submit(watch)
        try:
            at_once(THREADS, spend)
        finally:
            over.set()
        seen = watched.result()
    assert max(seen) > RESERVE, "the watcher saw nothing of it"
    assert max(seen) <= budget


def test_answers_under_one_work_key_that_come_at_once_are_all_charged(
    ledger: Ledger, catalog: Catalog, reports: Reports
) -> None:
    jobs = [open_job(catalog, segments=1, source=f"file:///copy{number}.mp3") for number in range(8)]
    attempts = [ledger.begin(request(job_id)) for job_id in jobs]
    at_once(len(jobs), lambda number: ledger.succeed(attempts[number], str(number), bill(7)))
    assert reports.spending() == Spending(7 * len(jobs), 0, 0)
    assert ledger.answers([cache_key(0)])[cache_key(0)] in {str(number) for number in range(len(jobs))}


def test_answers_and_recoveries_at_once_leave_each_request_with_one_end(
    ledger: Ledger, catalog: Catalog, reports: Reports
) -> None:
    job_id = open_job(catalog, segments=THREADS)
    attempts = [ledger.begin(request(job_id, index)) for index in range(THREADS)]

    def end(index: int) -> None:
        if index % 4 == 0:
            ledger.recover(job_id, LOST)
        ledger.succeed(attempts[index], "{}", bill(7))

    at_once(THREADS, end)
    assert {attempt.state for attempt in reports.attempts(job_id)} == {"ok"}
    charges = reports.charges(job_id)
    assert sum(charge.amount_micro or 0 for charge in charges) == 7 * THREADS
    assert reports.spending([job_id]) == Spending(7 * THREADS, 0, 0)
    kinds = Counter(charge.kind for charge in charges)
    assert kinds["release"] == kinds["reserve"] == kinds["actual"] == THREADS
    assert kinds["reconcile"] == kinds["possible"]


def test_an_answer_said_twice_at_once_is_charged_once(
    ledger: Ledger, catalog: Catalog, reports: Reports
) -> None:
    job_id = open_job(catalog)
    attempt_id = ledger.begin(request(job_id))
    at_once(4, lambda _: ledger.succeed(attempt_id, "{}", bill(7)))
    assert [charge.kind for charge in reports.charges(job_id)] == ["reserve", "release", "actual"]
