"""Flow runs on whichever worker is free: one a recording, and again those whose process died."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas import FlowRun, State
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelled, Completed, Crashed

from stenoflow.flows.desk.prefect_api import DEPLOYMENT
from stenoflow.flows.ingest import Moves, move_what_ended
from stenoflow.storage.database.leases import LEASE
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, ScannedRecording
from stenoflow.tasks.sources.inbox.options import Priority, RecordingOptions

if TYPE_CHECKING:
    from stenoflow.flows.outcome import Outcome
    from stenoflow.storage.database.arrivals import Arrivals
    from stenoflow.tasks.sources.inbox.queue import Announcement, EventQueue

_ONE, _MANY, _RECOVER = "ingest recording", "ingest recordings", "recover"
INGEST_RECORDING = f"{_ONE}/{DEPLOYMENT}"
INGEST_RECORDINGS = f"{_MANY}/{DEPLOYMENT}"
RESUME = f"resume/{DEPLOYMENT}"
# With more recordings in one look, flow runs share them: each takes the processor for seconds to start.
_MOST_FLOW_RUNS = 8
# So many recordings at most are shared, by so many flow runs at first, each of which has so many at least.
_MOST_TOGETHER = 1_000
_MOST_AT_FIRST = 16
_LEAST_EACH = 4
# To start a process takes some seconds of the processor: of this, one or two per cent.
_STINT_S = 600.0
_ASK_AGAIN_S = 60.0
# A run that ends before it has taken its recording is made anew so often.
_TRIES = 3
_AGAIN_S = 10
_log = logging.getLogger(__name__)


async def dispatch(scanner: InboxScanner, interval_s: float, moves: Moves) -> int:
    """Have what is new and complete transcribed: by a flow run a recording, or many by some flow runs.

    Looks as often as it takes to know what is complete. What a flow run is to take already is left to it.

    Returns:
        How many flow runs were asked for.
    """
    asked = looks = 0
    while True:
        scanner.in_hand = await _handed_over(scanner)
        look = await run_blocking(scanner.look)
        await move_what_ended(scanner, moves)
        asked += await _hand_over(scanner, look, moves)
        looks += 1
        if looks >= scanner.looks or not scanner.growing:
            return asked
        await asyncio.sleep(interval_s)


async def empty_queue(scanner: InboxScanner, url: str, moves: Moves) -> int:
    """Have all that a queue announces by now transcribed, by a flow run each.

    Returns:
        How many flow runs were asked for.

    Raises:
        SettingsError: the queue cannot be used.
        SourceOutOfReachError: it does not answer.
    """
    from stenoflow.tasks.sources.inbox.queue import open_queue  # noqa: PLC0415 - boto3 takes half a second to import

    asked, queue = 0, await run_blocking(open_queue, url, scanner.inbox)
    while announcements := await run_blocking(queue.receive, 0):
        for announcement in announcements:
            asked += await _hand_over_announced(scanner, announcement, moves)
    _say_notices(queue, moves)
    return asked


async def follow_queue(scanner: InboxScanner, queue: EventQueue, moves: Moves) -> None:
    """Have what a queue announces transcribed at once, for ever; it blocks, and belongs into its own thread.

    What is lost meanwhile, the looks into the inbox find.
    """
    while True:
        try:
            for announcement in queue.receive():
                await _hand_over_announced(scanner, announcement, moves)
            _say_notices(queue, moves)
        except (StenoflowError, PrefectHTTPStatusError, httpx.HTTPError) as error:
            moves.say(f"{error}; hearing the queue again in {_AGAIN_S} s")
            time.sleep(_AGAIN_S)  # noqa: ASYNC251 - as receiving, it holds up this thread alone


async def _hand_over_announced(scanner: InboxScanner, announcement: Announcement, moves: Moves) -> int:
    scanner.in_hand = await _handed_over(scanner)
    asked = await _hand_over(scanner, await run_blocking(scanner.announced, announcement.entries), moves)
    await run_blocking(announcement.acknowledge)
    return asked


def _say_notices(queue: EventQueue, moves: Moves) -> None:
    while queue.notices:
        moves.say(queue.notices.pop(0))


async def _handed_over(scanner: InboxScanner) -> set[str]:
    """Return the addresses of what flow runs, begun or not, are to transcribe."""
    async with get_client() as client:
        runs = await _runs_in(client, [_ONE, _MANY], _UNFINISHED)
    batches = {run.parameters["batch"] for run in runs if "batch" in run.parameters}
    addresses = await run_blocking(scanner.context.arrivals.waiting_at, batches)
    return addresses | {run.parameters["source"] for run in runs if "source" in run.parameters}


async def _hand_over(scanner: InboxScanner, found: Sequence[ScannedRecording], moves: Moves) -> int:
    """Ask for flow runs that transcribe recordings; return how many recordings that are."""
    waiting: dict[Priority, list[tuple[ScannedRecording, str]]] = defaultdict(list)
    hour = f"{datetime.now(UTC):%Y-%m-%dT%H}"
    for scanned in found:
        in_hand, last_try = await run_blocking(scanner.context.arrivals.is_in_hand, scanned.id)
        if not in_hand:
            # Asked for again and again, it is one run; another if that dies with it, puts it off, or gives it
            # back, as where the provider has stopped all calls: that is tried a few times an hour.
            waiting[scanned.options.priority].append((scanned, f"{scanned.id} {last_try} {hour}"))
    said = {"inbox": scanner.inbox.address, "reject": moves.rejects}
    said |= {} if moves.done_to is None else {"done_to": moves.done_to}
    asked = 0
    for priority, some in waiting.items():
        if len(some) > _MOST_FLOW_RUNS and await _is_deployed(INGEST_RECORDINGS):
            for first in range(0, len(some), _MOST_TOGETHER):
                asked += await _hand_over_many(scanner, some[first : first + _MOST_TOGETHER], said, priority)
            continue
        for scanned, key in some:
            options = scanned.options.model_dump(mode="json", exclude_defaults=True)
            parameters = {**said, "source": scanned.entry.source.uri, "options": options}
            tags = [scanned.options.tag] if scanned.options.tag else []
            asked += await ask_for(INGEST_RECORDING, parameters, key, priority, tags) is not None
    return asked


async def _is_deployed(deployment: str) -> bool:
    """Tell whether Prefect knows a deployment: it knows those of the version that `stenoflow deploy` ran."""
    async with get_client() as client:
        try:
            await client.read_deployment_by_name(deployment)
        except ObjectNotFound:
            return False
        return True


async def _hand_over_many(
    scanner: InboxScanner, some: Sequence[tuple[ScannedRecording, str]], said: dict[str, Any], queue: Priority
) -> int:
    """Ask for flow runs that share recordings: whichever is free takes the next, without starting a process.

    Which they are stands in our database: workers read the parameters of all that wait every few seconds.
    """
    arrivals, rules = scanner.context.arrivals, scanner.rules
    batch = hashlib.sha256("\n".join(last for _, last in some).encode()).hexdigest()
    await run_blocking(arrivals.expect, batch, [(each.entry.source.uri, each.mark) for each, _ in some])
    given = RecordingOptions.model_validate(dict(rules.given)).model_dump(mode="json", exclude_unset=True)
    shared = {"batch": batch, "recordings": len(some)}
    parameters = {**said, **shared, "options": given, "allow": sorted(rules.allow)}
    # Each that gets on asks for another; what there is no room for is deleted once nothing waits.
    runs = min(_MOST_AT_FIRST, -(-len(some) // _LEAST_EACH))
    asked = [
        await ask_for(INGEST_RECORDINGS, parameters, f"{batch} {number}", queue) for number in range(runs)
    ]
    return len(some) if any(asked) else 0


class Stint:
    """How long a flow run takes recordings that it shares: some minutes, and on until others need its place.

    Stints differ, so that places come free one after another.
    """

    def __init__(self, run_id: str | None) -> None:
        """Begin.

        Args:
            run_id: of the flow run; None where Prefect knows none.
        """
        self._run_id = run_id
        self._ends_at_s = time.monotonic() + _STINT_S * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        self.has_ended = False

    async def is_over(self) -> bool:
        """Tell whether it is to take no more."""
        if not self.has_ended and time.monotonic() >= self._ends_at_s:
            self.has_ended = self._run_id is None or await _is_in_the_way(self._run_id)
            self._ends_at_s = time.monotonic() + _ASK_AGAIN_S
        return self.has_ended


async def _is_in_the_way(run_id: str) -> bool:
    """Tell whether another flow run would begin in this one's place: as urgent, and with other work."""
    async with get_client() as client:
        mine = await client.read_flow_run(UUID(run_id))
        due = await _runs_in(client, _ON_DEMAND, [StateType.SCHEDULED], until=datetime.now(UTC))
    # What takes from the same recordings does nothing that this one does not do.
    batch = mine.parameters.get("batch")
    return any(
        run.work_pool_name == mine.work_pool_name
        and _rank(run) <= _rank(mine)
        and run.parameters.get("batch") != batch
        for run in due
    )


