"""The deployments that `stenoflow serve` registers, and `stenoflow deploy` for the workers of a pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from stenoflow.flows import deployable
from stenoflow.flows.desk.prefect_api import DEPLOYMENT
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import InboxSettings, Settings
from stenoflow.tasks.sources.inbox.options import Priority

_PAGE = 200
_NIGHTLY = "23 4 * * *"
# Before what is left is verified.
_RETAIN_NIGHTLY = "53 3 * * *"
# Flow runs that are alive do so each minute, without the start of a process.
_RECOVER_EVERY = timedelta(minutes=5)
# A look that takes longer than until the next one is due is not overtaken by that.
_ALONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)

AnyFlow = Flow[Any, Any]

_IN_THE_BACKGROUND: tuple[AnyFlow, ...] = (deployable.verify, deployable.retain)


async def deployments(settings: Settings) -> list[RunnerDeployment]:
    """Return one for each flow, and one for each inbox of the settings."""
    return [
        await flow.ato_deployment(entrypoint_type=EntrypointType.MODULE_PATH, **given)
        for flow, given in _described(settings)
    ]


@dataclass(frozen=True, slots=True)
class Registered:
    """What was registered.

    Attributes:
        names: what each deployment is called.
        notices: what people should know of those that were there before.
    """

    names: list[str]
    notices: list[str]


async def deploy_to_pool(settings: Settings, pool: str, kind: str, image: str | None) -> Registered:
    """Register all deployments for the workers of a pool, which is made if it is not there.

    Args:
        settings: name the inboxes.
        pool: the work pool's name.
        kind: its type, where it is made: process, docker or kubernetes.
        image: with stenoflow in it, for pools whose workers start containers.

    Raises:
        SettingsError: there is such a pool, of another type.
    """
    async with get_client() as client:
        await make_pool(client, pool, kind)
    names, notices = [], await notices_before(settings, pool)
    for flow, given in _described(settings):
        deployment = await flow.ato_deployment(
            entrypoint_type=EntrypointType.MODULE_PATH,
            work_pool_name=pool,
            work_queue_name=Priority.BULK if flow in _IN_THE_BACKGROUND else Priority.NORMAL,
            job_variables={} if image is None else {"image": image},
            description=(flow.description or "").partition("\n")[0],
            **given,
        )
        await deployment.aapply()
        names.append(deployment.full_name)
    return Registered(names, notices)


async def notices_before(settings: Settings, pool: str | None) -> list[str]:
    """Say whom the deployments are about to be taken from, and which go on for inboxes that are no more.

    Names of deployments do not have the pool. None is deleted: another home's settings, or a person, may
    have made it.

    Args:
        settings: name the inboxes.
        pool: that they are registered for; None: `stenoflow serve` runs them.
    """
    async with get_client() as client:
        there = await _registered(client)
    names = {f"{flow.name}/{given['name']}" for flow, given in _described(settings)}
    before = Counter(each.work_pool_name for name, each in there.items() if name in names)
    notices = [
        f"{_counted(number)} in the pool {old} until now; its workers get nothing more of ours"
        if old
        else f"{_counted(number)} run by stenoflow serve until now; it gets nothing more of them"
        for old, number in before.items()
        if old != pool
    ]
    looks = f"{deployable.ingest.name}/"
    notices += [
        f"{name} in the pool {each.work_pool_name} is of no inbox of these settings, and its looks go on;"
        f" to end them: prefect deployment delete '{name}'"
        for name, each in there.items()
        if name.startswith(looks) and name not in names and each.work_pool_name and _is_due(each)
    ]
    return notices


def _counted(number: int) -> str:
    return "1 deployment was" if number == 1 else f"{number} deployments were"


def _is_due(deployment: DeploymentResponse) -> bool:
    return not deployment.paused and any(each.active for each in deployment.schedules)


async def _registered(client: PrefectClient) -> dict[str, DeploymentResponse]:
    """Return the deployments of our flows that a server has, by their full names."""
    found: dict[str, DeploymentResponse] = {}
    flows: dict[UUID, str] = {}
    offset = 0
    while page := await client.read_deployments(limit=_PAGE, offset=offset):
        offset += len(page)
        for each in page:
            if (each.entrypoint or "").startswith(f"{deployable.__name__}."):
                if each.flow_id not in flows:
                    flows[each.flow_id] = (await client.read_flow(each.flow_id)).name
                found[f"{flows[each.flow_id]}/{each.name}"] = each
    return found


async def make_pool(client: PrefectClient, pool: str, kind: str) -> None:
    """Make a work pool, and a queue for each priority in it, unless they are there."""
    try:
        there = await client.read_work_pool(pool)
    except ObjectNotFound:
        there = await client.create_work_pool(WorkPoolCreate(name=pool, type=kind))
    if there.type != kind:
        raise SettingsError(
            f"the work pool {pool} is of type {there.type}, not {kind}", "give its --type, or another --pool"
        )
    queues = {queue.name: queue for queue in await client.read_work_queues(work_pool_name=pool)}
    for rank, name in enumerate(Priority, 1):
        if name not in queues:
            await client.create_work_queue(name, work_pool_name=pool, priority=rank)


def _described(settings: Settings) -> Iterator[tuple[AnyFlow, dict[str, Any]]]:
    on_demand: list[AnyFlow] = [
        deployable.transcribe,
        deployable.resume,
        deployable.digest,
        deployable.translate,
        deployable.ingest_recording,
        deployable.ingest_recordings,
        deployable.ingest,
    ]
    for flow in on_demand:
        yield flow, {"name": DEPLOYMENT}
    yield deployable.verify, {"name": DEPLOYMENT, "cron": _NIGHTLY}
    yield deployable.retain, {"name": DEPLOYMENT, "cron": _RETAIN_NIGHTLY, "concurrency_limit": _ALONE}
    yield deployable.recover, {"name": DEPLOYMENT, "interval": _RECOVER_EVERY, "concurrency_limit": _ALONE}
    for inbox in settings.inboxes:
        yield deployable.ingest, _of_inbox(inbox)


def _of_inbox(inbox: InboxSettings) -> dict[str, Any]:
    return {
        "name": inbox.name,
        "interval": timedelta(seconds=inbox.every),
        "concurrency_limit": _ALONE,
        "parameters": {
            "inbox": inbox.address,
            "options": inbox.said.model_dump(mode="json", exclude_unset=True),
            "reject": inbox.reject,
            "allow": sorted(inbox.allow),
            **({} if inbox.done_to is None else {"done_to": inbox.done_to}),
            **({} if inbox.queue is None else {"queue": inbox.queue}),
        },
    }
