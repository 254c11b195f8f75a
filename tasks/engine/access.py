"""Decide which requests a server of ours answers: by the Host and the Origin that they name.

Every page that is open in a browser can send requests to the servers of its machine, and can read their
answers once the page's own name leads there (DNS rebinding). The browser then says so in these two headers,
which no page can change.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from functools import cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?", re.ASCII)


def is_loopback(host: str) -> bool:
    """Tell whether an address, or the name `localhost`, can be reached from this machine only."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def is_own_host(host: str, local: str, others: Collection[str] = ()) -> bool:
    """Tell whether a Host header names this server.

    A page that has its own name lead here has to name it, so addresses are believed and names are not, other
    than those of this machine.

    Args:
        host: the header.
        local: the address that the server listens on, or at which the request came in.
        others: further names of it, which the settings have: those of a proxy before it.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["name"].strip("[]").lower()
    if is_loopback(name) or name == local or name in others:
        return True
    return not is_loopback(local) and (_address(name) is not None or name in _own_names())


def is_own_origin(origin: str, host: str) -> bool:
    """Tell whether an Origin header names the server that the Host header names: no other page's."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


class HostCheck:
    """Middleware that answers only to this server's own names, and to no page of another origin.

    Args:
        app: what is behind it.
        hosts: further names of it, which the settings have.
        public: where it is reached by a proxy, like ``https://desk.example.com``; None: nowhere else.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = (), public: str | None = None) -> None:
        self._app = app
        self._hosts = hosts
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        is_asked = scope["type"] in {"http", "websocket"}
        reason = refusal_of(scope, self._hosts, self._public) if is_asked else None
        if reason is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(f"{reason}\n", 403)(scope, receive, send)


def refusal_of(scope: Scope, others: Collection[str] = (), public: str | None = None) -> str | None:
    """Return why a request of ASGI is not answered, judged by the Host and Origin it names; None: it is.

    Args:
        scope: of the request.
        others: further names of this server.
        public: this server's origin for those who reach it by a proxy, which may pass its own Host on or not.
    """
    headers = Headers(scope=scope)
    hosts = headers.getlist("host")
    local, _ = scope.get("server") or ("", None)
    is_public = public is not None and hosts == [public.partition("://")[2]]
    if len(hosts) != 1 or not (is_public or is_own_host(hosts[0], local, others)):
        return "this server does not answer to that Host"
    origins = [origin for origin in headers.getlist("origin") if origin != public]
    if not all(is_own_origin(origin, hosts[0]) for origin in origins):
        return "pages of another origin may not use this server"
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@cache
def _own_names() -> frozenset[str]:
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})
