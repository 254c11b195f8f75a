"""`stenoflow metrics`: what an operator watches, for Prometheus."""

from __future__ import annotations

import ipaddress
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from stenoflow.flows.cli.console import result, say
from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.metrics import Metrics, Snapshot
from stenoflow.storage.database.upgrade import make_ready
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.operations.metrics import PATIENCE_S, DatabaseCollector
from stenoflow.tasks.settings import Settings, load_settings

# Nobody's scrape is held up.
_PATIENCE_ONCE_S = 300.0
_ENDING = (signal.SIGINT, signal.SIGTERM)


def metrics(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 9464,
    public: Annotated[
        bool, typer.Option("--public", help="Allow a --host that other machines can reach.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Print them and end: for node_exporter's textfile collector.")
    ] = False,
) -> None:
    """Serve metrics in Prometheus' format: jobs, calls, audio, spend, budgets, age of the queue.

    They are read from the database, so one process is enough for all machines that share it.

    Example: [bold]stenoflow metrics --once > /var/lib/node_exporter/stenoflow.prom[/]
    """
    with _registry(load_settings(), _PATIENCE_ONCE_S if once else PATIENCE_S) as registry:
        if once:
            result(generate_latest(registry).decode().rstrip("\n"))
            return
        if not _is_loopback(host):
            _check_public(host, public=public)
        _serve(registry, host, port)


@contextmanager
def _registry(settings: Settings, patience_s: float) -> Iterator[CollectorRegistry]:
    database = open_database(settings.database_url)

    def read() -> Snapshot:
        # Each time: a database that is away now may be there, or be upgraded, later.
        return Metrics(make_ready(database), settings.budgets.caps).snapshot()

    registry = CollectorRegistry()
    registry.register(DatabaseCollector(read, say, patience_s=patience_s))
    try:
        yield registry
    finally:
        database.close()


def _serve(registry: CollectorRegistry, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. Raises SettingsError for an address that cannot be listened on."""
    with _blocked_signals() as wait:
        try:
            server, _ = start_http_server(port, host, registry)
        except OSError as error:
            raise SettingsError(f"metrics cannot be served on {host} port {port}: {error}") from error
        shown = f"[{host}]" if ":" in host else host
        say(f"Serving: http://{shown}:{server.server_port}/metrics")
        wait()
        server.shutdown()
        server.server_close()


@contextmanager
def _blocked_signals() -> Iterator[Callable[[], object]]:
    """Keep the signals that end a server for the function that is given, which waits for one of them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield lambda: signal.sigwait(_ENDING)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check_public(host: str, *, public: bool) -> None:
    if not public:
        raise SettingsError(
            f"everyone who reaches {host} could read what was spent, and names of tags and models",
            "add --public if that is wanted",
        )
    say(f"Warning: everyone who reaches {host} can read what was spent, and names of tags and models.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
