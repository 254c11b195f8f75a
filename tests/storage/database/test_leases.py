"""Who is alive, who works on what, and what becomes of what the dead had begun."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import LEASE, Leases
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Job, ProgramRun
from stenoflow.storage.errors import CrashedError, StenoflowError, TakenError
from tests.storage.database.at_once import at_once
from tests.storage.database.rows import Hands, cache_key, cut, open_job, request

LOST = StenoflowError("the connection broke")


@pytest.fixture
def leases(database: Database, hands: Hands) -> Leases:
    return Leases(database, clock=hands)


@pytest.fixture
def alive(leases: Leases) -> Iterator[str]:
    """A run that is alive."""
    with leases.held("alive"):
        yield "alive"


def catalog_of(database: Database, hands: Hands, run_id: str, folder: Path | None = None) -> Catalog:
    return Catalog(database, hands, Leases(database, folder, hands), run_id)


def state_of(database: Database, job_id: str) -> tuple[str, str | None]:
    with database.read() as session:
        job = session.get_one(Job, job_id)
        return job.state, job.run_id


def is_alive(database: Database, leases: Leases, run_id: str) -> bool:
    with database.read() as session:
        return leases.is_alive(session, run_id)


def test_a_run_is_alive_while_it_says_so_and_not_after(
    database: Database, leases: Leases, hands: Hands
) -> None:
    with leases.held("run"):
        assert is_alive(database, leases, "run")
        hands.now += LEASE - timedelta(seconds=10)
        leases.renew("run")
        hands.now += LEASE - timedelta(seconds=10)
        assert is_alive(database, leases, "run")
        hands.now += timedelta(seconds=10)
        assert not is_alive(database, leases, "run"), "silent for longer than its lease"
        leases.renew("run")
    assert not is_alive(database, leases, "run")
    assert not is_alive(database, leases, "never seen")


def test_a_killed_run_of_this_machine_is_known_to_be_dead_at_once(
    database: Database, hands: Hands, tmp_path: Path
) -> None:
    leases = Leases(database, tmp_path, hands)
    program = (
        "import fcntl, os, sys\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_CREAT | os.O_RDWR), fcntl.LOCK_EX)\n"
        "print(flush=True); sys.stdin.read()"
    )
    with leases.held("other"):  # its row; the lock is another process's
        (tmp_path / "other.lock").unlink()
        args = [sys.executable, "-c", program, str(tmp_path / "other.lock")]
        with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert is_alive(database, leases, "other")
            process.kill()
        assert not is_alive(database, leases, "other")


def test_a_job_that_a_living_run_works_on_is_nobody_elses(
    database: Database, hands: Hands, alive: str
) -> None:
    first, second = catalog_of(database, hands, alive), catalog_of(database, hands, "second")
    job_id = open_job(first)
    first.claim(job_id)
    acts: list[Callable[[], object]] = [
        lambda: second.claim(job_id),
        lambda: second.claim(job_id, again=True),
        lambda: second.set_state(job_id, JobState.FAILED, LOST),
        lambda: second.add_segment(job_id, cut(3), cache_key(3)),
        lambda: second.finish_plan(job_id, 1, 0),
        lambda: second.record_artifacts(job_id, [], 1),
    ]
    for act in acts:
        with pytest.raises(TakenError):
            act()
    assert state_of(database, job_id) == (JobState.RUNNING, alive)
    first.set_state(job_id, JobState.PARTIAL)
    second.claim(job_id)
    assert state_of(database, job_id) == (JobState.RUNNING, "second")


def test_a_run_that_lost_its_lease_changes_nothing_of_what_another_took_over(
    database: Database, hands: Hands, alive: str
) -> None:
    late = catalog_of(database, hands, "late")
    job_id = open_job(late)
    late.claim(job_id)
    catalog_of(database, hands, alive).claim(job_id)
    with pytest.raises(TakenError):
        late.add_segment(job_id, cut(3), cache_key(3))
    with pytest.raises(TakenError):
        late.set_state(job_id, JobState.COMPLETE)
    assert state_of(database, job_id) == (JobState.RUNNING, alive)


def test_a_request_of_a_living_run_is_waited_for(
    database: Database, hands: Hands, leases: Leases, alive: str, reports: Reports
) -> None:
    ledger = Ledger(database, hands, leases)
    job_id = open_job(Catalog(database, hands))
    other = open_job(Catalog(database, hands), source="file:///same-audio.mp3")
    ledger.begin(request(job_id, run_id=alive))
    with pytest.raises(TakenError):
        ledger.begin(request(other, run_id="second"))
    assert ledger.recover(job_id, LOST) == 0
    assert [attempt.state for attempt in reports.attempts(job_id)] == ["sent"]
    assert reports.attempts(other) == []


@pytest.fixture
def eight(database: Database) -> Iterator[Leases]:
    """Eight runs that are alive, by the true time: ``run 0`` to ``run 7``."""
    leases = Leases(database)
    with ExitStack() as stack:
        for number in range(8):
            stack.enter_context(leases.held(f"run {number}"))
        yield leases


def test_of_eight_that_send_the_same_one_does(database: Database, eight: Leases, reports: Reports) -> None:
    jobs = [open_job(Catalog(database), source=f"file:///{n}.mp3") for n in range(8)]
    ledger = Ledger(database, leases=eight)

    def begin(number: int) -> bool:
        try:
            ledger.begin(request(jobs[number], run_id=f"run {number}"))
        except TakenError:
            return False
        return True

    assert sum(at_once(8, begin)) == 1
    assert sum(len(reports.attempts(job_id)) for job_id in jobs) == 1


def test_of_eight_that_claim_jobs_each_gets_other_ones(database: Database, eight: Leases) -> None:
    jobs = [open_job(Catalog(database), segments=0, source=f"file:///{n}.mp3") for n in range(25)]

    def claim_all(number: int) -> set[str]:
        catalog, mine = Catalog(database, leases=eight, run_id=f"run {number}"), set()
        for job_id in jobs[number * 3 :] + jobs[: number * 3]:
            with suppress(TakenError):
                catalog.claim(job_id)
                mine.add(job_id)
        return mine

    assert sorted(job for mine in at_once(8, claim_all) for job in mine) == sorted(jobs)


def test_a_job_over_which_runs_die_without_getting_further_is_set_aside(
    database: Database, hands: Hands
) -> None:
    job_id = open_job(Catalog(database, hands), segments=1)
    for number in range(3):
        catalog_of(database, hands, f"killed {number}").claim(job_id)
    watchful = catalog_of(database, hands, "watchful")
    for _ in range(2):
        with pytest.raises(CrashedError, match=rf"3 runs in a row died over job {job_id}.*resume {job_id}"):
            watchful.claim(job_id)
        assert state_of(database, job_id)[0] == JobState.FAILED
    watchful.claim(job_id, again=True)
    assert state_of(database, job_id) == (JobState.RUNNING, "watchful")


def test_runs_that_are_killed_while_they_get_further_are_not_held_against_a_job(
    database: Database, hands: Hands
) -> None:
    job_id = open_job(Catalog(database, hands), segments=0)
    for number in range(6):
        catalog = catalog_of(database, hands, f"killed {number}")
        catalog.claim(job_id)
        catalog.add_segment(job_id, cut(number), cache_key(number))


def test_one_of_all_has_the_turn_until_the_next_is_due(database: Database, hands: Hands) -> None:
    minute = timedelta(minutes=1)
    here, there = (Leases(database, clock=hands) for _ in range(2))
    assert [each.take_turn("tidy", minute) for each in (here, there, here)] == [True, False, False]
    assert there.take_turn("something else", minute)
    hands.now += minute
    assert [each.take_turn("tidy", minute) for each in (there, here)] == [True, False]
    assert not is_alive(database, here, "tidy")


def test_one_of_those_that_ask_at_once_has_the_turn(database: Database) -> None:
    leases = Leases(database)
    taken = at_once(12, lambda number: leases.take_turn(f"{number % 3}", timedelta(hours=1)))
    assert sorted(taken) == [False] * 9 + [True] * 3


def test_on_postgresql_a_machine_whose_clock_is_wrong_misleads_nobody(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = Leases(postgres)
    with leases.held("here"):
        monkeypatch.setattr(
            "stenoflow.storage.database.rows.datetime", None
        )  # any look at this machine's clock fails
        leases.renew("here")
        assert is_alive(postgres, leases, "here")
        with postgres.read() as session:
            run = session.scalars(select(ProgramRun)).one()
    assert run.alive_until - run.started_at >= LEASE


def test_a_job_that_another_run_completed_meanwhile_is_not_taken_for_unfinished(
    database: Database, hands: Hands
) -> None:
    first, second = (catalog_of(database, hands, name) for name in ("first", "second"))
    job_id = open_job(first)
    first.claim(job_id)
    first.set_state(job_id, JobState.COMPLETE)
    assert not second.claim(job_id, unfinished=True)
    assert second.job(job_id).state == JobState.COMPLETE
    assert second.claim(job_id)
    second.set_state(job_id, JobState.PARTIAL)
    assert first.claim(job_id, unfinished=True)
