"""The deployments that `stenoflow serve` registers; `prefect.yaml` has the same for workers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from stenoflow.flows import deployable
from stenoflow.flows.dispatch import DEPLOYMENT
from stenoflow.tasks.settings import InboxSettings, Settings

_NIGHTLY = "23 4 * * *"
# Before what is left is verified.
_RETAIN_NIGHTLY = "53 3 * * *"
_RECOVER_EVERY = timedelta(minutes=1)
# A look that takes longer than until the next one is due is not overtaken by that.
_ALONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)

AnyFlow = Flow[Any, Any]


async def deployments(settings: Settings) -> list[RunnerDeployment]:
    """Return one for each flow, and one for each inbox of the settings."""
    return [
        await flow.ato_deployment(entrypoint_type=EntrypointType.MODULE_PATH, **given)
        for flow, given in _described(settings)
    ]


def _described(settings: Settings) -> Iterator[tuple[AnyFlow, dict[str, Any]]]:
    on_demand: list[AnyFlow] = [
        deployable.transcribe,
        deployable.resume,
        deployable.digest,
        deployable.ingest_recording,
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
            "options": inbox.options.model_dump(mode="json", exclude_unset=True)
            | ({"providers": list(inbox.providers)} if inbox.providers else {}),
            "reject": inbox.reject,
            "allow": sorted(inbox.allow),
            **({} if inbox.done_to is None else {"done_to": inbox.done_to}),
        },
    }
