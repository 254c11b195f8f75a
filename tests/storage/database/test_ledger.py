from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.costs import Spending
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.database.rows import utc_now
from stenoflow.storage.database.states import AttemptState, ChargeKind, SegmentState
from stenoflow.storage.database.tables import Attempt, Result
from stenoflow.storage.errors import AnsweredError, BudgetError, DatabaseError, StenoflowError
from tests.storage.database.rows import RESERVE, bill, cache_key, digest, open_job, request

LOST = StenoflowError("the connection broke", "resume")
BROKEN_BILL = replace(bill(), currency=None)  # type: ignore[arg-type]  # what no column takes
MANY = 2_000


class Book:
    """What a test reads in the accounts of one job."""

    def __init__(self, reports: Reports, job_id: str) -> None:
        self._reports = reports
        self._job_id = job_id

    @property
    def entries(self) -> list[tuple[str, int | None]]:
        return [(charge.kind, charge.amount_micro) for charge in self._reports.charges(self._job_id)]

    @property
    def exposure(self) -> int:
        return sum(amount or 0 for _, amount in self.entries)

    @property
    def attempts(self) -> Sequence[Attempt]:
        return self._reports.attempts(self._job_id)

    @property
    def states(self) -> list[str]:
        return [attempt.state for attempt in self.attempts]


@pytest.fixture
def job_id(catalog: Catalog) -> str:
    return open_job(catalog, tag="board")


@pytest.fixture
def book(reports: Reports, job_id: str) -> Book:
    return Book(reports, job_id)


def test_a_request_is_stored_as_sent_with_its_money_reserved(ledger: Ledger, job_id: str, book: Book) -> None:
    attempt_id = ledger.begin(request(job_id, 1, run_id="tonight"))
    (attempt,) = book.attempts
    assert (attempt.id, attempt.state, attempt.ended_at) == (attempt_id, AttemptState.SENT, None)
    assert (attempt.segment_index, attempt.cache_key, attempt.run_id) == (1, cache_key(1), "tonight")
    assert book.entries == [("reserve", RESERVE)]


def test_an_entry_says_what_was_bought_from_whom_at_which_price(
    ledger: Ledger, job_id: str, reports: Reports
) -> None:
    attempt_id = ledger.begin(request(job_id))
    ledger.succeed(attempt_id, "{}", bill(5_998, quantity=59_980))
    reserve, release, actual = reports.charges(job_id)
    for entry in (reserve, release, actual):
        assert (entry.attempt_id, entry.job_id, entry.tag) == (attempt_id, job_id, "board")
        assert (entry.provider, entry.model) == ("openai", "whisper-1")
        assert (entry.unit, entry.currency, entry.price) == ("ms", "USD", "0.006 USD a minute")
    assert [entry.quantity for entry in (reserve, release, actual)] == [600_000, -600_000, 59_980]


def test_a_request_is_stored_whole_or_not_at_all(ledger: Ledger, job_id: str, book: Book) -> None:
    with pytest.raises(DatabaseError):
        ledger.begin(request(job_id, costs=BROKEN_BILL))
    assert (book.states, book.entries) == ([], [])


def test_an_answer_is_stored_with_what_it_cost(
    ledger: Ledger, catalog: Catalog, job_id: str, book: Book
) -> None:
    ledger.succeed(ledger.begin(request(job_id, 1)), '{"text": "Größe"}', bill(59_000))
    assert ledger.answers([cache_key(1)]) == {cache_key(1): '{"text": "Größe"}'}
    assert book.entries == [("reserve", RESERVE), ("release", -RESERVE), ("actual", 59_000)]
    assert book.states == [AttemptState.OK]
    assert book.attempts[0].ended_at is not None
    states = [segment.state for segment in catalog.segments(job_id)]
    assert states == [SegmentState.CUT, SegmentState.DONE, SegmentState.CUT]


def test_an_answer_is_stored_whole_or_not_at_all(
    ledger: Ledger, catalog: Catalog, job_id: str, book: Book
) -> None:
    attempt_id = ledger.begin(request(job_id))
    with pytest.raises(DatabaseError):
        ledger.succeed(attempt_id, "{}", BROKEN_BILL)
    assert (book.states, book.entries) == ([AttemptState.SENT], [("reserve", RESERVE)])
    assert ledger.answered([cache_key(0)]) == set()
    assert catalog.segment(job_id, 0).state == SegmentState.CUT


