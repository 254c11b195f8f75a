"""The runner: runs jobs of any kind side by side, under one limit of calls, until the user stops them."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from stenoflow.flows.notifications import Notifications, open_notifications
from stenoflow.flows.outcome import Outcome
from stenoflow.flows.run import InterruptedByUserError, Limit, Orchestrate, Run, open_run
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StenoflowError, TakenError
from stenoflow.tasks.api.tracing import Span, traced, untraced
from stenoflow.tasks.calls.chosen_models import used_models
from stenoflow.tasks.calls.live_stream import ListenerGoneError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import StoppedError

T = TypeVar("T")

_log = logging.getLogger(__name__)
# How often to look whether another run has come to its end.
_LOOK_AGAIN_S = 1.0
# Without calls in flight, what is under way gets this long to end by itself.
_SETTLING_S = 2.0
_LOOK_FOR_SIGNALS_S = 1.0
# Enough recordings at once to keep all calls busy even where each is one short segment.
_SPARE_JOBS = 2
# While calls are busy, so many wait to be cut into segments: another process could begin with the rest.
_MOST_WAITING = 2
# Where calls are free, one more is taken each so often: how long one is shows as it is cut.
_PACE_S = 0.25
_STOPPED = (StoppedError, InterruptedByUserError, ListenerGoneError, BrokenPipeError, asyncio.CancelledError)


class Progress(Protocol):
    """Who is told how jobs go: the display of a terminal, plain lines, or Prefect's dashboard."""

    def opened(self, name: str, job_id: str, duration_ms: int, unit: str) -> None:
        """Begin to show a job; ``duration_ms``: of its recording, or 0; ``unit``: what is counted of it."""

    def waiting(self, what: str | None) -> None:
        """Show what all jobs wait for; None: nothing any more."""

    def ended(self, outcome: Outcome) -> None:
        """Show a job's end."""

    def stopping(self, calls: int, grace_s: float) -> None:
        """Show that the user asked to stop; calls in flight are waited for."""


class Work(ABC):
    """A job to be run, as its kind has it: what differs from kind to kind."""

    name: str
    """For people: of the recording or of the job."""
    unit: str = "segment"
    """What is counted to show how far it is."""
    again: bool = False
    """Run it even if it was set aside after crashes."""
    has_listener: bool = False
    """Somebody listens, so it is run even where another run has completed it meanwhile."""
    told: str | None = None
    """What was announced of its failure when it was tried before: the same is not announced again."""
    error: BaseException | None = None
    """What it ended in; set by the runner."""

    @abstractmethod
    async def open(self, runner: Runner) -> Job:
        """Find or make the job; raises a StenoflowError where it is refused."""

    @abstractmethod
    def is_done(self, context: AppContext, job: Job) -> bool:
        """Tell whether the job is complete and all of it in place; blocks."""

    @abstractmethod
    async def work(self, run: Run, job: Job) -> None:
        """Do the job, which this run has claimed, and publish it: its state then says how it ended."""

    @abstractmethod
    def outcome(self, context: AppContext, job: Job | None, error: BaseException | None) -> Outcome:
        """Return the outcome; blocks. ``job`` is None where none was opened."""

    async def deliver(self, run: Run, job: Job, *, was_done: bool) -> None:  # noqa: B027 - most have nobody waiting
        """Hand over what there is once the job is done; ``was_done``: before this run."""

    def duration_ms(self, context: AppContext, job: Job) -> int:
        """Return how long the recording is; blocks."""
        return context.catalog.recording(job.recording_id).duration_ms or 0

    def state_after(self, context: AppContext, job: Job, error: StenoflowError) -> JobState:  # noqa: ARG002
        """Return the state of a job whose work ended in an error; blocks."""
        return JobState.FAILED

    async def follow_up(self, runner: Runner, outcome: Outcome) -> Outcome:  # noqa: ARG002
        """Do what follows the job; returns its outcome with what is to be added."""
        return outcome


