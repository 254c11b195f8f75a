"""Serving the engine on an address, for other programs of this machine."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import uvicorn

from stenoflow.tasks.engine.app import create_app
from stenoflow.tasks.engine.engine import Engine
from stenoflow.tasks.errors import SettingsError

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_GRACE_S = 5


def serve(
    engine: Engine,
    *,
    host: str = "127.0.0.1",
    port: int = 8178,
    api_key: str | None = None,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the engine until SIGINT or SIGTERM, then close it.

    Args:
        engine: what hears.
        host: other than loopback only with a key.
        port: 0 takes a free one.
        api_key: what clients must send; None lets in everyone.
        on_ready: is told the base URL once connections are taken.

    Raises:
        SettingsError: the address is in use or not ours, or open to others without a key.
    """
    if host not in _LOOPBACK and not api_key:
        raise SettingsError(f"the engine would be open to everyone who reaches {host}", "set a key for it")
    app = create_app(engine, api_key)
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_S
    )
    with contextlib.closing(engine), _listen(host, port) as listener:
        on_ready(_base_url(host, listener))
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a server ends
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"the engine cannot listen on {host} port {port}: {error}") from error


def _base_url(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/v1"
