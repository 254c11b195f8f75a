"""The operator's dashboard and the deployments with their schedules, in one process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from flows.orchestration import ADDRESS_FILE, surround
from flows.prefect_server import Server, start_server
from tasks.errors import SettingsError
from tasks.settings import Settings

_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def check_exposure(host: str) -> None:
    """Raise SettingsError for an address that others can reach without anybody being asked who they are."""
    if host not in _LOOPBACK and ":" not in os.environ.get(_AUTH, ""):
        raise SettingsError(
            f"the dashboard on {host} would be open to everybody",
            f"set {_AUTH}=user:password, or leave out --host",
        )


@contextmanager
def dashboard(settings: Settings, host: str, port: int) -> Iterator[str]:
    """Serve the dashboard for as long as the block lasts, or use that of PREFECT_API_URL; gives its URL.

    Raises:
        SettingsError: others could reach it, and no password is set; or the port is taken.
    """
    surround(settings.home)
    given = os.environ.get("PREFECT_API_URL")
    if given is not None:
        yield given
        return
    check_exposure(host)
    server = _start(host, port)
    os.environ["PREFECT_API_URL"] = server.api_url
    file = settings.home / ADDRESS_FILE
    try:
        server.wait()
        if _AUTH not in os.environ:
            file.write_text(server.api_url, "utf-8")
        yield server.api_url
    finally:
        file.unlink(missing_ok=True)
        server.stop()


def serve_deployments(settings: Settings, limit: int) -> None:
    """Register the deployments, and run what they are asked for until a signal; ``limit`` runs at once."""
    # Prefect reads its settings when it is imported.
    from prefect import aserve  # noqa: PLC0415

    from flows.deployments import deployments  # noqa: PLC0415
    from flows.limits import set_limits  # noqa: PLC0415

    async def work() -> None:
        await set_limits(settings)
        await aserve(*await deployments(settings), limit=limit, print_starting_message=False)

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