def _rank(run: FlowRun) -> int:
    ranks = [each.value for each in Priority]
    return ranks.index(run.work_queue_name) if run.work_queue_name in ranks else 0


@asynccontextmanager
async def asking_for_another(
    arrivals: Arrivals, batch: str, run_id: str | None
) -> AsyncIterator[Callable[[Outcome], None]]:
    """Ask for another flow run like one that shares recordings, once the first of them is complete.

    So there is one for each place that comes free, and few that wait: workers read those every few seconds.
    Where none gets on, as without its provider, none comes after those that were asked for at first.

    Args:
        arrivals: tell whether any waits.
        batch: that is shared.
        run_id: of the flow run; None where Prefect knows none.

    Yields:
        What is to be told of each outcome.
    """
    asking: list[asyncio.Task[None]] = []

    async def ask() -> None:
        try:
            if run_id is not None and await run_blocking(arrivals.has_waiting, batch):
                await ask_for_another(run_id)
        except (StenoflowError, PrefectHTTPStatusError, httpx.HTTPError) as error:
            _log.warning("no flow run could be asked for beside this one: %s", error)

    def told(outcome: Outcome) -> None:
        if not asking and outcome.status == JobState.COMPLETE:
            asking.append(asyncio.create_task(ask()))

    try:
        yield told
    finally:
        await asyncio.gather(*asking)