def test_a_second_answer_under_one_work_key_is_charged_and_the_first_is_kept(
    ledger: Ledger, catalog: Catalog, job_id: str, reports: Reports
) -> None:
    other = open_job(catalog, source="file:///same-audio.mp3")
    first, second = ledger.begin(request(job_id)), ledger.begin(request(other))
    ledger.succeed(first, "first", bill(100))
    ledger.succeed(second, "second", bill(200))
    assert ledger.answers([cache_key(0)]) == {cache_key(0): "first"}
    assert reports.spending([other]) == Spending(200, 0, 0)
    assert catalog.segment(other, 0).state == SegmentState.DONE


def test_what_is_answered_is_not_asked_again(ledger: Ledger, catalog: Catalog, job_id: str) -> None:
    ledger.succeed(ledger.begin(request(job_id)), "{}", bill(100))
    other = open_job(catalog, source="file:///same-audio.mp3")
    for job in (job_id, other):
        with pytest.raises(AnsweredError):
            ledger.begin(request(job))


def test_what_a_dead_run_asked_may_have_been_charged_and_is_asked_again(
    ledger: Ledger, job_id: str, book: Book
) -> None:
    ledger.begin(request(job_id, run_id="killed"))
    ledger.begin(request(job_id, run_id="next"))
    assert book.states == ["unknown", "sent"]
    assert [kind for kind, _ in book.entries] == ["reserve", "release", "possible", "reserve"]


def test_a_refused_request_costs_nothing(ledger: Ledger, job_id: str, book: Book) -> None:
    ledger.refuse(ledger.begin(request(job_id)), BudgetError("no money", "pay"))
    assert book.entries == [("reserve", RESERVE), ("release", -RESERVE)]
    (attempt,) = book.attempts
    assert (attempt.state, attempt.error_kind, attempt.error_message) == ("refused", "budget", "no money")
    assert attempt.ended_at is not None


def test_a_lost_request_may_have_been_charged(ledger: Ledger, job_id: str, book: Book) -> None:
    ledger.mark_unknown(ledger.begin(request(job_id)), LOST)
    assert book.entries == [("reserve", RESERVE), ("release", -RESERVE), ("possible", RESERVE)]
    (attempt,) = book.attempts
    assert (attempt.state, attempt.error_message) == ("unknown", "the connection broke")
    assert attempt.ended_at is not None


def test_recovery_gives_up_what_was_in_flight_in_one_job(
    ledger: Ledger, catalog: Catalog, job_id: str, reports: Reports
) -> None:
    other = open_job(catalog, source="file:///other.mp3")
    keys = ["a", "b", "c", "d"]
    answered, refused, *_ = [ledger.begin(request(job_id, min(2, n), key=key)) for n, key in enumerate(keys)]
    ledger.succeed(answered, "{}", bill(1))
    ledger.refuse(refused, LOST)
    ledger.begin(request(other, key="e"))
    assert ledger.recover(job_id, LOST) == 2
    assert Book(reports, job_id).states == ["ok", "refused", "unknown", "unknown"]
    assert reports.spending([job_id]) == Spending(1, 2 * RESERVE, 0)
    assert Book(reports, job_id).exposure == 1 + 2 * RESERVE
    assert Book(reports, other).states == ["sent"]
    assert ledger.recover(job_id, LOST) == 0
    assert reports.spending([job_id]) == Spending(1, 2 * RESERVE, 0)


def test_an_answer_that_comes_after_recovery_is_kept_and_charged_once(
    ledger: Ledger, catalog: Catalog, job_id: str, book: Book
) -> None:
    attempt_id = ledger.begin(request(job_id))
    ledger.recover(job_id, LOST)
    ledger.succeed(attempt_id, "late", bill(59_000))
    assert ledger.answers([cache_key(0)]) == {cache_key(0): "late"}
    assert book.exposure == 59_000
    assert book.entries[2:] == [("possible", RESERVE), ("reconcile", -RESERVE), ("actual", 59_000)]
    (attempt,) = book.attempts
    assert (attempt.state, attempt.error_kind, attempt.error_message) == ("ok", None, None)
    assert catalog.segment(job_id, 0).state == SegmentState.DONE


