"""Visitors of the desk: who asks for a page, and what they may do."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from enum import IntEnum
from functools import wraps
from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_KEY = "stenoflow.visitor"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf"


class Role(IntEnum):
    """What somebody may do; each may all that those before may."""

    GUEST = 0
    """See what a link shows."""
    READER = 1
    """Read, hear, search and download."""
    EDITOR = 2
    """Correct, and send in."""
    OPERATOR = 3
    """Start, stop and forget; Prefect's pages and its API."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is logged in.

    Attributes:
        name: as the audit calls them.
        csrf: what their forms must bring, so that no page of others' can send them.
    """

    name: str
    role: Role
    csrf: str

    def may(self, role: Role) -> bool:
        """Tell whether they may what a role may."""
        return self.role >= role


SHARED = "/desk/shared/"
"""How the addresses of links for readers begin."""
GUEST = Visitor("", Role.GUEST, "")
"""Whoever has such a link, or asks for what is no secret."""
# Style sheets and scripts: parts of the program.
_FOR_GUESTS = (SHARED, "/desk/assets/")


def is_for_guests(path: str) -> bool:
    """Tell whether an address needs no login: a link for readers tells by itself what it shows."""
    return path.startswith(_FOR_GUESTS)


def is_desks(path: str) -> bool:
    """Tell whether an address is the desk's; all others are Prefect's."""
    return path == "/" or path.startswith("/desk/")


def let_in(scope: MutableMapping[str, Any], visitor: Visitor) -> None:
    """Note in an ASGI scope who asks."""
    scope[_KEY] = visitor


def visitor_of(request: Request) -> Visitor:
    """Return who asks. Raises HTTPException where nobody was let in."""
    visitor = request.scope.get(_KEY)
    if not isinstance(visitor, Visitor):
        raise HTTPException(401, "Log in first.")
    return visitor


Page = Callable[[Request], Awaitable[Response]]
Act = Callable[[Request, FormData], Awaitable[Response]]


def changing(role: Role) -> Callable[[Act], Page]:
    """Guard a form's handler: only for a role, and only from a form of ours."""

    def guard(act: Act) -> Page:
        @wraps(act)
        async def guarded(request: Request) -> Response:
            check_role(request, role)
            async with request.form(max_files=1, max_fields=200) as form:
                check_csrf(request, str(form.get(CSRF_FIELD, "")))
                return await act(request, form)

        return guarded

    return guard


def check_role(request: Request, role: Role) -> Visitor:
    """Return who asks. Raises HTTPException where they may not."""
    visitor = visitor_of(request)
    if not visitor.may(role):
        raise HTTPException(
            403, f"This takes the role {role.name.lower()}; yours is {visitor.role.name.lower()}."
        )
    return visitor


def check_csrf(request: Request, given: str) -> None:
    """Raise HTTPException where a request does not come from a page of ours."""
    if not hmac.compare_digest(given.encode(), visitor_of(request).csrf.encode()):
        raise HTTPException(403, "The form is too old: load the page again, and send it once more.")