async def ask_for_another(run_id: str) -> None:
    """Ask for another flow run like one that shares recordings, behind those that wait."""
    async with get_client() as client:
        run = await client.read_flow_run(UUID(run_id))
    if run.deployment_id is not None:
        await ask_for(INGEST_RECORDINGS, run.parameters, f"next {run_id}", run.work_queue_name)


async def delete_unneeded(batch: str) -> None:
    """Delete the flow runs that were to share recordings and have not begun: none of these waits any more."""
    async with get_client() as client:
        for run in await _runs_in(client, [_MANY], [StateType.SCHEDULED]):
            if run.parameters.get("batch") == batch:
                with suppress(ObjectNotFound):
                    await client.delete_flow_run(run.id)


async def ask_for(
    deployment: str,
    parameters: dict[str, Any],
    key: str,
    queue: str | None = None,
    tags: Sequence[str] | None = None,
) -> FlowRun | None:
    """Ask for a flow run under a key; for another one where that has ended, and what it was for has not."""
    async with get_client() as client:
        pooled = (await client.read_deployment_by_name(deployment)).work_pool_name is not None
    for _ in range(_TRIES):
        run = await arun_deployment(
            deployment,
            parameters=parameters,
            timeout=0,
            idempotency_key=key,
            as_subflow=False,
            work_queue_name=queue if pooled else None,
            tags=tags,
        )
        if run.state is None or not run.state.is_final():
            return run
        key = f"{key} {run.id}"
    _log.error("%s has ended %d times without a result: %s", deployment, _TRIES, parameters)
    return None


TAG = "recovered"
"""Of flow runs that were asked for here: a job that is set aside stays so."""

IDLE = "Nothing new"
"""The state's name of a look that found nothing."""

_CANCELLED = "Cancelled"
_MOST_TIMES = 5
_MOST_DELETED = 200
_PAGE = 200
_UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
# The deployable flows that say they are alive: those that are asked for anew, and those that are due again.
_FLOWS = ["resume", _ONE, _MANY, "transcribe"]
_LOOKS = ["ingest", _RECOVER, "retain", "verify"]
# Any other may need a place: what recovers is done by all that hold one.
_ON_DEMAND = [*_FLOWS, "digest", "translate", *(each for each in _LOOKS if each != _RECOVER)]
_RECOVER_EVERY = timedelta(minutes=1)
# Until the next time, with what that may be late; a worker takes a flow run ten seconds before it is due.
_RECOVERED_FOR = _RECOVER_EVERY + timedelta(seconds=30)
# How long a flow run may be in a state before it must have said so: imports; images to be pulled, or a worker
# of processes that has begun anew under its old name, so that nobody can tell.
_STARTING = {StateType.RUNNING: timedelta(minutes=2), StateType.PENDING: timedelta(minutes=10)}
# A worker that has missed so many of its beats is gone; Prefect's own pages say so, too.
_BEATS = 3
_NO_TIME = dict.fromkeys(_STARTING, timedelta())


@asynccontextmanager
async def recovering(context: AppContext) -> AsyncIterator[None]:
    """Recover what died, for as long as the block lasts: of all that are alive, one does so each minute."""

    async def follow() -> None:
        while True:
            await asyncio.sleep(_RECOVER_EVERY.total_seconds())
            await recover_in_turn(context)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait([following])