@dataclass(slots=True)
class Runner:
    """Runs jobs in this process. Belongs to one event loop; `stop` may be called in it at any time.

    Attributes:
        concurrency: calls in flight at most.
        orchestrate: calls the steps of recordings: plainly, or inside runs of Prefect's.
        outer: what each call passes through beside this process's own limit.
        say: told what people are to know at once; None: stderr is.
        interrupted: somebody called `stop`.
    """

    context: AppContext
    concurrency: int
    progress: Progress
    orchestrate: Orchestrate
    outer: Limit | None = None
    say: Callable[[str], object] | None = None
    interrupted: bool = False
    _run: Run | None = None
    _notifications: Notifications | None = None
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _has_lost_listener: bool = False

    @property
    def active(self) -> Run:
        """The run that is open."""
        if self._run is None:
            raise RuntimeError("the runner is not open")
        return self._run

    def waits_for(self) -> str | None:
        """Say what calls wait for; None where they wait for nothing, or not for long."""
        return None if self._run is None else self._run.caller.waits.reason()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Run]:
        """Open the run in which jobs are run."""
        async with (
            open_run(self.context, self.concurrency, self.orchestrate, self.outer) as run,
            open_notifications(run, self.say) as self._notifications,
        ):
            self._run = run
            if (remark := untraced()) is not None:
                (self.say or _log.warning)(f"Warning: {remark}")
            run.give_up = self._give_up
            if self.interrupted:
                run.interrupt()
            yield run

    async def run_all(self, works: Sequence[Work]) -> list[Outcome]:
        """Run jobs side by side; returns their outcomes in order."""
        async with self.open():
            room = asyncio.Semaphore(self.concurrency + _SPARE_JOBS)

            async def in_turn(work: Work) -> Outcome:
                async with room:
                    return await self.run(work)

            return await asyncio.gather(*map(in_turn, works))

    async def follow(self, works: AsyncIterable[Work], told: Callable[[Outcome], object]) -> None:
        """Run jobs as they come, until nothing more does; one is asked for when it is needed to go on.

        Args:
            works: the jobs.
            told: given the outcome of each.
        """
        begun: set[asyncio.Task[None]] = set()
        coming = aiter(works)
        async with self.open():
            room = asyncio.Semaphore(self.concurrency + _SPARE_JOBS)

            async def beside(work: Work) -> None:
                told(await self.run(work))
                room.release()

            try:
                while await room.acquire():
                    await self._until_needed(begun)
                    task = asyncio.create_task(beside(await anext(coming)))
                    begun.add(task)
                    task.add_done_callback(begun.discard)
            except StopAsyncIteration:
                pass
            finally:
                await asyncio.gather(*begun)

    async def _until_needed(self, begun: Collection[object]) -> None:
        """Wait until one job more than those that were begun keeps busy what would be idle without it."""
        run = self.active
        while len(begun) - len(run.cut) >= _MOST_WAITING and not self.is_cut_off:
            await asyncio.sleep(_PACE_S)
            if run.caller.limiter.busy < run.caller.limiter.limit:
                return

    async def run(self, work: Work) -> Outcome:
        """Run a job from its opening to its outcome; whatever happens is an outcome.

        Raises:
            BrokenPipeError: who listened to it is gone, and nobody asked to stop.
        """
        outcome = await self._outcome(work, self.progress)
        if self._notifications is not None and not _is_repeated(work, outcome):
            self._notifications.tell(outcome)
        outcome = await work.follow_up(self, outcome)
        self.progress.ended(outcome)
        return outcome

    async def run_quietly(self, work: Work) -> Outcome:
        """Run a job that is part of another's: nobody is shown it."""
        return await self._outcome(work, None)

    @property
    def is_cut_off(self) -> bool:
        """Whether no more calls can be made: the user or the provider stopped them all."""
        return self.interrupted or (self._run is not None and self._run.caller.limiter.is_stopped)

    def stop(self) -> None:
        """Begin nothing more and keep the replies of calls in flight; a second time: drop those too."""
        if self._run is None:
            self.interrupted = True
        elif self.interrupted:
            self._cancel()
        else:
            self.interrupted = True
            self._run.interrupt()
            calls = self._run.caller.busy
            grace_s = self.context.settings.grace_s if calls else _SETTLING_S
            self.progress.stopping(calls, grace_s)
            asyncio.get_running_loop().call_later(grace_s, self._cancel)

    async def _outcome(self, work: Work, progress: Progress | None) -> Outcome:
        with traced("job", run=self.context.run_id) as span:
            outcome = await self._ended(work, progress, span)
            span.note(job=outcome.job, state=outcome.status)
            if outcome.error is not None:
                span.fail(outcome.error["kind"])
            return outcome

    async def _ended(self, work: Work, progress: Progress | None, span: Span) -> Outcome:
        job: Job | None = None
        try:
            job = await self._open(work, progress)
            span.note(job=job.id, kind=job.kind)
            await self._do(work, job, progress)
        except _STOPPED as stopped:
            work.error = stopped
        except Exception as failure:  # noqa: BLE001 - one job's fault must not end the others
            work.error = failure
            if not isinstance(failure, StenoflowError):
                _log.exception("%s", work.name)
        if isinstance(work.error, _STOPPED) and self._has_lost_listener and not self.interrupted:
            raise BrokenPipeError from work.error
        if isinstance(work.error, _STOPPED):
            work.error = _interrupted(job, work.error)
        try:
            return await run_blocking(work.outcome, self.context, job, work.error)
        except StenoflowError as lost:
            # The job cannot say so itself: the database is gone.
            outcome = await asyncio.to_thread(work.outcome, self.context, None, work.error or lost)
            return outcome if job is None else replace(outcome, job=job.id)

    async def _open(self, work: Work, progress: Progress | None) -> Job:
        self.active.check_interrupted()
        job = await work.open(self)
        if progress is not None:
            duration_ms = await run_blocking(work.duration_ms, self.context, job)
            progress.opened(work.name, job.id, duration_ms, work.unit)
        return job

    async def _do(self, work: Work, job: Job, progress: Progress | None) -> None:
        """Do a job unless it is done, once no other run that is alive is at work on it."""
        was_done = await run_blocking(work.is_done, self.context, job)
        if not was_done and await self._claim(work, job, progress):
            await self._work(work, job)
        await work.deliver(self.active, job, was_done=was_done)

    async def _work(self, work: Work, job: Job) -> None:
        if self._notifications is not None:
            self._notifications.watch(used_models(job))
        broken = StenoflowError("the run that made this call was broken off")
        await run_blocking(self.context.ledger.recover, job.id, broken)
        task = asyncio.create_task(work.work(self.active, job))
        self._under_way.add(task)
        error: BaseException | None = None
        try:
            await task
        except (asyncio.CancelledError, Exception) as raised:
            error = raised
            raise
        finally:
            self._under_way.discard(task)
            self.active.cut.discard(job.id)
            await run_blocking(self._settle, work, job, error)

    async def _claim(self, work: Work, job: Job, progress: Progress | None) -> bool:
        """Claim a job; False where another run has completed it while its end was waited for."""
        is_waiting = False
        unfinished = job.state != JobState.COMPLETE and not work.has_listener
        while True:
            try:
                claimed = await run_blocking(
                    self.context.catalog.claim, job.id, again=work.again, unfinished=unfinished
                )
            except TakenError:
                if progress is not None and not is_waiting:
                    progress.waiting(f"{work.name}: another run is at work on it; waiting for its end")
                is_waiting = True
                await asyncio.sleep(_LOOK_AGAIN_S)
                if self.interrupted:
                    raise StoppedError("interrupted before it was begun") from None
            else:
                if progress is not None and is_waiting:
                    progress.waiting(None)
                return claimed

    def _settle(self, work: Work, job: Job, error: BaseException | None) -> None:
        """See that a job whose work did not come to its end says how far it came."""
        now = self.context.catalog.job(job.id)
        if now.state != JobState.RUNNING or now.run_id != self.context.run_id:
            # What a job says of itself counts; and a run that took it meanwhile knows better.
            if error is not None:
                _log.warning("job %s ended as %s, its work with: %s", job.id, now.state, error)
            return
        with suppress(TakenError):
            if error is None or self.interrupted or isinstance(error, _STOPPED):
                self.context.catalog.set_state(job.id, JobState.INTERRUPTED)
                return
            if not isinstance(error, StenoflowError):
                error = StenoflowError(f"{type(error).__name__}: {error}", "STENOFLOW_DEBUG=1 shows where")
            error.job_id = job.id
            self.context.catalog.set_state(job.id, work.state_after(self.context, now, error), error)

    def _give_up(self) -> None:
        """End, for nobody listens any more: calls in flight are seen through, and no others sent."""
        self._has_lost_listener = True
        self.active.caller.stop(ListenerGoneError("nobody listens any more", "resume asks for the rest"))
        asyncio.get_running_loop().call_later(self.context.settings.grace_s, self._cancel)

    def _cancel(self) -> None:
        for task in self._under_way:
            task.cancel()


