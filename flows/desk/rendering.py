"""Rendering of the desk's pages: one environment of Jinja, which escapes everything."""

from __future__ import annotations

import mimetypes
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jinja2 import ChoiceLoader, DictLoader, Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from stenoflow.flows.desk.visitor import visitor_of
from stenoflow.storage.database.costs import Spending
from stenoflow.tasks.artifacts.page import TEMPLATE, page_script, page_style, page_template
from stenoflow.tasks.artifacts.sanitize import one_line
from stenoflow.tasks.billing.amounts import MICRO, from_micro, show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.timecode import clock

_FOLDER = Path(__file__).parent
# What would be 0.0000.
_SMALL = 100
_ASSETS = frozenset({"desk.css", "send.js", "theme.js", "links.js"})


def context_of(request: Request) -> AppContext:
    """Return the tools of the process. Raises DatabaseError while the database is away."""
    context: AppContext = request.app.state.context.get()
    return context


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """Render a page."""
    visitor = visitor_of(request)
    html = _environment().get_template(template).render(here=request.url.path, visitor=visitor, **values)
    return HTMLResponse(html, status)


def asset(request: Request) -> Response:
    """Answer with a style sheet or a script: the desk's own, and those of transcripts' pages."""
    name = request.path_params["name"]
    if name == "transcript.css":
        content: str = page_style()
    elif name == "transcript.js":
        content = page_script()
    elif name in _ASSETS:
        content = (_FOLDER / "templates" / name).read_text("utf-8")
    else:
        raise HTTPException(404, "There is no such page.")
    return Response(content, media_type=mimetypes.guess_type(name)[0])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader(
            [FileSystemLoader(_FOLDER / "templates"), DictLoader({TEMPLATE: str(page_template())})]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "line": _line,
        "address": _address,
        "clock": clock,
        "usd": show,
        "money": money,
        "spending": spending,
        "when": when,
        "bytes": size,
        "is_sound": _is_sound,
    }
    return environment


def _line(text: str | None) -> str:
    """Return what others wrote on one line, without what turns its direction."""
    return one_line(text or "")


def _is_sound(name: str) -> bool:
    return (mimetypes.guess_type(name)[0] or "").startswith("audio/")


def _address(uri: str) -> str:
    """Return an address as people write it, on one line."""
    return one_line(unquote(uri))


def spending(spent: Spending, currency: str = "USD") -> str:
    """Write what was spent, with what lost replies may have cost beside it."""
    cost = "unknown" if spent.unpriced else f"{money(spent.actual_micro)} {currency}"
    return f"{cost} (+{money(spent.possible_micro)}?)" if spent.possible_micro else cost


def money(micro: int) -> str:
    """Write an amount for people: in cents, or of less than one unit in hundredths of them, or as it is."""
    if 0 < abs(micro) < _SMALL:
        return show(micro)
    return f"{from_micro(micro):.2f}" if abs(micro) >= MICRO else f"{from_micro(micro):.4f}"


def when(at: datetime | None) -> str:
    """Write a time of day, in UTC."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def size(number: int) -> str:
    """Write a number of bytes."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
