"""The ledger against a model of it: whatever is said of requests, in whatever order, the sums are right."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from typing import ClassVar, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.charges import totals
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.costs import Spending
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.database.tables import Charge
from stenoflow.storage.errors import AnsweredError, BudgetError, StenoflowError
from tests.storage.database.rows import bill, open_job, request

SEGMENTS = 3
BUDGETS = st.none() | st.integers(0, 300)
AMOUNTS = st.none() | st.integers(0, 100)
LOST = StenoflowError("the connection broke")
ATTEMPTS: Bundle[str] = Bundle("attempts")

_sources = count()


@dataclass
class Sent:
    """A request as the model knows it; ``given_up`` once it was charged as possible."""

    index: int
    reserve: int | None
    state: str = "sent"
    given_up: bool = False
    actual: int | None = None

    @property
    def kinds(self) -> Counter[str]:
        """The entries that there must be of it."""
        release = self.given_up or self.state != "sent"
        reconcile = self.given_up and self.state != "unknown"
        return Counter(
            reserve=1, release=release, possible=self.given_up, reconcile=reconcile, actual=self.state == "ok"
        )

    @property
    def exposure(self) -> int | None:
        """What it may come to cost."""
        return {"sent": self.reserve, "unknown": self.reserve, "ok": self.actual, "refused": 0}[self.state]


class Entry(NamedTuple):
    """What is compared of a charge."""

    id: int
    attempt_id: str
    kind: str
    quantity: int
    amount_micro: int | None


class LedgerMachine(RuleBasedStateMachine):
    """A job of its own in a database, and what should have come of it."""

    database: ClassVar[Database]

    def __init__(self) -> None:
        super().__init__()
        self.catalog = Catalog(self.database)
        self.ledger = Ledger(self.database)
        self.reports = Reports(self.database)
        self.source = f"file:///{next(_sources)}.mp3"
        self.sent: dict[str, Sent] = {}
        self.answers: dict[str, str] = {}
        self.entries: list[Entry] = []

    @initialize(budget=BUDGETS)
    def open(self, budget: int | None) -> None:
        self.budget = budget
        self.job_id = open_job(self.catalog, segments=SEGMENTS, source=self.source, budget_micro=budget)

    @rule(budget=BUDGETS)
    def change_budget(self, budget: int | None) -> None:
        self.budget = budget
        assert self.job_id == open_job(self.catalog, segments=0, source=self.source, budget_micro=budget)

    @rule(target=ATTEMPTS, index=st.integers(0, SEGMENTS - 1), amount=AMOUNTS)
    def begin(self, index: int, amount: int | None) -> str | MultipleResults[str]:
        asked = replace(request(self.job_id, index, costs=bill(amount)), cache_key=self.cache_key(index))
        if self.cache_key(index) in self.answers:
            with pytest.raises(AnsweredError):
                self.ledger.begin(asked)
            return multiple()
        if self.budget is not None and (amount is None or self.exposure + amount > self.budget):
            with pytest.raises(BudgetError):
                self.ledger.begin(asked)
            return multiple()
        attempt_id = self.ledger.begin(asked)
        # What was open for the same is a dead run's, and may have been charged.
        for other in self.sent.values():
            if other.index == index:
                self.give_up(other)
        self.sent[attempt_id] = Sent(index, amount)
        return attempt_id

    @rule(attempt_id=ATTEMPTS, amount=AMOUNTS)
    def succeed(self, attempt_id: str, amount: int | None) -> None:
        self.ledger.succeed(attempt_id, attempt_id, bill(amount))
        sent = self.sent[attempt_id]
        if sent.state != "ok":
            sent.state, sent.actual = "ok", amount
            self.answers.setdefault(self.cache_key(sent.index), attempt_id)

    @rule(attempt_id=ATTEMPTS)
    def refuse(self, attempt_id: str) -> None:
        self.ledger.refuse(attempt_id, LOST)
        if self.sent[attempt_id].state in {"sent", "unknown"}:
            self.sent[attempt_id].state = "refused"

    @rule(attempt_id=ATTEMPTS)
    def lose(self, attempt_id: str) -> None:
        self.ledger.mark_unknown(attempt_id, LOST)
        self.give_up(self.sent[attempt_id])

    @rule()
    def recover(self) -> None:
        in_flight = [sent for sent in self.sent.values() if sent.state == "sent"]
        assert self.ledger.recover(self.job_id, LOST) == len(in_flight)
        for sent in in_flight:
            self.give_up(sent)

    @invariant()
    def entries_are_those_of_the_model_and_only_added(self) -> None:
        entries = [
            Entry(charge.id, charge.attempt_id, charge.kind, charge.quantity, charge.amount_micro)
            for charge in self.reports.charges(self.job_id)
        ]
        assert entries[: len(self.entries)] == self.entries
        self.entries = entries
        kinds = Counter((entry.attempt_id, entry.kind) for entry in entries)
        for attempt_id, sent in self.sent.items():
            kinds.subtract({(attempt_id, kind): times for kind, times in sent.kinds.items()})
        assert not any(kinds.values())

    @invariant()
    def sums_are_those_of_the_model(self) -> None:
        assert sum(entry.amount_micro or 0 for entry in self.entries) == self.exposure
        ended = {state: self.amounts(state) for state in ("ok", "unknown")}
        unpriced = sum(amounts.count(None) for amounts in ended.values())
        actual, possible = (sum(amount or 0 for amount in amounts) for amounts in ended.values())
        assert self.reports.spending([self.job_id]) == Spending(actual, possible, unpriced)

    @invariant()
    def the_running_totals_are_those_of_the_charges(self) -> None:
        with self.database.read() as session:
            everything = session.scalar(select(func.sum(Charge.amount_micro))) or 0
            months = [total for (scope, _), total in totals(session).items() if scope.period[:2] == "20"]
        assert sum(months) == everything

    @invariant()
    def the_first_answers_are_kept(self) -> None:
        assert self.ledger.answers(map(self.cache_key, range(SEGMENTS))) == self.answers

    def teardown(self) -> None:
        self.recover()
        self.entries_are_those_of_the_model_and_only_added()
        reserves = [entry for entry in self.entries if entry.kind in {"reserve", "release"}]
        assert sum(entry.amount_micro or 0 for entry in reserves) == 0
        assert {attempt.id: attempt.state for attempt in self.reports.attempts(self.job_id)} == {
            attempt_id: sent.state for attempt_id, sent in self.sent.items()
        }

    @property
    def exposure(self) -> int:
        return sum(sent.exposure or 0 for sent in self.sent.values())

    def amounts(self, state: str) -> list[int | None]:
        return [sent.exposure for sent in self.sent.values() if sent.state == state]

    def cache_key(self, index: int) -> str:
        return f"{self.job_id}/{index}"

    @staticmethod
    def give_up(sent: Sent) -> None:
        if sent.state == "sent":
            sent.state, sent.given_up = "unknown", True


@pytest.mark.parametrize("examples", [3, pytest.param(15, marks=pytest.mark.slow)])
def test_whatever_becomes_of_requests_the_sums_are_right(database: Database, examples: int) -> None:
    class Machine(LedgerMachine):
        pass

    Machine.database = database
    limits = settings(max_examples=examples, stateful_step_count=12, deadline=None)
    run_state_machine_as_test(Machine, settings=limits)