async def recover_in_turn(context: AppContext) -> None:
    """Recover what died, unless that has been done within the last minute; what fails is done by the next."""
    try:
        if await run_blocking(context.leases.take_turn, _RECOVER, _RECOVER_EVERY):
            await recover_and_tidy(context)
    except Exception as error:  # noqa: BLE001 - whatever ails a server must not end the recordings in hand
        _log.warning("what died could not be recovered: %s", error)


async def recover_and_tidy(context: AppContext) -> int:
    """Recover what died, and delete looks that found nothing; returns how many flow runs were asked for."""
    asked = await recover_crashed_runs(context)
    await delete_idle_looks()
    await _cancel_next_recovery()
    return asked


async def _cancel_next_recovery() -> None:
    """Cancel the flow run of `recover` that is due next: what it would find has just been looked for.

    While anything is alive, none of them begins so, each of which takes seconds of the processor to start.
    """
    until = datetime.now(UTC) + _RECOVERED_FOR
    async with get_client() as client:
        for run in await _runs_in(client, [_RECOVER], [StateType.SCHEDULED], until=until):
            if run.auto_scheduled:
                with suppress(ObjectNotFound):
                    await client.set_flow_run_state(run.id, Cancelled(message="what is alive has done it"))


async def recover_crashed_runs(context: AppContext, *, at_start: bool = False) -> int:
    """Have done anew what processes died over, and mark their flow runs as crashed.

    A flow run is asked for anew as it was, with all that it was to do; a job that no flow run had is resumed.

    Args:
        context: of the process.
        at_start: nobody runs yet what belongs to no pool, so that what was begun of it has died; jobs of
            commands are left to later.

    Returns:
        How many flow runs were asked for.
    """
    left: dict[str, list[str]] = defaultdict(list)
    for job_id, run_id in await run_blocking(context.catalog.abandoned):
        left[run_id or ""].append(job_id)
    asked = 0
    async with get_client() as client:
        await _free_slots(context, client)
        for run in await _runs_in(client, _FLOWS, _STARTING):
            has_died = left.pop(str(run.id), None) is not None
            # It may be tried again by its own worker, under the same id.
            if has_died:
                is_lost = _is_older(run, LEASE)
            elif (at_start and run.work_pool_name is None) or await _has_lost_its_worker(client, run):
                is_lost = await _is_lost(context, run, _NO_TIME)
            else:
                is_lost = await _is_lost(context, run, _STARTING)
            if is_lost:
                await client.set_flow_run_state(run.id, Crashed(message="its process died"), force=True)
                asked += await _ask_again(client, run)
        for run_id, job_ids in () if at_start else left.items():
            crashed = await _crashed(client, run_id)
            if crashed is not None:
                asked += await _ask_again(client, crashed)
            else:
                asked += sum([await _resume(job_id, run_id) for job_id in job_ids])
    return asked


def ended_look(asked: int, message: str) -> State[None]:
    """Return the state of a look that has ended; one that found nothing is deleted by a later one."""
    return Completed(message=message) if asked else Completed(name=IDLE, message=message)


async def delete_idle_looks() -> int:
    """Delete the flow runs of looks that found nothing: there are thousands a day, and they bury the others.

    So do those that were never begun, since the look before was still at work.

    Returns:
        How many there were.
    """
    async with get_client() as client:
        idle = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=_LOOKS)),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[IDLE, _CANCELLED])),
                deployment_id=FlowRunFilterDeploymentId(is_null_=False),
                # One that is deleted before its time, the scheduler would make again.
                expected_start_time=_before(datetime.now(UTC)),
            ),
            limit=_MOST_DELETED,
        )
        idle = [run for run in idle if run.state_name != _CANCELLED or run.run_count == 0]
        for run in idle:
            with suppress(ObjectNotFound):
                await client.delete_flow_run(run.id)
    return len(idle)


async def free_slots(context: AppContext) -> None:
    """Free the slots of looks that ended with an earlier server: call it before any flow run is started.

    Such a look holds the one slot of its inbox, so that every later look would be cancelled.
    """
    async with get_client() as client:
        await _free_slots(context, client, timedelta())