def _is_repeated(work: Work, outcome: Outcome) -> bool:
    """Tell whether a failure was announced before; amounts and times in its message may be others now."""
    message = (outcome.error or {}).get("message")
    return None not in {work.told, message} and _wordings(work.told) == _wordings(message)


def _wordings(message: str | None) -> str:
    return re.sub(r"\d+", "", message or "")


def _interrupted(job: Job | None, error: BaseException) -> StenoflowError:
    """Return the error of a job that the user stopped."""
    if job is None:
        return error if isinstance(error, StenoflowError) else StoppedError("interrupted before it was begun")
    stopped = StoppedError("interrupted", f"stenoflow resume {job.id} goes on")
    stopped.job_id = job.id
    return stopped


def run_until_signal(
    runner: Runner, work: Coroutine[Any, Any, T], stop: Callable[[], object] = lambda: None
) -> T:
    """Run a runner's work from the main thread; SIGINT and SIGTERM stop the runner, and call ``stop``.

    The event loop has a thread of its own: in the main thread, Prefect would put a handler of its own
    for SIGTERM in place of ours, and that one breaks calls off.
    """

    def end() -> None:
        runner.stop()
        stop()

    with ThreadPoolExecutor(1, thread_name_prefix="runner") as pool, asyncio.Runner() as loop_runner:
        loop = loop_runner.get_loop()
        ended = pool.submit(loop_runner.run, work)
        with _on_signal(lambda: loop.call_soon_threadsafe(end)):
            # A signal that another thread takes, or that comes just before this one sleeps, does not wake it.
            while not wait([ended], _LOOK_FOR_SIGNALS_S).done:
                pass
            return ended.result()


@contextmanager
def _on_signal(act: Callable[[], object]) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: act()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
