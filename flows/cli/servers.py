"""Commands that serve until they are stopped: the dashboard, the embedded engine, metrics."""

from __future__ import annotations

import hmac
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated
from wsgiref.simple_server import WSGIRequestHandler, make_server

import typer
from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from stenoflow.flows.cli.console import result, say
from stenoflow.flows.inboxes import check_inboxes, out_of_reach
from stenoflow.flows.serve import dashboard, open_queues, serve_deployments, serve_desk
from stenoflow.storage.database.connection import make_ready, open_database
from stenoflow.storage.database.metrics import Metrics, MetricsSnapshot
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.api.providers import POCKETSPHINX
from stenoflow.tasks.calls.provider import embedded_engine, embedded_model
from stenoflow.tasks.context import open_context
from stenoflow.tasks.engine.access import is_loopback, is_own_host, is_own_origin
from stenoflow.tasks.engine.weights import last_resort
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.operations.metrics import TIMEOUT_S, DatabaseCollector
from stenoflow.tasks.operations.model_list import last_day_of, tables_of
from stenoflow.tasks.settings import Settings, load_settings
from stenoflow.tasks.settings.files import ENGINE_KEY, METRICS_KEY, find_variable

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# A single printout holds up no scrape, so that it may wait for the database for long.
_TIMEOUT_ONCE_S = 300.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but the loopback asks for a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 4200,
    limit: Annotated[
        int,
        typer.Option(help="Flow runs at once, each a process; 0: none, where workers run them.", min=0),
    ] = 4,
    hash_password: Annotated[
        bool,
        typer.Option("--hash-password", help="Only ask for a password, and print its hash for \\[users]."),
    ] = False,
) -> None:
    """Serve the desk, and run what is started there or is due: until Ctrl-C.

    With PREFECT_API_URL set, the deployments are registered with that server instead; with --limit 0 they are
    those of stenoflow deploy.

    Example: [bold]stenoflow serve[/]
    """
    if hash_password:
        from stenoflow.flows.desk.users import hash_password as hashed  # noqa: PLC0415 - only for this

        result(hashed(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)))
        return
    settings = load_settings()
    with open_context(settings) as context:
        context.check()
        check_inboxes(settings, context if limit else None)
        if limit:
            open_queues(context)
            for inbox in settings.inboxes:
                failure = out_of_reach(inbox, context.s3)
                if failure is not None:
                    say(f"The inbox {inbox.name} cannot be looked into: {failure}; each look tries again.")
    with dashboard(settings, host, port) as served:
        result(served.link)
        if limit:
            say("Serving the desk and the deployments there; Ctrl-C ends it.")
            serve_deployments(settings, limit, served, say)
        else:
            say("Serving the desk there; what is started is left to workers. Ctrl-C ends it.")
            serve_desk(served)


def engine(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 8178,
    api_key: Annotated[
        str | None,
        typer.Option(envvar=ENGINE_KEY, help="Ask callers for this key.", show_default=False),
    ] = None,
) -> None:
    """Serve the embedded engine, so that any OpenAI client can use it.

    It transcribes and translates (/v1/audio/transcriptions, /v1/audio/translations: Whisper), speaks
    (/v1/audio/speech: flite, espeak-ng) and sums up (/v1/chat/completions: extractive-summary);
    /v1/models lists what this machine has.

    Example: [bold]stenoflow engine --port 8178[/]
    """
    from stenoflow.tasks.engine.app import serve  # noqa: PLC0415 - loads slowly, and only here

    settings = load_settings()
    # What the settings name is downloaded now, or refused.
    if embedded_model(settings.model_copy(update={"model": None}), None).name == POCKETSPHINX:
        say(f"{last_resort()}. Until then it does so for those who ask for {POCKETSPHINX} by name.")
    serve(
        embedded_engine(settings),
        host=host,
        port=port,
        api_key=api_key or find_variable(ENGINE_KEY),
        hosts=settings.hosts,
        on_ready=lambda base_url: say(f"Serving. For clients: OPENAI_BASE_URL={base_url}"),
    )