async def _free_slots(context: AppContext, client: PrefectClient, grace: timedelta | None = None) -> None:
    """Mark looks whose process is gone as crashed, and free slots of their deployments that none holds."""
    graces = _STARTING | {StateType.CANCELLING: _STARTING[StateType.RUNNING]}
    if grace is not None:
        graces = dict.fromkeys(graces, grace)
    limited = {
        each.id: limit
        for each in await client.read_deployments(flow_filter=FlowFilter(name=FlowFilterName(any_=_LOOKS)))
        if (limit := each.global_concurrency_limit) is not None
    }
    held: Counter[UUID | None] = Counter()
    for run in await _runs_in(client, _LOOKS, graces):
        if not await _is_lost(context, run, graces):
            held[run.deployment_id] += 1
            continue
        try:
            await client.set_flow_run_state(run.id, Crashed(message="its process died"), force=True)
        except PrefectHTTPStatusError as error:
            # Where the slot went with its deployment, the server cannot free it, and fails: others go on.
            _log.warning("the flow run %s could not be marked as crashed: %s", run.name, error)
    for deployment_id, before in limited.items():
        # A slot that was freed with its run, or has been taken since, is not freed again.
        limit = await client.read_global_concurrency_limit_by_name(before.name)
        if held[deployment_id] < limit.active_slots <= before.active_slots:
            update = GlobalConcurrencyLimitUpdate(active_slots=held[deployment_id])
            await client.update_global_concurrency_limit(limit.name, update)


async def _runs_in(
    client: PrefectClient, flows: list[str], states: Collection[StateType], *, until: datetime | None = None
) -> list[FlowRun]:
    """Return the flow runs of deployments that are in one of several states; ``until``: due by then."""
    found: list[FlowRun] = []
    while len(found) % _PAGE == 0:
        page = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=flows)),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
                deployment_id=FlowRunFilterDeploymentId(is_null_=False),
                expected_start_time=None if until is None else _before(until),
            ),
            limit=_PAGE,
            offset=len(found),
        )
        found += page
        if not page:
            break
    return found


def _before(moment: datetime) -> FlowRunFilterExpectedStartTime:
    return FlowRunFilterExpectedStartTime.model_validate({"before_": moment})


async def _has_lost_its_worker(client: PrefectClient, run: FlowRun) -> bool:
    """Tell whether a flow run waits for a process that a worker was to start, and that worker is gone."""
    if run.state is None or not run.state.is_pending() or run.work_pool_name is None:
        return False
    if (await client.read_work_pool(run.work_pool_name)).type != "process":
        return False  # a container goes on without its worker
    # A worker says that it has a flow run a moment after it took it: until then, any that went since may.
    name, now = run.labels.get("prefect.worker.name"), datetime.now(UTC)
    for worker in await client.read_workers_for_work_pool(run.work_pool_name):
        silence = _BEATS * timedelta(seconds=worker.heartbeat_interval_seconds or 30)
        heard_at = worker.last_heartbeat_time or run.state.timestamp
        is_its = worker.name == name if name else heard_at > run.state.timestamp - silence
        if is_its and now - heard_at > silence:
            return True
    return False


async def _is_lost(context: AppContext, run: FlowRun, graces: Mapping[StateType, timedelta]) -> bool:
    """Tell whether a flow run's process is gone, after the time that it has in its state to say so."""
    if run.state is None:
        return False
    grace = graces[run.state.type]
    heard_within = context.leases.heard_within
    return _is_older(run, grace) and not await run_blocking(heard_within, str(run.id), grace)


def _is_older(run: FlowRun, time: timedelta) -> bool:
    """Tell whether a flow run has been in its state for longer than a time."""
    return run.state is not None and datetime.now(UTC) - run.state.timestamp > time


async def _crashed(client: PrefectClient, run_id: str) -> FlowRun | None:
    """Return a flow run of which its worker has said that its process died; None where there is none."""
    try:
        run = await client.read_flow_run(UUID(run_id))
    except (ValueError, ObjectNotFound):
        return None  # a command's
    return run if run.deployment_id is not None and run.state is not None and run.state.is_crashed() else None


async def _ask_again(client: PrefectClient, run: FlowRun) -> bool:
    """Ask for a flow run like one that died, unless that has been done often enough."""
    times = sum(tag.startswith(TAG) for tag in run.tags)
    if times >= _MOST_TIMES:
        _log.error("%s died %d times in a row and is not asked for again", run.name, times + 1)
        return False
    try:
        deployment = await client.read_deployment(run.deployment_id or "")
    except (ValueError, ObjectNotFound):
        return False  # it was deleted meanwhile
    name = f"{(await client.read_flow(run.flow_id)).name}/{deployment.name}"
    tags = [*run.tags, TAG if times == 0 else f"{TAG} {times + 1}"]
    return await ask_for(name, run.parameters, f"again {run.id}", run.work_queue_name, tags) is not None


async def _resume(job_id: str, run_id: str) -> bool:
    return await ask_for(RESUME, {"job": job_id}, f"resume {job_id} {run_id}", tags=[TAG]) is not None