def test_a_refusal_that_comes_after_recovery_takes_the_possible_charge_back(
    ledger: Ledger, job_id: str, book: Book
) -> None:
    attempt_id = ledger.begin(request(job_id))
    ledger.recover(job_id, LOST)
    ledger.refuse(attempt_id, LOST)
    assert (book.states, book.exposure) == (["refused"], 0)
    assert book.entries[2:] == [("possible", RESERVE), ("reconcile", -RESERVE)]


@pytest.mark.parametrize("end", ["succeed", "refuse", "lose"])
def test_an_end_said_again_changes_nothing(ledger: Ledger, job_id: str, book: Book, end: str) -> None:
    attempt_id = ledger.begin(request(job_id))

    def say() -> None:
        if end == "succeed":
            ledger.succeed(attempt_id, "{}", bill(5))
        elif end == "refuse":
            ledger.refuse(attempt_id, LOST)
        else:
            ledger.mark_unknown(attempt_id, LOST)

    say()
    entries, ended_at = book.entries, book.attempts[0].ended_at
    say()
    ledger.recover(job_id, LOST)
    assert (book.entries, book.attempts[0].ended_at) == (entries, ended_at)


def test_an_answer_is_never_taken_back(ledger: Ledger, job_id: str, book: Book) -> None:
    attempt_id = ledger.begin(request(job_id))
    ledger.succeed(attempt_id, "{}", bill(5))
    ledger.mark_unknown(attempt_id, LOST)
    ledger.refuse(attempt_id, LOST)
    assert (book.states, book.exposure) == (["ok"], 5)


def test_all_entries_of_a_request_stand_under_the_tag_that_it_was_begun_under(
    ledger: Ledger, catalog: Catalog, job_id: str, reports: Reports
) -> None:
    before = ledger.begin(request(job_id))
    assert open_job(catalog, segments=0, tag="council") == job_id
    ledger.succeed(before, "{}", bill(5))
    ledger.mark_unknown(ledger.begin(request(job_id, 1)), LOST)
    tags = Counter((charge.tag, charge.attempt_id == before) for charge in reports.charges(job_id))
    assert tags == {("board", True): 3, ("council", False): 3}


def test_a_small_budget_is_said_as_it_is(ledger: Ledger, catalog: Catalog) -> None:
    job_id = open_job(catalog, budget_micro=10)
    with pytest.raises(BudgetError, match=r"over its budget of 0\.000010 USD"):
        ledger.begin(request(job_id, 0))


def test_a_request_that_could_pass_the_budget_is_not_stored(
    ledger: Ledger, catalog: Catalog, reports: Reports
) -> None:
    job_id = open_job(catalog, budget_micro=2 * RESERVE)
    book = Book(reports, job_id)
    ledger.begin(request(job_id, 0))
    second = ledger.begin(request(job_id, 1))
    with pytest.raises(BudgetError, match=r"segment 2 .* budget of 0\.1200 USD"):
        ledger.begin(request(job_id, 2))
    assert (book.states, book.exposure) == (["sent", "sent"], 2 * RESERVE)
    ledger.succeed(second, "{}", bill(RESERVE - 1))
    with pytest.raises(BudgetError):
        ledger.begin(request(job_id, 2))
    ledger.begin(request(job_id, 2, costs=bill(1)))
    assert book.exposure == 2 * RESERVE


@pytest.mark.parametrize(("end", "room"), [("refuse", True), ("lose", False)])
def test_what_was_refused_makes_room_and_what_may_have_been_charged_does_not(
    ledger: Ledger, catalog: Catalog, end: str, room: bool
) -> None:
    job_id = open_job(catalog, budget_micro=RESERVE)
    attempt_id = ledger.begin(request(job_id))
    ledger.refuse(attempt_id, LOST) if end == "refuse" else ledger.mark_unknown(attempt_id, LOST)
    if room:
        ledger.begin(request(job_id))
        return
    with pytest.raises(BudgetError):
        ledger.begin(request(job_id))


def test_a_larger_budget_lets_a_job_go_on(ledger: Ledger, catalog: Catalog) -> None:
    job_id = open_job(catalog, budget_micro=RESERVE)
    ledger.begin(request(job_id))
    assert open_job(catalog, segments=0, budget_micro=2 * RESERVE) == job_id
    ledger.begin(request(job_id, 1))


def test_a_budget_is_that_of_one_job(ledger: Ledger, catalog: Catalog, job_id: str) -> None:
    ledger.begin(request(job_id))
    other = open_job(catalog, source="file:///other.mp3", budget_micro=RESERVE)
    ledger.begin(request(other))