def metrics(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 9464,
    api_key: Annotated[
        str | None,
        typer.Option(envvar=METRICS_KEY, help="Ask scrapers for this bearer token.", show_default=False),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print them and end: for node_exporter's textfile collector.")
    ] = False,
) -> None:
    """Serve metrics in Prometheus' format: jobs, calls, audio, spend, budgets, age of the queue.

    They are read from the database, so one process is enough for all machines that share it.

    Example: [bold]stenoflow metrics --once > /var/lib/node_exporter/stenoflow.prom[/]
    """
    settings = load_settings()
    with _registry(settings, _TIMEOUT_ONCE_S if once else TIMEOUT_S) as registry:
        if once:
            result(generate_latest(registry).decode().rstrip("\n"))
            return
        api_key = api_key or find_variable(METRICS_KEY)
        if not is_loopback(host) and not api_key:
            raise SettingsError(
                f"everyone who reaches {host} could read what was spent, and names of tags and models",
                "set STENOFLOW_METRICS_KEY: scrapers send it as a bearer token",
            )
        _serve(registry, host, port, partial(_checked, host=host, api_key=api_key, hosts=settings.hosts))


@contextmanager
def _registry(settings: Settings, timeout_s: float) -> Iterator[CollectorRegistry]:
    database = open_database(settings.database_url)

    def read() -> MetricsSnapshot:
        # Each time: a database that is away now may be there, or be upgraded, later.
        return Metrics(make_ready(database), settings.budgets.caps).snapshot()

    registry = CollectorRegistry()
    last_day = partial(last_day_of, tables_of(settings))
    registry.register(DatabaseCollector(read, say, last_day=last_day, timeout_s=timeout_s))
    try:
        yield registry
    finally:
        database.close()


def _serve(
    registry: CollectorRegistry, host: str, port: int, checked: Callable[[WSGIApplication], WSGIApplication]
) -> None:
    """Serve until a signal. Raises SettingsError for an address that cannot be listened on."""
    with _blocked_signals() as wait:
        app = checked(make_wsgi_app(registry))
        try:
            server = make_server(host, port, app, _server_class(host), _Handler)
        except OSError as error:
            reason = plain_reason(error)
            raise SettingsError(
                f"metrics cannot be served on {host} port {port}: {reason}", "check --host and --port"
            ) from error
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shown = f"[{host}]" if ":" in host else host
        say(f"Serving: http://{shown}:{server.server_port}/metrics")
        wait()
        server.shutdown()
        server.server_close()


def _server_class(host: str) -> type[ThreadingWSGIServer]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return type("Server", (ThreadingWSGIServer,), {"address_family": family})


class _Handler(WSGIRequestHandler):
    """Answers scrapes without a word, and waits for no client for long."""

    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so it is called there
        """Say nothing."""


@contextmanager
def _blocked_signals() -> Iterator[Callable[[], object]]:
    """Keep the signals that end a server for the function that is given, which waits for one of them."""
    # Under nohup, a terminal that hangs up ends nothing.
    ending = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield lambda: signal.sigwait(ending)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _checked(app: WSGIApplication, host: str, api_key: str | None, hosts: Collection[str]) -> WSGIApplication:
    """Put the checks of Host, Origin and key before an app."""

    def checked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        named, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
        refusal = None
        if not is_own_host(named, host, hosts) or not (origin is None or is_own_origin(origin, named)):
            refusal = "403 Forbidden"
        elif environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            refusal = "405 Method Not Allowed"
        elif api_key is not None:
            given = environ.get("HTTP_AUTHORIZATION", "")
            is_known = hmac.compare_digest(given.encode(), f"Bearer {api_key}".encode())
            refusal = None if is_known else "401 Unauthorized"
        if refusal is None:
            return app(environ, start_response)
        start_response(refusal, [("Content-Type", "text/plain")])
        return [f"{refusal}\n".encode()]

    return checked
