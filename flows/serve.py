"""The operator's dashboard and the deployments with their schedules, in one process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from stenoflow.flows import deployable
from stenoflow.flows.dispatch import DEPLOYMENT
from stenoflow.flows.prefect_server import ADDRESS_FILE, PrefectError, Server, start_server, surround
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import InboxSettings, Settings

_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
_LOOK_EVERY_S = 2.0
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class DashboardServer:
    """A server that is there.

    Attributes:
        api_url: where it answers.
        is_running: tells whether it still runs, as far as that is known here.
    """

    api_url: str
    is_running: Callable[[], bool]


def check_exposure(host: str) -> None:
    """Raise SettingsError for an address that others can reach without anybody being asked who they are."""
    if host not in _LOOPBACK and ":" not in os.environ.get(_AUTH, ""):
        raise SettingsError(
            f"the dashboard on {host} would be open to everybody",
            f"set STENOFLOW_DASHBOARD_AUTH (or {_AUTH}) to user:password, or leave out --host",
        )


@contextmanager
def dashboard(settings: Settings, host: str, port: int) -> Iterator[DashboardServer]:
    """Serve the dashboard for as long as the block lasts, or use that of PREFECT_API_URL.

    Raises:
        SettingsError: others could reach it, and no password is set; the port is taken; or one is served
            from this home already.
    """
    given = os.environ.get("PREFECT_API_URL")
    surround(settings.home)
    if given is not None:
        yield DashboardServer(given, lambda: True)
        return
    served = os.environ.get("PREFECT_API_URL")
    if served is not None:
        where = served.removesuffix("/api")
        raise SettingsError(
            f"a dashboard is served from {settings.home} already: {where}", "end that one first"
        )
    if settings.dashboard_auth is not None:
        os.environ.setdefault(_AUTH, settings.dashboard_auth.get_secret_value())
    check_exposure(host)
    server = _start(host, port)
    os.environ["PREFECT_API_URL"] = server.api_url
    file = settings.home / ADDRESS_FILE
    try:
        server.wait()
        if _AUTH not in os.environ:
            file.write_text(server.api_url, "utf-8")
        yield DashboardServer(server.api_url, lambda: server.is_running)
    finally:
        file.unlink(missing_ok=True)
        server.stop()


def serve_deployments(settings: Settings, limit: int, served: DashboardServer) -> None:
    """Register the deployments, and run what they are asked for until a signal; ``limit`` runs at once.

    Raises:
        PrefectError: the dashboard's server has ended.
    """
    # Prefect reads its settings when it is imported.
    from prefect import aserve  # noqa: PLC0415

    from stenoflow.flows.deployment_context import set_limits  # noqa: PLC0415

    async def work() -> None:
        await set_limits(settings)
        made = await deployments(settings)
        running = asyncio.ensure_future(aserve(*made, limit=limit, print_starting_message=False))
        while not running.done() and served.is_running():
            await asyncio.wait([running], timeout=_LOOK_EVERY_S)
        if not running.done():
            # Its own end would wait for the server that is gone.
            raise PrefectError("the dashboard's server has ended", "start stenoflow serve again")
        await running

    asyncio.run(work())


def _start(host: str, port: int) -> Server:
    # The pages ask where they came from; by default, on Prefect's own port.
    environment = {
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }
    if _AUTH in os.environ:
        os.environ.setdefault("PREFECT_API_AUTH_STRING", os.environ[_AUTH])
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    try:
        return start_server(host, port, embedded=False)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(
            f"the dashboard cannot be served on {host}:{port}: {reason}", "try --port"
        ) from error


_NIGHTLY = "23 4 * * *"
# Before what is left is verified.
_RETAIN_NIGHTLY = "53 3 * * *"
_TAKE_UP_EVERY = timedelta(minutes=1)
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
    yield deployable.take_up, {"name": DEPLOYMENT, "interval": _TAKE_UP_EVERY, "concurrency_limit": _ALONE}
    for inbox in settings.inboxes:
        yield deployable.ingest, _of_inbox(inbox)


def _of_inbox(inbox: InboxSettings) -> dict[str, Any]:
    return {
        "name": inbox.name,
        "interval": timedelta(seconds=inbox.every),
        "concurrency_limit": _ALONE,
        "parameters": {
            "inbox": inbox.address,
            "options": inbox.options.model_dump(mode="json", exclude_unset=True),
            "reject": inbox.reject,
            **({} if inbox.done_to is None else {"done_to": inbox.done_to}),
        },
    }