def test_an_unknown_price_keeps_no_budget(ledger: Ledger, catalog: Catalog, reports: Reports) -> None:
    job_id = open_job(catalog, budget_micro=10**12)
    with pytest.raises(BudgetError, match=r"price of whisper-1 at openai is unknown.*budget"):
        ledger.begin(request(job_id, costs=bill(None)))
    assert Book(reports, job_id).states == []


@pytest.mark.parametrize("lost", [False, True])
def test_an_unknown_price_is_recorded_as_unknown(
    ledger: Ledger, job_id: str, reports: Reports, lost: bool
) -> None:
    attempt_id = ledger.begin(request(job_id, costs=bill(None)))
    ledger.mark_unknown(attempt_id, LOST) if lost else ledger.succeed(attempt_id, "{}", bill(None))
    entries = reports.charges(job_id)
    assert [entry.kind for entry in entries] == ["reserve", "release", "possible" if lost else "actual"]
    assert {(entry.amount_micro, entry.price) for entry in entries} == {(None, None)}
    assert reports.spending([job_id]) == Spending(0, 0, 1)


def test_a_free_call_is_known_to_be_free(ledger: Ledger, catalog: Catalog, reports: Reports) -> None:
    job_id = open_job(catalog, budget_micro=0)
    ledger.succeed(ledger.begin(request(job_id, costs=bill(0))), "{}", bill(0))
    assert reports.spending([job_id]) == Spending(0, 0, 0)


def test_the_answers_of_a_long_recording_come_at_once(ledger: Ledger, database: Database) -> None:
    keys = [digest(str(number)) for number in range(MANY)]
    with database.write() as session:
        session.add_all(
            Result(cache_key=key, attempt_id="a", answer=key[:8], created_at=utc_now()) for key in keys[::2]
        )
    assert ledger.answers(iter(keys)) == {key: key[:8] for key in keys[::2]}
    assert ledger.answered(iter(keys)) == set(keys[::2])
    assert (ledger.answers([]), ledger.answered([])) == ({}, set())


def test_a_parked_segment_says_why_and_a_stored_answer_ends_that(
    ledger: Ledger, catalog: Catalog, job_id: str
) -> None:
    ledger.fail_segment(job_id, 1, LOST)
    parked = catalog.segment(job_id, 1)
    assert (parked.state, parked.error_kind) == (SegmentState.FAILED, "unexpected")
    assert parked.error_message == "the connection broke (resume)"
    ledger.mark_cached(job_id, 1)
    reused = catalog.segment(job_id, 1)
    assert (reused.state, reused.error_kind, reused.error_message) == (SegmentState.DONE, None, None)
    assert catalog.segment(job_id, 0).state == SegmentState.CUT


@pytest.mark.parametrize("odd", ['{"text": "half \udcff"}', "nothing \0"])
def test_text_that_no_database_takes_loses_neither_an_answer_nor_a_reason(
    ledger: Ledger, catalog: Catalog, job_id: str, book: Book, odd: str
) -> None:
    kept = odd.replace("\udcff", "\N{REPLACEMENT CHARACTER}").replace("\0", "\N{REPLACEMENT CHARACTER}")
    ledger.succeed(ledger.begin(request(job_id, 0)), odd, bill(1))
    ledger.mark_unknown(ledger.begin(request(job_id, 1)), StenoflowError(odd))
    ledger.fail_segment(job_id, 1, StenoflowError(odd))
    assert ledger.answers([cache_key(0)]) == {cache_key(0): kept}
    assert book.attempts[1].error_message == kept
    assert catalog.segment(job_id, 1).error_message == kept


def test_money_beyond_what_a_float_holds_is_kept_exactly(
    ledger: Ledger, job_id: str, reports: Reports
) -> None:
    large = Bill(2**53 + 1, "ms", "dear", 2**53 + 1, "USD")
    ledger.succeed(ledger.begin(request(job_id, costs=large)), "{}", large)
    assert reports.spending([job_id]) == Spending(2**53 + 1, 0, 0)
    assert {abs(charge.quantity) for charge in reports.charges(job_id)} == {2**53 + 1}
    assert [charge.kind for charge in reports.charges(job_id)][-1] == ChargeKind.ACTUAL
