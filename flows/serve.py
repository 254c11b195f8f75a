"""The operator's dashboard and the deployments with their schedules, in one process."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stenoflow.flows.dashboard_app import APP, APP_BESIDE, AUTH, LOGIN_PATH, Login
from stenoflow.flows.desk import ADDRESS_FILE, DESK_FILE
from stenoflow.flows.ingest import Moves
from stenoflow.flows.prefect_server import (
    PREFECT_AUTH,
    PrefectError,
    PrefectServer,
    refuse_prefects_settings_here,
    start_server,
    surround,
)
from stenoflow.storage.private import write_private
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.engine.access import is_loopback
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, rules_of
from stenoflow.tasks.settings import InboxSettings, Settings
from stenoflow.tasks.sources.inbox import open_inbox
from stenoflow.tasks.sources.inbox.entry import StabilityTracker

if TYPE_CHECKING:
    from stenoflow.tasks.sources.inbox.queue import EventQueue

_LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class DashboardServer:
    """A server that is there.

    Attributes:
        api_url: where it answers.
        link: what a person opens: it logs in.
        is_running: tells whether it still runs, as far as that is known here.
        is_own: Prefect's server was started for this process, too.
    """

    api_url: str
    link: str
    is_running: Callable[[], bool]
    is_own: bool


def login_of(settings: Settings, host: str) -> Login:
    """Return the login that is asked for: the one that is set, or on the loopback the home's own.

    Raises:
        SettingsError: it is no user and password; or others can reach the address, and none is set.
    """
    auth = os.environ.get(PREFECT_AUTH)
    if settings.dashboard_auth is not None:
        auth = settings.dashboard_auth.get_secret_value()
    if auth is None and is_loopback(host):
        return Login.of_home(settings.home)
    user, _, password = (auth or "").partition(":")
    if not (user and password and auth and auth.isprintable()):
        raise SettingsError(
            f"the dashboard on {host} needs a user and a password",
            f"set {AUTH} to user:password" + ("" if is_loopback(host) else ", or leave out --host"),
        )
    return Login(auth)


@contextmanager
def dashboard(settings: Settings, host: str, port: int) -> Iterator[DashboardServer]:
    """Serve the desk while the block lasts: with Prefect's server, or beside that of PREFECT_API_URL.

    Raises:
        SettingsError: others could reach it, and no password is set; the port is taken; or one is served
            from this home already.
    """
    given = os.environ.get("PREFECT_API_URL")
    surround(settings.home)
    refuse_prefects_settings_here()
    served = os.environ.get("PREFECT_API_URL")
    if given is None and served is not None:
        where = served.removesuffix("/api")
        raise SettingsError(
            f"a dashboard is served from {settings.home} already: {where}", "end that one first"
        )
    login = login_of(settings, host)
    server = _start(host, port, login, APP if given is None else APP_BESIDE)
    address = server.api_url.removesuffix("/api")
    if given is None:
        # For the runner and the flow runs, which are processes of their own.
        os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"] = server.api_url, login.auth
    files = [settings.home / name for name in (DESK_FILE, *([ADDRESS_FILE] if given is None else []))]
    try:
        server.wait()
        for file, text in zip(files, (f"{address}\n", f"{server.api_url}\n{login.auth}\n"), strict=False):
            write_private(file, text)
        link = f"{settings.desk_url or address}{LOGIN_PATH}?token={login.link_token}"
        yield DashboardServer(given or server.api_url, link, lambda: server.is_running, is_own=given is None)
    finally:
        for file in files:
            file.unlink(missing_ok=True)
        server.stop()


def serve_deployments(
    settings: Settings, limit: int, served: DashboardServer, say: Callable[[str], None]
) -> None:
    """Register the deployments, and run what they are asked for until a signal; follow the inboxes' queues.

    Args:
        settings: name the inboxes.
        limit: how many runs there are at once.
        served: the dashboard.
        say: told what people should know.

    Raises:
        PrefectError: the dashboard's server has ended.
    """
    # Prefect reads its settings when it is imported.
    from prefect import aserve  # noqa: PLC0415

    from stenoflow.flows.deployment_context import set_limits  # noqa: PLC0415
    from stenoflow.flows.deployments import deployments, notices_before  # noqa: PLC0415
    from stenoflow.flows.dispatch import free_slots, recover_crashed_runs, recovering  # noqa: PLC0415

    async def work(context: AppContext) -> None:
        await set_limits(settings)
        for notice in await notices_before(settings, None):
            say(notice)
        made = await deployments(settings)
        if served.is_own:
            await free_slots(context)
            await recover_crashed_runs(context, at_start=True)
        for followed in open_queues(context):
            followed.follow(say)
        running = asyncio.ensure_future(aserve(*made, limit=limit, print_starting_message=False))
        async with recovering(context):
            while not running.done() and served.is_running():
                await asyncio.wait([running], timeout=_LOOK_EVERY_S)
        if not running.done():
            # Its own end would wait for the server that is gone.
            raise _gone()
        await running

    with open_context(settings) as context:
        asyncio.run(work(context))


def serve_desk(served: DashboardServer) -> None:
    """Serve the desk until a signal, and leave all flow runs to workers: nothing is registered.

    Raises:
        PrefectError: the dashboard's server has ended.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(_LOOK_EVERY_S):
        if not served.is_running():
            raise _gone()


def _gone() -> PrefectError:
    return PrefectError("the dashboard's server has ended", "start stenoflow serve again")


@dataclass(frozen=True, slots=True)
class FollowedInbox:
    """An inbox whose queue is listened to."""

    settings: InboxSettings
    scanner: InboxScanner
    queue: EventQueue

    def follow(self, say: Callable[[str], None]) -> None:
        """Hand over what the queue announces, for as long as this process lives; ``say`` tells the rest."""
        from stenoflow.flows.dispatch import follow_queue  # noqa: PLC0415 - as above

        moves = Moves(say, self.settings.reject, self.settings.done_to)
        # A thread that ends with the process: waiting for messages cannot be broken off.
        threading.Thread(
            target=lambda: asyncio.run(follow_queue(self.scanner, self.queue, moves)),
            name=f"queue of {self.settings.name}",
            daemon=True,
        ).start()


def open_queues(context: AppContext) -> list[FollowedInbox]:
    """Return the inboxes of the settings that have a queue.

    Raises:
        SettingsError: a queue cannot be used.
    """
    inboxes = [each for each in context.settings.inboxes if each.queue is not None]
    if not inboxes:
        return []
    from stenoflow.tasks.sources.inbox.queue import open_queue  # noqa: PLC0415 - boto3 takes half a second to import

    followed = []
    for each in inboxes:
        inbox = open_inbox(each.address, context.s3)
        rules = rules_of(context, each.said.model_dump(exclude_unset=True), each.allow)
        scanner = InboxScanner(context, inbox, rules, StabilityTracker(1))
        followed.append(FollowedInbox(each, scanner, open_queue(each.queue or "", inbox)))
    return followed


def _start(host: str, port: int, login: Login, app: str) -> PrefectServer:
    environment = {
        # The pages ask where they came from; by default, on Prefect's own port.
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }
    try:
        return start_server(host, port, login, environment, app)
    except OSError as error:
        reason = plain_reason(error)
        raise SettingsError(
            f"the dashboard cannot be served on {host}:{port}: {reason}", "try --port"
        ) from error
