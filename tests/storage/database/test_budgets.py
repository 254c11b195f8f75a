"""Caps on a run, a month, and a month's calls with a tag; and the totals that they are held against."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.charges import Budgets, Scope, totals
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.errors import BudgetError, StenoflowError
from tests.storage.database.at_once import at_once
from tests.storage.database.rows import RESERVE, Hands, bill, open_job, request

LOST = StenoflowError("the connection broke")
MARCH, APRIL = Scope("2026-03"), Scope("2026-04")


def capped(database: Database, hands: Hands, **caps: int) -> Ledger:
    tags = {name.removeprefix("tag_"): cap for name, cap in caps.items() if name.startswith("tag_")}
    return Ledger(database, hands, budgets=Budgets(caps.get("run"), caps.get("month"), tags))


def totals_in(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {f"{scope.period} {scope.tag}".strip(): total for (scope, _), total in totals(session).items()}


def jobs(catalog: Catalog, *tags: str | None) -> list[str]:
    return [open_job(catalog, source=f"file:///{n}.mp3", tag=tag) for n, tag in enumerate(tags)]


def test_a_month_has_one_budget_for_all_jobs(database: Database, catalog: Catalog, hands: Hands) -> None:
    ledger = capped(database, hands, month=2 * RESERVE)
    first, second = jobs(catalog, None, "board")
    ledger.succeed(ledger.begin(request(first, 0, key="a")), "{}", bill())
    ledger.mark_unknown(ledger.begin(request(second, 0, key="b")), LOST)
    with pytest.raises(BudgetError, match=r"2026-03 of 0\.1200 USD.*\[budgets\]"):
        ledger.begin(request(first, 1, key="c", costs=bill(1)))
    assert totals_in(database)["2026-03"] == 2 * RESERVE
    hands.now = datetime(2026, 4, 1, tzinfo=UTC)
    ledger.begin(request(first, 1, key="c"))


def test_a_tag_has_a_budget_of_its_own(database: Database, catalog: Catalog, hands: Hands) -> None:
    ledger = capped(database, hands, tag_board=RESERVE)
    board, council = jobs(catalog, "board", "council")
    ledger.begin(request(board, 0, key="a"))
    with pytest.raises(BudgetError, match="tag board"):
        ledger.begin(request(board, 1, key="b"))
    ledger.begin(request(council, 0, key="c"))


def test_a_run_has_one_budget_for_all_its_jobs(database: Database, catalog: Catalog, hands: Hands) -> None:
    ledger = capped(database, hands, run=RESERVE)
    first, second = jobs(catalog, None, None)
    ledger.begin(request(first, 0, key="a"))
    with pytest.raises(BudgetError, match="--budget"):
        ledger.begin(request(second, 0, key="b"))
    ledger.begin(request(second, 0, key="b", run_id="the next"))


def test_what_did_not_fit_leaves_no_trace(
    database: Database, catalog: Catalog, hands: Hands, reports: Reports
) -> None:
    ledger = capped(database, hands, month=RESERVE - 1)
    (job_id,) = jobs(catalog, "board")
    with pytest.raises(BudgetError):
        ledger.begin(request(job_id))
    assert (list(reports.attempts(job_id)), list(reports.charges(job_id))) == ([], [])
    assert totals_in(database) == {}


def test_a_call_counts_in_the_month_in_which_it_was_begun(
    database: Database, catalog: Catalog, hands: Hands, ledger: Ledger
) -> None:
    (job_id,) = jobs(catalog, "board")
    hands.now = datetime(2026, 3, 31, 23, 59, 50, tzinfo=UTC)
    attempt_id = ledger.begin(request(job_id))
    hands.now = datetime(2026, 4, 1, 1, tzinfo=UTC)
    ledger.mark_unknown(attempt_id, LOST)
    assert totals_in(database) == dict.fromkeys(["2026-03", "2026-03 board", "run run"], RESERVE)
    ledger.succeed(attempt_id, "{}", bill(7))
    assert totals_in(database) == dict.fromkeys(["2026-03", "2026-03 board", "run run"], 7)


def test_another_currency_is_totalled_apart_and_kept_by_no_budget(
    database: Database, catalog: Catalog, hands: Hands, ledger: Ledger
) -> None:
    first, second = jobs(catalog, None, None)
    ledger.begin(request(first, costs=bill(currency="EUR")))
    with pytest.raises(BudgetError, match="in EUR"):
        capped(database, hands, month=10**9).begin(request(second, 1, costs=bill(currency="EUR")))
    with database.read() as session:
        assert totals(session)[MARCH, "EUR"] == RESERVE


def test_of_sixteen_that_begin_at_once_as_many_get_through_as_there_is_room_for(
    database: Database, catalog: Catalog, hands: Hands
) -> None:
    ledger = capped(database, hands, month=6 * RESERVE - 1, tag_board=4 * RESERVE)
    some = jobs(catalog, *["board", "council"] * 8)

    def begin(number: int) -> str:
        try:
            ledger.begin(request(some[number], key=str(number)))
        except BudgetError:
            return "refused"
        return "begun"

    assert Counter(at_once(16, begin)) == {"begun": 5, "refused": 11}
    seen = totals_in(database)
    assert seen["2026-03"] == 5 * RESERVE
    # None of the five may be one of those.
    assert seen.get("2026-03 board", 0) <= 4 * RESERVE


def test_a_job_that_has_no_room_is_known_before_it_begins(
    database: Database, catalog: Catalog, hands: Hands
) -> None:
    ledger = capped(database, hands, tag_board=3 * RESERVE)
    board, council = jobs(catalog, "board", "council")
    ledger.check_room(board, "run", "whisper-1", bill(3 * RESERVE))
    ledger.begin(request(board))
    with pytest.raises(BudgetError, match="tag board"):
        ledger.check_room(board, "run", "whisper-1", bill(3 * RESERVE))
    ledger.check_room(council, "run", "whisper-1", bill(3 * RESERVE))
    with pytest.raises(BudgetError, match="unknown"):
        ledger.check_room(board, "run", "whisper-1", bill(None))
