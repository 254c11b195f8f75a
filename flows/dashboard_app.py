"""The dashboard's web server: the desk and Prefect's app behind a login.

Prefect's own app answers any page that is open in the operator's browser, and a page that may write a
deployment runs programs by it. Here a request must name this server and no foreign origin
(`tasks.engine.access`), must come with the password or with the cookie that the login sets, and may not say
what a flow run executes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stenoflow.flows.desk.users import Users
from stenoflow.flows.desk.visitor import GUEST, Role, Visitor, is_desks, is_for_guests, let_in
from stenoflow.storage.private import write_private
from stenoflow.tasks.engine.access import HostCheck

if TYPE_CHECKING:
    from stenoflow.flows.desk.prefect_api import PrefectApi

APP = f"{__name__}:create_app"
"""What uvicorn serves."""
APP_BESIDE = f"{__name__}:create_app_beside"
"""What it serves where another server of Prefect's is used."""
AUTH = "STENOFLOW_DASHBOARD_AUTH"
"""In the environment of its process: the login's ``user:password``."""
LOGIN_PATH = "/login"

_SECRET_FILE = "dashboard.secret"  # noqa: S105 - its name
_COOKIE = "stenoflow_dashboard"
_FORWARDED_USER = "x-forwarded-user"
_FORWARDED_PROTO = "x-forwarded-proto"
_SCHEMES = frozenset({"http", "https"})
_A_MONTH_S = 30 * 24 * 3600
# What tells whether a server is there, without telling anything else.
_PUBLIC = frozenset({"/api/health", "/api/ready"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
# Prefect itself takes parameters of 512 kB.
_LARGEST_BODY = 2 * 1024 * 1024
_LARGEST_FORM = 4096
# Requests that can say what is executed, and the fields that say it.
_EXECUTED_BY = re.compile(r"/api/(ui/)?(deployments|flow_runs|automations)\b")
_EXECUTES = frozenset({"pull_steps", "job_variables", "storage_document_id", "infrastructure_document_id"})
# Workers say it, too, with the password; whoever a cookie lets in has no say on their machines.
_POOLS = re.compile(r"/api/(ui/)?work_pools\b")
_EXECUTES_IN_POOLS = frozenset({"base_job_template"})
_OUR_FLOW = re.compile(r"stenoflow\.flows(\.\w+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Login:
    """The password of the dashboard, and what is derived from it.

    Attributes:
        auth: ``user:password``, as Prefect's clients send it.
    """

    auth: str = field(repr=False)

    @classmethod
    def of_home(cls, home: Path) -> Login:
        """Return the login of a home, whose password is made the first time; nobody else may read it."""
        path = home / _SECRET_FILE
        try:
            auth = path.read_text("utf-8").strip()
        except FileNotFoundError:
            auth = ""
        if ":" in auth:
            path.chmod(0o600)
            return cls(auth)
        auth = f"stenoflow:{secrets.token_urlsafe(32)}"
        write_private(path, auth)
        return cls(auth)

    @property
    def link_token(self) -> str:
        """What the link that logs in carries."""
        return self.derived("link")

    @property
    def csrf(self) -> str:
        """What the desk's forms carry."""
        return self.derived("csrf")

    @property
    def operator(self) -> Visitor:
        """Whoever has the password."""
        return Visitor(self.auth.partition(":")[0], Role.OPERATOR, self.csrf)

    @property
    def cookie(self) -> str:
        """What the cookie of a browser that is logged in carries."""
        return self.derived("cookie")

    def accepts(self, connection: HTTPConnection) -> bool:
        """Tell whether a request has the password or the cookie with it."""
        return self.has_password(connection) or self.has_cookie(connection)

    def has_password(self, connection: HTTPConnection) -> bool:
        """Tell whether a request has the password with it, as those of commands and workers have."""
        basic = base64.b64encode(self.auth.encode()).decode()
        return _same(connection.headers.get("authorization", ""), f"Basic {basic}")

    def has_cookie(self, connection: HTTPConnection) -> bool:
        """Tell whether a request comes from a browser that is logged in."""
        return _same(connection.cookies.get(_COOKIE, ""), self.cookie)

    def derived(self, purpose: str) -> str:
        """Return a secret for a purpose, from which the password cannot be told."""
        return hmac.new(self.auth.encode(), f"stenoflow {purpose}".encode(), hashlib.sha256).hexdigest()


def create_app() -> ASGIApp:
    """Return the app that uvicorn serves; the login is in the environment."""
    from prefect.server.api.server import create_app as create_prefect_app  # noqa: PLC0415 - takes seconds

    from stenoflow.flows.desk.prefect_api import PrefectApi  # noqa: PLC0415 - only this process serves it

    prefect = create_prefect_app()
    return _behind_login(PrefectApi.of_app(prefect), prefect)


def create_app_beside() -> ASGIApp:
    """Return the app that uvicorn serves beside another server of Prefect's: the desk, and links there."""
    from prefect.settings import get_current_settings  # noqa: PLC0415 - takes seconds

    from stenoflow.flows.desk.prefect_api import PrefectApi, signpost  # noqa: PLC0415 - as above

    api_url = os.environ["PREFECT_API_URL"].rstrip("/")
    pages = get_current_settings().ui_url or api_url.removesuffix("/api")
    return _behind_login(PrefectApi.of_server(api_url), signpost(pages))


def _behind_login(prefect: PrefectApi, other: ASGIApp) -> ASGIApp:
    """Return the desk, and another app at all other addresses, behind the login of the environment."""
    from stenoflow.flows.desk.app import DeskBefore, create_desk  # noqa: PLC0415 - only this process serves it
    from stenoflow.tasks.settings import load_settings  # noqa: PLC0415 - the same

    login, settings = Login(os.environ[AUTH]), load_settings()
    app = DeskBefore(create_desk(load_settings, prefect, login.derived), other)
    users = Users(settings.users, login.derived)
    checked = LoginCheck(app, login, users, settings.trusted_proxies, settings.desk_url)
    return HostCheck(checked, settings.hosts, settings.desk_url)


class LoginCheck:
    """Middleware that lets in whoever is logged in, and lets nobody say what a flow run executes.

    Args:
        app: what is behind it.
        login: of whoever has the password: an operator.
        users: those who may log in beside that; only operators among them get to Prefect.
        proxies: addresses and networks whose ``X-Forwarded-User`` and ``X-Forwarded-Proto`` are believed;
            nobody else's are.
        public: where it is reached by a proxy, like ``https://desk.example.com``; None: nowhere else.
    """

    def __init__(
        self,
        app: ASGIApp,
        login: Login,
        users: Users | None = None,
        proxies: Sequence[str] = (),
        public: str | None = None,
    ) -> None:
        self._app = app
        self._login = login
        self._users = users or Users({}, login.derived)
        self._proxies = [ip_network(each) for each in proxies]
        self._public = public
        # Each takes 16 MB and 50 ms of a core, whoever asks.
        self._guessing = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            scope = {**scope, "scheme": self._scheme(HTTPConnection(scope))}
            body = _Body(receive)
            reply = await self._reply(Request(scope), body)
            await (reply or self._app)(scope, body.again, send)
        else:
            await self._app(scope, receive, send)

    async def _reply(self, request: Request, body: _Body) -> Response | None:
        """Return our own answer; None: it is Prefect's to give."""
        path = request.scope["path"]
        if _is_from_another_page(request):
            return _refused(403, "Pages of another origin may not use this server")
        if path == LOGIN_PATH:
            return await self._log_in(request, body)
        if path in _PUBLIC and request.method in _READS:
            return None
        is_open = is_for_guests(path) and request.method in _READS
        visitor = self._visitor(request) or (GUEST if is_open else None)
        if visitor is None:
            return _page(401) if _is_navigation(request) else _refused(401, "Unauthorized")
        if not (visitor.may(Role.OPERATOR) or is_desks(path)):
            return _refused(403, "Prefect's pages and its API are for operators")
        let_in(request.scope, visitor)
        fields = self._refused_fields(request)
        return await _refusal_to_execute(body, fields) if fields else None

    def _refused_fields(self, request: Request) -> Collection[str]:
        """Return the fields that nobody may set in a request like this."""
        path = request.scope["path"]
        if _POOLS.match(path) and not self._login.has_password(request):
            return _EXECUTES_IN_POOLS
        return _EXECUTES if _EXECUTED_BY.match(path) else ()

    def _visitor(self, connection: HTTPConnection) -> Visitor | None:
        """Return who asks; None: nobody who is logged in."""
        names = connection.headers.getlist(_FORWARDED_USER)
        if names and self._is_proxy(connection):
            # Whoever the proxy says it is, and nobody else, whatever else came along.
            return self._users.named(_utf8(names[0])) if len(names) == 1 else None
        if self._login.accepts(connection):
            return self._login.operator
        return self._users.visitor(connection.cookies.get(_COOKIE, ""))

    def _scheme(self, connection: HTTPConnection) -> str:
        """Return how a browser reaches us: by https where a proxy does, though the proxy comes by http."""
        said = connection.headers.get(_FORWARDED_PROTO, "").partition(",")[0].strip().lower()
        if said in _SCHEMES and self._is_proxy(connection):
            return said
        public, _, host = (self._public or "").partition("://")
        return public if host and connection.headers.get("host") == host else connection.url.scheme

    def _is_proxy(self, connection: HTTPConnection) -> bool:
        try:
            address = ip_address(connection.client.host if connection.client else "")
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._proxies)

    async def _log_in(self, request: Request, body: _Body) -> Response:
        if request.method == "POST":
            form = parse_qs((await body.read(_LARGEST_FORM) or b"").decode(errors="replace"))
            user, _, password = self._login.auth.partition(":")
            given = form.get("user", [""])[0], form.get("password", [""])[0]
            is_known = _same(given[0], user) & _same(given[1], password)
            if not is_known and await self._accepts(*given):
                return _welcome(request, self._users.session(given[0]))
        else:
            is_known = _same(request.query_params.get("token", ""), self._login.link_token)
        if not is_known:
            return _page(403 if request.method == "POST" or "token" in request.query_params else 200)
        return _welcome(request, self._login.cookie)

    async def _accepts(self, name: str, password: str) -> bool:
        """Tell whether that is a user's password: one after another, while others are answered."""
        async with self._guessing:
            return await run_in_threadpool(self._users.accepts, name, password)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        visitor = self._visitor(connection)
        if visitor is not None and visitor.may(Role.OPERATOR):
            await self._app(scope, receive, send)
        elif "prefect" in scope.get("subprotocols", []):
            # Prefect's clients send the password in their first message, before anything is sent to them.
            await self._app(scope, self._checked(receive, send), send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _checked(self, receive: Receive, send: Send) -> Receive:
        is_known = False

        async def checked() -> Message:
            nonlocal is_known
            message = await receive()
            if message["type"] != "websocket.receive" or is_known:
                return message
            is_known = self._knows(message)
            if is_known:
                return message
            await send({"type": "websocket.close", "code": 1008})
            return {"type": "websocket.disconnect", "code": 1008}

        return checked

    def _knows(self, message: Message) -> bool:
        try:
            given = json.loads(message.get("text") or message.get("bytes") or "")
            return bool(given["type"] == "auth") and _same(str(given["token"]), self._login.auth)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False


class _Body:
    """The body of a request, which may be read before Prefect reads it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[Message] = []

    async def read(self, most: int) -> bytes | None:
        """Receive it; None: it is larger than ``most`` bytes, or whoever sends it has gone."""
        size = 0
        while True:
            message = await self._receive()
            self._read.append(message)
            size += len(message.get("body", b""))
            if size > most or message["type"] != "http.request":
                return None
            if not message.get("more_body", False):
                return b"".join(each.get("body", b"") for each in self._read)

    async def again(self) -> Message:
        """Receive it again, and what comes after it."""
        return self._read.pop(0) if self._read else await self._receive()


async def _refusal_to_execute(body: _Body, fields: Collection[str]) -> Response | None:
    """Refuse a request that says what a flow run executes: our deployments run our own flows."""
    content = await body.read(_LARGEST_BODY)
    if content is None:
        return _refused(413, f"The request is larger than {_LARGEST_BODY} bytes")
    try:
        said = next(_executing(json.loads(content), fields), None) if content else None
    except (ValueError, RecursionError):
        return _refused(400, "The body of the request is not JSON, or is nested too deep")
    if said is None:
        return None
    return _refused(403, f"'{said}' may not be set: deployments here run Stenoflow's own flows")


def _executing(value: Any, fields: Collection[str]) -> Iterator[str]:
    """Yield the names of the fields that would have something else executed than our flows."""
    if isinstance(value, list):
        for each in value:
            yield from _executing(each, fields)
    elif isinstance(value, dict):
        for name, inside in value.items():
            is_other = name == "entrypoint" and not (isinstance(inside, str) and _OUR_FLOW.fullmatch(inside))
            if inside and (is_other or name in fields):
                yield name
            yield from _executing(inside, fields)


def _is_from_another_page(request: Request) -> bool:
    """Tell whether a browser says so: one at another port is of the same site, so the cookie is sent."""
    is_opened = request.method in _READS and request.headers.get("sec-fetch-dest") == "document"
    return request.headers.get("sec-fetch-site") in {"cross-site", "same-site"} and not is_opened


def _is_navigation(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"detail": why, "exception_message": why}, status)


def _page(status: int) -> Response:
    return HTMLResponse(_FORM, status, headers=_UNSEEN)


def _welcome(request: Request, cookie: str) -> Response:
    """Give a browser its cookie; one that came by https sends it by nothing else."""
    # Not by a redirect: where the link stood on a page, the browser would not send the cookie along.
    reply = HTMLResponse(_WELCOME, headers=_UNSEEN | {"Refresh": "0; url=/"})
    secure = request.url.scheme == "https"
    reply.set_cookie(_COOKIE, cookie, _A_MONTH_S, secure=secure, httponly=True, samesite="strict")
    return reply


def _utf8(header: str) -> str:
    """Return a header as whoever wrote it in UTF-8 meant it."""
    return header.encode("latin-1").decode("utf-8", "replace")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


# The link stands in the address bar: no other server is told of it, and no page shows ours in a frame.
_UNSEEN = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}
_HEAD = "<!doctype html><html lang=en><meta charset=utf-8><title>Stenoflow</title>"
_WELCOME = f'{_HEAD}<p>Logged in: <a href="/">open the dashboard</a>.</p></html>'
_FORM = f"""{_HEAD}
<h1>Stenoflow</h1>
<p>Open the link that <code>stenoflow serve</code> printed, or log in:</p>
<form method=post action={LOGIN_PATH}>
<p><label>User <input name=user autocomplete=username></label></p>
<p><label>Password <input name=password type=password autocomplete=current-password></label></p>
<p><button>Log in</button></p>
</form></html>
"""
