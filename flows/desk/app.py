"""The desk as a web app: which page stands at which address, and what holds for all of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stenoflow.flows.desk import (
    acting,
    choosing,
    correcting,
    costs,
    glossary,
    health,
    recording,
    recordings,
    searching,
    sending,
    sharing,
)
from stenoflow.flows.desk.prefect_api import PrefectApi
from stenoflow.flows.desk.rendering import asset, page
from stenoflow.flows.desk.sound import sound
from stenoflow.flows.desk.visitor import is_desks
from stenoflow.storage.database.connection import make_ready, open_database
from stenoflow.storage.errors import DatabaseError, StenoflowError
from stenoflow.storage.private import make_private
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.settings import Settings

_log = logging.getLogger(__name__)
# Pages load nothing from elsewhere, run no script that stands in them, and stand in no other's frame.
_HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        b" media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none';"
        b" frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"private, no-cache",
}


class Context:
    """Opens what pages work with when the first of them is asked for: a database may be away until then."""

    def __init__(self, load: Callable[[], Settings]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._opened: AppContext | None = None

    def get(self) -> AppContext:
        """Return it. Raises DatabaseError while the database is away, or of another version."""
        with self._lock:
            if self._opened is None:
                settings = self._load()
                make_private(settings.home)
                database = open_database(settings.database_url)
                try:
                    self._opened = AppContext(settings, make_ready(database))
                except StenoflowError:
                    database.close()
                    raise
            return self._opened


def create_desk(load: Callable[[], Settings], prefect: PrefectApi, derived: Callable[[str], str]) -> ASGIApp:
    """Return the desk's pages.

    Args:
        load: returns the settings.
        prefect: by which flow runs are started.
        derived: makes a secret of this desk for a purpose.
    """
    routes = [
        Route("/", recordings.show, name="recordings"),
        Route("/desk/search", searching.show, name="search"),
        Route("/desk/send", sending.form, methods=["GET"]),
        Route("/desk/send", sending.send, methods=["POST"]),
        Route("/desk/send/{upload}", sending.show, methods=["GET"]),
        Route("/desk/send/{upload}", sending.act, methods=["POST"]),
        Route("/desk/uploads", sending.begin, methods=["POST"]),
        Route("/desk/uploads/{upload}", sending.part, methods=["GET", "PATCH"]),
        Route("/desk/inboxes/{inbox}", choosing.listed),
        Route("/desk/inboxes/{inbox}/send", choosing.show, methods=["GET"]),
        Route("/desk/inboxes/{inbox}/send", choosing.act, methods=["POST"]),
        Route("/desk/costs", costs.show, name="costs"),
        Route("/desk/costs.csv", costs.download, name="costs_csv"),
        Route("/desk/health", health.show, name="health"),
        Route("/desk/assets/{name}", asset, name="asset"),
        Route("/desk/jobs/{job}", _with_slash),
        Route("/desk/jobs/{job}/", recording.show, name="recording"),
        Route("/desk/shared/{link}", _with_slash),
        Route("/desk/shared/{link}/", sharing.show),
        Route("/desk/shared/{link}/sound", sharing.sound),
        Route("/desk/glossary", glossary.change, methods=["POST"]),
        Route("/desk/jobs/{job}/share", sharing.share, methods=["POST"]),
        Route("/desk/jobs/{job}/act", acting.act, methods=["POST"]),
        Route("/desk/jobs/{job}/ask", acting.ask, methods=["GET"]),
        Route("/desk/jobs/{job}/forget", acting.ask_forget, methods=["GET"]),
        Route("/desk/jobs/{job}/forget", acting.forget, methods=["POST"]),
        Route("/desk/jobs/{job}/edit", correcting.form, methods=["GET"]),
        Route("/desk/jobs/{job}/edit", correcting.save, methods=["POST"]),
        Route("/desk/jobs/{job}/corrections", correcting.listed, methods=["GET"]),
        Route("/desk/jobs/{job}/corrections", correcting.undo, methods=["POST"]),
        Route("/desk/jobs/{job}/details", recording.details, name="details"),
        Route("/desk/jobs/{job}/sound", sound, name="sound"),
        Route("/desk/jobs/{job}/{name}", recording.file, name="file"),
        Route("/desk/{path:path}", _nothing),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _http_error, StenoflowError: _error, Exception: _unexpected},
    )
    app.state.context, app.state.prefect, app.state.derived = Context(load), prefect, derived
    return _WithHeaders(app)


class DeskBefore:
    """Middleware that has the desk answer at its addresses, and another app (Prefect's) at all others."""

    def __init__(self, desk: ASGIApp, other: ASGIApp) -> None:
        self._desk = desk
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        ours = scope["type"] == "http" and is_desks(scope["path"])
        await (self._desk if ours else self._other)(scope, receive, send)


class _WithHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in _HEADERS.items() if name not in own]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, _as_send(sending))


def _as_send(sending: Callable[[Message], Any]) -> Send:
    return sending


def _with_slash(request: Request) -> Response:
    # What stands in a transcript's page is named as beside it.
    return RedirectResponse(f"{request.url.path}/", 308)


def _nothing(_: Request) -> Response:
    raise HTTPException(404, "There is no such page.")


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = error.detail if isinstance(error, HTTPException) else ""
    return page(request, "error.html.jinja", status, title=_TITLES.get(status, "Error"), message=message)


def _error(request: Request, error: Exception) -> Response:
    """Show one of our own errors, which say what to do."""
    status = 503 if isinstance(error, DatabaseError) else 500
    _log.warning("%s: %s", request.url.path, error)
    return page(request, "error.html.jinja", status, title="This did not work", message=str(error))


def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s", request.url.path, exc_info=error)
    message = "Something unexpected happened; the server's log has more."
    return page(request, "error.html.jinja", 500, title="This did not work", message=message)


_TITLES = {404: "Not found", 403: "Not allowed", 405: "Not allowed"}
