"""Runs that live, die and come late, against a model: nothing is done twice, and no charge is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import LEASE, Leases
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Attempt, Charge, Exposure, Job, ProgramRun, Result, Segment
from stenoflow.storage.errors import AnsweredError, StenoflowError
from tests.storage.database.rows import bill, cut, job, recording, request
from tests.storage.database.runs_model import Call, Refusal, World

T = TypeVar("T")

LOST = StenoflowError("the connection broke")
AMOUNTS = st.none() | st.integers(0, 100)
HOSTS = st.sampled_from(["here", "there"])
SOURCES = st.sampled_from(["talk", "talk again"])
AUDIOS = st.sampled_from(["abc", "dca"])
"""A segment a letter. An address with other audio is replaced; the same letter is the same work."""
SECONDS = st.sampled_from([20, LEASE.seconds - 1, LEASE.seconds])
STOPPED = st.sampled_from([JobState.INTERRUPTED, JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED])
SUSPECT = st.none() | st.just("short")
FEWEST_RUNS, MOST_RUNS = 2, 4

_worlds = count()


def one_of(those: Callable[[World], Sequence[T]]) -> st.SearchStrategy[T]:
    """One of those that there are at this step."""
    return st.runner().flatmap(lambda machine: st.sampled_from(those(machine.world)))


RUNS = one_of(lambda world: world.acting)
JOBS = one_of(lambda world: list(world.jobs))
SEGMENTS = one_of(lambda world: world.segments)
UNANSWERED = one_of(lambda world: world.unanswered)
DOUBTFUL = one_of(lambda world: world.doubtful)
CALLS = one_of(lambda world: world.reportable)

if_others_are_left = precondition(lambda machine: len(machine.world.acting) > FEWEST_RUNS)
if_a_call_is_reportable = precondition(lambda machine: machine.world.reportable)


@dataclass
class Stored:
    """What is in the database."""

    runs: list[ProgramRun]
    jobs: list[Job]
    segments: list[Segment]
    attempts: list[Attempt]
    answers: dict[str, tuple[str, str | None]]
    charges: list[Any]
    totals: Counter[str]


class RunsMachine(RuleBasedStateMachine):
    """Jobs, keys and runs of its own in a database, and what should have come of them."""

    database: ClassVar[Database]
    folder: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.prefix = f"world {next(_worlds)}, "
        self.leases = {
            host: Leases(self.database, self.folder / host, self.clock) for host in ("here", "there")
        }
        self.ledgers = {
            host: Ledger(self.database, self.clock, leases) for host, leases in self.leases.items()
        }
        self.leases_held: dict[str, ExitStack] = {}
        self.job_ids: dict[str, str] = {}
        self.attempt_ids: dict[str, str] = {}
        self.said = count()
        self.before = Stored([], [], [], [], {}, [], Counter())

    @initialize(audio=AUDIOS)
    def begin_with_two_runs_and_a_job(self, audio: str) -> None:
        self.start_run("here")
        self.start_run("there")
        self.submit("talk", audio)

    # Runs

    @precondition(lambda self: len(self.world.acting) < MOST_RUNS)
    @rule(host=HOSTS)
    def start_run(self, host: str) -> None:
        self.start(host)

    @rule(run=RUNS)
    def renew(self, run: str) -> None:
        self.leases[self.world.runs[run].host].renew(self.id_of(run))
        self.world.renew(run)

    @rule(seconds=SECONDS)
    def tick(self, seconds: int) -> None:
        self.world.tick(seconds)

    @rule(run=RUNS)
    def sleep(self, run: str) -> None:
        """It is silent for the length of its lease, as on a machine that was shut; the others live on."""
        for _ in range(2):
            self.tick(LEASE.seconds // 2)
            for other in self.world.acting:
                if other != run:
                    self.renew(other)

    @if_others_are_left
    @rule(run=RUNS)
    def kill(self, run: str) -> None:
        lock = self.folder / self.world.runs[run].host / f"{self.id_of(run)}.lock"
        lock.unlink()
        lock.touch()  # as a dead process's: there, and let go of
        self.world.kill(run)

    @if_others_are_left
    @rule(run=RUNS)
    def end_run(self, run: str) -> None:
        self.leases_held[run].close()
        self.world.end(run)

    # Jobs

    @rule(source=SOURCES, audio=AUDIOS)
    def submit(self, source: str, audio: str) -> None:
        catalog = Catalog(self.database, self.clock, self.leases["here"])
        stored = catalog.add_recording(recording(f"file:///{self.prefix}{source}.mp3", audio))
        name, keys = f"{source} of {audio}", [self.prefix + sound for sound in audio]
        self.job_ids[name] = catalog.open_job(job(stored)).id
        if self.world.submit(name, keys):
            for index, key in enumerate(keys):
                catalog.add_segment(self.job_ids[name], cut(index), key)

    @rule(run=RUNS, job=JOBS, again=st.booleans())
    def claim(self, run: str, job: str, again: bool) -> None:
        refusal = self.world.claim(run, job, again=again)
        with meeting(refusal):
            self.catalog(run).claim(self.job_ids[job], again=again)

    @rule(host=HOSTS, job=JOBS)
    def die_over(self, host: str, job: str) -> None:
        run = self.start(host)
        self.claim(run, job, again=False)
        self.kill(run)

    @rule(run=RUNS, job=JOBS, state=STOPPED)
    def stop(self, run: str, job: str, state: JobState) -> None:
        with meeting(self.world.stop(run, job, state)):
            self.catalog(run).set_state(self.job_ids[job], state)

    @rule(run=RUNS, segment=SEGMENTS)
    def park(self, run: str, segment: tuple[str, int]) -> None:
        job, index = segment
        self.ledger(run).fail_segment(self.job_ids[job], index, LOST)
        self.world.park(job, index)

    # Calls

    @rule(run=RUNS, segment=SEGMENTS, amount=AMOUNTS, sleeps=st.booleans())
    def begin(self, run: str, segment: tuple[str, int], amount: int | None, sleeps: bool) -> None:
        self.ask(run, segment, amount)
        if sleeps:
            self.sleep(run)

    @precondition(lambda self: self.world.unanswered)
    @rule(run=RUNS, segment=UNANSWERED, amount=AMOUNTS)
    def begin_again(self, run: str, segment: tuple[str, int], amount: int | None) -> None:
        self.ask(run, segment, amount)

    @rule(run=RUNS, segment=SEGMENTS, amount=AMOUNTS, strange=st.booleans())
    def transcribe(self, run: str, segment: tuple[str, int], amount: int | None, strange: bool) -> None:
        call = self.ask(run, segment, amount)
        if call is not None:
            self.doubt(call, amount) if strange else self.succeed(call, amount, None)

    @rule(run=RUNS, other=RUNS, segment=SEGMENTS, amount=AMOUNTS, is_second=st.booleans())
    def reply_late(
        self, run: str, other: str, segment: tuple[str, int], amount: int | None, is_second: bool
    ) -> None:
        """A run sleeps over its call, another asks anew, and both are answered."""
        late = self.ask(run, segment, amount)
        self.sleep(run)
        calls = [late, self.ask(other, segment, amount)]
        for call in reversed(calls) if is_second else calls:
            if call is not None:
                self.succeed(call, amount, None)

    @if_a_call_is_reportable
    @rule(call=CALLS, amount=AMOUNTS, suspect=SUSPECT)
    def succeed(self, call: str, amount: int | None, suspect: str | None) -> None:
        answer = f"answer {next(self.said)}"
        self.ledger_of(call).succeed(self.attempt_ids[call], answer, bill(amount), suspect)
        self.world.succeed(call, answer, amount, suspect)

    @if_a_call_is_reportable
    @rule(call=CALLS, amount=AMOUNTS)
    def doubt(self, call: str, amount: int | None) -> None:
        answer = f"strange answer {next(self.said)}"
        self.ledger_of(call).store_suspect(self.attempt_ids[call], answer, bill(amount))
        self.world.doubt(call, answer, amount)
        self.check_doubted(self.world.calls[call].key)

    @precondition(lambda self: self.world.doubtful)
    @rule(run=RUNS, segment=DOUBTFUL)
    def accept(self, run: str, segment: tuple[str, int]) -> None:
        job, index = segment
        key = self.world.jobs[job].keys[index]
        call = self.check_doubted(key)
        assert call is not None
        self.ledger(run).accept_suspect(self.job_ids[job], index, self.attempt_ids[call.name], "empty")
        self.world.accept(job, index, call.name, "empty")

    @if_a_call_is_reportable
    @rule(call=CALLS)
    def refuse(self, call: str) -> None:
        self.ledger_of(call).refuse(self.attempt_ids[call], LOST)
        self.world.refuse(call)

    @if_a_call_is_reportable
    @rule(call=CALLS)
    def lose(self, call: str) -> None:
        self.ledger_of(call).mark_unknown(self.attempt_ids[call], LOST)
        self.world.lose(call)

    @rule(run=RUNS, job=JOBS)
    def recover(self, run: str, job: str) -> None:
        assert self.ledger(run).recover(self.job_ids[job], LOST) == self.world.recover(run, job)

    # What holds after each step

    @invariant()
    def what_is_stored_is_right(self) -> None:
        stored = self.read()
        self.check_runs(stored)
        self.check_jobs(stored)
        self.check_answers(stored)
        self.check_open_calls(stored)
        self.check_charges(stored)
        self.check_sums(stored)
        self.before = stored

    def check_runs(self, stored: Stored) -> None:
        """Each lease runs until it should, and no two runs that are alive have the same in hand."""
        assert {run.id: run.alive_until for run in stored.runs} == {
            self.id_of(run.name): run.alive_until for run in self.world.runs.values()
        }
        in_hand = Counter(thing for run in self.world.runs.values() for thing in set(run.hands.values()))
        assert not in_hand or max(in_hand.values()) == 1, in_hand

    def check_jobs(self, stored: Stored) -> None:
        assert {job.id: (job.state, job.run_id, job.crashes) for job in stored.jobs} == {
            self.job_ids[job.name]: (job.state, job.run and self.id_of(job.run), len(job.deaths))
            for job in self.world.jobs.values()
        }
        assert {(each.job_id, each.index): each.state for each in stored.segments} == {
            (self.job_ids[job], index): self.world.jobs[job].states[index]
            for job, index in self.world.segments
        }

    def check_answers(self, stored: Stored) -> None:
        """The first answer is kept for good, and what has one is not asked again."""
        assert stored.answers == self.world.answers
        known = {attempt.id for attempt in self.before.attempts}
        asked = {attempt.cache_key for attempt in stored.attempts if attempt.id not in known}
        assert not asked & self.before.answers.keys()

    def check_doubted(self, key: str) -> Call | None:
        """Of several answers that were doubted, the first is the one that may be accepted."""
        call = self.world.first_doubted(key)
        expected = None if call is None else (self.attempt_ids[call.name], call.doubted)
        assert self.ledgers["here"].first_suspect(key) == expected
        return call

    def check_open_calls(self, stored: Stored) -> None:
        """Each call is in the state that it should be in, and open while it may be answered in time."""
        assert {attempt.id: attempt.state for attempt in stored.attempts} == {
            self.attempt_ids[call.name]: call.state for call in self.world.calls.values()
        }
        for attempt in stored.attempts:
            assert attempt.open_key == (attempt.cache_key if attempt.state == "sent" else None)

    def check_charges(self, stored: Stored) -> None:
        """Entries are only ever added, and are those of the model: what may have been charged is there."""
        assert stored.charges[: len(self.before.charges)] == self.before.charges
        entries = Counter((each.attempt_id, each.kind, each.amount_micro) for each in stored.charges)
        assert entries == Counter(
            {
                (self.attempt_ids[call.name], *entry): times
                for call in self.world.calls.values()
                for entry, times in call.entries.items()
            }
        )
        kinds = {(attempt_id, kind) for attempt_id, kind, _ in entries}
        for attempt in stored.attempts:
            assert (attempt.id, "reserve") in kinds
            if attempt.state in {"ok", "unknown"}:
                assert kinds & {(attempt.id, "actual"), (attempt.id, "possible")}

    def check_sums(self, stored: Stored) -> None:
        """What all may come to cost, and what each run may: a call counts in the run that began it."""
        exposures: Counter[str] = Counter()
        for call in self.world.calls.values():
            exposures[total_of(self.id_of(call.run))] += call.exposure
        assert sum(each.amount_micro or 0 for each in stored.charges) == exposures.total()
        assert stored.totals == exposures

    def teardown(self) -> None:
        """When all are dead and the next run has looked, nothing is in flight or reserved any more."""
        with ExitStack() as at_last:
            for held in self.leases_held.values():
                at_last.callback(held.close)
            self.tick(LEASE.seconds)
            next_run = self.start("here")
            for job in self.world.jobs:
                self.recover(next_run, job)
            self.what_is_stored_is_right()
            assert not list(self.world.calls_in_flight())
            reserves = [each for each in self.before.charges if each.kind in {"reserve", "release"}]
            assert sum(each.amount_micro or 0 for each in reserves) == 0
            at_last.callback(self.leases_held[next_run].close)

    # What the machine needs

    def start(self, host: str) -> str:
        run = f"run {len(self.world.runs)}"
        self.leases_held[run] = ExitStack()
        self.leases_held[run].enter_context(self.leases[host].held(self.id_of(run)))
        self.world.start(run, host)
        return run

    def ask(self, run: str, segment: tuple[str, int], amount: int | None) -> str | None:
        """Begin a call, or take the answer that is there; the call, if it is begun."""
        self.world.tick(1)  # no two calls begin at one moment, so there is a first one
        job, index = segment
        key = self.world.jobs[job].keys[index]
        call = Call(f"call {len(self.world.calls)}", job, index, key, run, amount)
        refusal = self.world.begin(call)
        with meeting(refusal):
            asked = request(self.job_ids[job], index, run_id=self.id_of(run), costs=bill(amount), key=key)
            self.attempt_ids[call.name] = self.ledger(run).begin(asked)
        if refusal is AnsweredError:
            self.ledger(run).mark_cached(self.job_ids[job], index)
            self.world.finish(job, index)
        return None if refusal else call.name

    def id_of(self, run: str) -> str:
        return self.prefix + run

    def read(self) -> Stored:
        ids = list(self.job_ids.values())
        runs = [self.id_of(run) for run in self.world.runs]
        keys = {key for job in self.world.jobs.values() for key in job.keys}
        with self.database.read() as session:
            results = session.scalars(select(Result).where(Result.cache_key.in_(keys)))
            charges = select(Charge.__table__).where(Charge.job_id.in_(ids)).order_by(Charge.id)
            totals = session.scalars(select(Exposure).where(Exposure.period.in_(map(total_of, runs))))
            return Stored(
                list(session.scalars(select(ProgramRun).where(ProgramRun.id.in_(runs)))),
                list(session.scalars(select(Job).where(Job.id.in_(ids)))),
                list(session.scalars(select(Segment).where(Segment.job_id.in_(ids)))),
                list(session.scalars(select(Attempt).where(Attempt.job_id.in_(ids)))),
                {result.cache_key: (result.answer, result.suspect) for result in results},
                [*session.execute(charges)],
                Counter({each.period: each.amount_micro for each in totals}),
            )

    def clock(self) -> datetime:
        return self.world.now

    def catalog(self, run: str) -> Catalog:
        return Catalog(self.database, self.clock, self.leases[self.world.runs[run].host], self.id_of(run))

    def ledger(self, run: str) -> Ledger:
        return self.ledgers[self.world.runs[run].host]

    def ledger_of(self, call: str) -> Ledger:
        return self.ledger(self.world.calls[call].run)


def total_of(run_id: str) -> str:
    """What the running total of a run stands under."""
    return f"run {run_id}"


def meeting(refusal: Refusal) -> AbstractContextManager[Any]:
    return nullcontext() if refusal is None else pytest.raises(refusal)


@pytest.mark.parametrize("examples", [3, pytest.param(15, marks=pytest.mark.slow)])
def test_whatever_becomes_of_runs_nothing_is_done_twice_and_no_charge_is_lost(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    monkeypatch.setattr(
        "stenoflow.storage.database.leases._BEAT_S", 3600.0
    )  # they are renewed by the machine alone

    class Machine(RunsMachine):
        pass

    Machine.database, Machine.folder = database, tmp_path
    limits = settings(max_examples=examples, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(Machine, settings=limits)
