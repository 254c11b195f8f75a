"""What should become of runs, jobs and calls, in plain words: no database, no locks, one thing at a time.

A call is a request as the ledger knows it. What a run may do is answered with the error that it should
meet; None: it may, and the world has changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from stenoflow.storage.database.leases import LEASE
from stenoflow.storage.errors import AnsweredError, CrashedError, StenoflowError, TakenError

Refusal = type[StenoflowError] | None
Entry = tuple[str, int | None]
"""Kind and amount of a charge."""

DEATHS_THAT_SET_ASIDE = 3


@dataclass
class Run:
    """A run of the program on one of the hosts.

    Attributes:
        acts: whether it may still say something, be it late: it was not killed, and is not at its end.
        hands: what it has in hand, by name: its jobs and the cache keys of its calls, as long as it was alive
            without a break since it got hold of them. No other run may have the same in hand.
    """

    name: str
    host: str
    alive_until: datetime
    acts: bool = True
    was_killed: bool = False
    hands: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """A job.

    Attributes:
        keys: the cache keys of its segments.
        deaths: how many segments were done when runs died over it; only those in a row without progress.
    """

    name: str
    keys: list[str]
    states: list[str]
    state: str = "new"
    run: str | None = None
    deaths: list[int] = field(default_factory=list)


@dataclass
class Call:
    """A request; ``given_up`` once it was charged as possible."""

    name: str
    job: str
    index: int
    key: str
    run: str
    reserve: int | None
    state: str = "sent"
    given_up: bool = False
    actual: int | None = None
    doubted: str | None = None

    @property
    def entries(self) -> Counter[Entry]:
        """The charges that there must be of it, and no others."""
        back = None if self.reserve is None else -self.reserve
        of: dict[Entry, bool] = {
            ("reserve", self.reserve): True,
            ("release", back): self.state != "sent",
            ("possible", self.reserve): self.given_up,
            ("reconcile", back): self.given_up and self.state != "unknown",
            ("actual", self.actual): self.state == "ok",
        }
        return Counter(entry for entry, is_there in of.items() if is_there)

    @property
    def exposure(self) -> int:
        """What it may come to cost, as far as that is known."""
        return {"sent": self.reserve, "unknown": self.reserve, "ok": self.actual, "refused": 0}[
            self.state
        ] or 0

    def give_up(self) -> None:
        """Nobody waits for its answer any more."""
        if self.state == "sent":
            self.state, self.given_up = "unknown", True


class World:
    """All that there is, by name. ``answers`` holds what is stored by cache key, with why to suspect it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 14, 12, tzinfo=UTC)
        self.runs: dict[str, Run] = {}
        self.jobs: dict[str, Job] = {}
        self.calls: dict[str, Call] = {}
        self.answers: dict[str, tuple[str, str | None]] = {}

    # Runs

    def start(self, name: str, host: str) -> None:
        self.runs[name] = Run(name, host, self.now + LEASE)

    def renew(self, run: str) -> None:
        self.runs[run].alive_until = self.now + LEASE

    def tick(self, seconds: int) -> None:
        """Let time pass; those that were silent for too long may lose to others what they have in hand."""
        self.now += timedelta(seconds=seconds)
        for run in self.runs.values():
            if run.alive_until <= self.now:
                run.hands.clear()

    def kill(self, run: str) -> None:
        self._leave(run).was_killed = True

    def end(self, run: str) -> None:
        self._leave(run).alive_until = self.now

    def is_alive(self, run: str, seen_from: str) -> bool:
        """Tell whether a run counts as alive. That it was killed is seen on its own host only."""
        known = self.runs[run]
        return known.alive_until > self.now and not (known.was_killed and known.host == seen_from)

    def _get_hold(self, run: str, name: str, what: str) -> None:
        """Nobody else may get hold of it, from now on; but what the dead get hold of, anybody may take."""
        if self.runs[run].alive_until > self.now:
            self.runs[run].hands[name] = what

    def _leave(self, run: str) -> Run:
        left = self.runs[run]
        left.acts = False
        left.hands.clear()
        return left

    # Jobs

    def submit(self, job: str, keys: list[str]) -> bool:
        """Add a job, unless it is there."""
        is_new = job not in self.jobs
        if is_new:
            self.jobs[job] = Job(job, keys, ["cut"] * len(keys))
        return is_new

    def claim(self, run: str, job: str, *, again: bool) -> Refusal:
        wanted = self.jobs[job]
        if self._is_in_hand_of_another(run, wanted):
            return TakenError
        if wanted.state == "running" and wanted.run != run:
            done = wanted.states.count("done")
            wanted.deaths = [*(death for death in wanted.deaths if death == done), done]
        if again:
            wanted.deaths = []
        if len(wanted.deaths) >= DEATHS_THAT_SET_ASIDE:
            wanted.state = "failed"
            return CrashedError
        wanted.state, wanted.run = "running", run
        wanted.states = ["cut" if state == "failed" else state for state in wanted.states]
        self._get_hold(run, job, job)
        return None

    def stop(self, run: str, job: str, state: str) -> Refusal:
        """Move a job to a state in which nobody works on it."""
        stopped = self.jobs[job]
        if self._is_in_hand_of_another(run, stopped):
            return TakenError
        stopped.state, stopped.deaths = state, []
        self.runs[run].hands.pop(job, None)
        return None

    def park(self, job: str, index: int) -> None:
        """Set a segment aside. One that is done stays done: a late run does not know."""
        if self.jobs[job].states[index] != "done":
            self.jobs[job].states[index] = "failed"

    def finish(self, job: str, index: int) -> None:
        self.jobs[job].states[index] = "done"

    def _is_in_hand_of_another(self, run: str, job: Job) -> bool:
        if job.state != "running" or job.run is None or job.run == run:
            return False
        return self.is_alive(job.run, self.runs[run].host)

    # Calls

    def begin(self, call: Call) -> Refusal:
        if call.key in self.answers:
            return AnsweredError
        for other in self.calls_in_flight():
            if other.key == call.key:
                if other.run != call.run and self.is_alive(other.run, self.runs[call.run].host):
                    return TakenError
                self._give_up(other)
        self.calls[call.name] = call
        self._get_hold(call.run, call.name, call.key)
        return None

    def succeed(self, name: str, answer: str, cost: int | None, suspect: str | None) -> None:
        call = self.calls[name]
        if call.state != "ok":
            self._end(call, "ok", cost)
            self.answers.setdefault(call.key, (answer, suspect))
            self.finish(call.job, call.index)

    def doubt(self, name: str, answer: str, cost: int | None) -> None:
        call = self.calls[name]
        if call.state != "ok":
            self._end(call, "ok", cost)
            call.doubted = answer

    def accept(self, job: str, index: int, name: str, suspect: str) -> None:
        call = self.calls[name]
        self.answers.setdefault(call.key, (call.doubted or "", suspect))
        self.finish(job, index)

    def refuse(self, name: str) -> None:
        call = self.calls[name]
        if call.state != "ok":
            self._end(call, "refused")

    def lose(self, name: str) -> None:
        self._give_up(self.calls[name])

    def recover(self, run: str, job: str) -> int:
        """Give up what dead runs left open in a job; how many there were."""
        here = self.runs[run].host
        left = [each for each in self.calls_in_flight() if each.job == job]
        left = [each for each in left if not self.is_alive(each.run, here)]
        for call in left:
            self._give_up(call)
        return len(left)

    def calls_in_flight(self) -> Iterator[Call]:
        return (call for call in self.calls.values() if call.state == "sent")

    def first_doubted(self, key: str) -> Call | None:
        doubted = (call for call in self.calls.values() if call.key == key and call.doubted is not None)
        return next(doubted, None)

    def _end(self, call: Call, state: str, cost: int | None = None) -> None:
        call.state, call.actual = state, cost
        self.runs[call.run].hands.pop(call.name, None)

    def _give_up(self, call: Call) -> None:
        call.give_up()
        self.runs[call.run].hands.pop(call.name, None)

    # What a step can be about

    @property
    def acting(self) -> list[str]:
        """The runs that can do something."""
        return [run.name for run in self.runs.values() if run.acts]

    @property
    def segments(self) -> list[tuple[str, int]]:
        return [(job.name, index) for job in self.jobs.values() for index in range(len(job.keys))]

    @property
    def unanswered(self) -> list[tuple[str, int]]:
        """The segments that were asked for, be it for another one with the same sound, and have no answer."""
        asked = {call.key for call in self.calls.values()} - self.answers.keys()
        return [(job, index) for job, index in self.segments if self.jobs[job].keys[index] in asked]

    @property
    def doubtful(self) -> list[tuple[str, int]]:
        """The segments for which there is an answer that was doubted."""
        return [
            (job, index) for job, index in self.segments if self.first_doubted(self.jobs[job].keys[index])
        ]

    @property
    def reportable(self) -> list[str]:
        """The calls of which something may be said, be it late; those without an answer come up more."""
        calls = [call for call in self.calls.values() if self.runs[call.run].acts]
        return [call.name for call in calls for _ in range(1 if call.state == "ok" else 3)]
