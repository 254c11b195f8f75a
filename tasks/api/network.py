"""The way to a server: through the proxy that the environment names, never to this machine itself."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.api.providers import is_address
from stenoflow.tasks.errors import SettingsError

_SCHEMES = {"http", "https", "socks5", "socks5h"}
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def open_http(url: httpx.URL | str, **given: Any) -> httpx.AsyncClient:
    """Return a client for one server.

    Args:
        url: an address of the server.
        given: for the client.

    Raises:
        SettingsError: a proxy or a file of certificates cannot be used; its variable is named.
    """
    if given.get("transport") is not None:
        return httpx.AsyncClient(trust_env=False, **given)
    url = httpx.URL(url)
    variable, proxy = proxy_for(url) or ("", None)
    verify = _certificates() if url.scheme == "https" or proxy is not None else True
    try:
        # The proxy is chosen here: httpx takes some values of NO_PROXY for broken addresses.
        return httpx.AsyncClient(trust_env=False, verify=verify, proxy=proxy, **given)
    except ImportError as error:
        raise SettingsError(
            f"{variable} names a SOCKS proxy, and no support for it is installed",
            'pip install "httpx[socks]", or name an http proxy',
        ) from error


def has_special_way(url: httpx.URL | str) -> bool:
    """Tell whether the environment names a proxy or certificates for a server: only they can be wrong.

    Raises:
        SettingsError: what names a proxy is no address of one.
    """
    return proxy_for(httpx.URL(url)) is not None or any(map(os.environ.get, _CERTIFICATES))


def proxy_for(url: httpx.URL) -> tuple[str, str] | None:
    """Return the proxy for a server, and the variable that names it; None: there is none.

    Raises:
        SettingsError: what the variable holds is no address of a proxy.
    """
    if is_loopback(url.host) or any(_covers(each, url) for each in _listed("no_proxy")):
        return None
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            said = os.environ.get(variable)
            if said:
                return variable, _checked(variable, said)
    return None


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _listed(name: str) -> Iterator[str]:
    said = os.environ.get(name) or os.environ.get(name.upper()) or ""
    yield from filter(None, (each.strip().lower() for each in said.split(",")))


def _covers(entry: str, url: httpx.URL) -> bool:
    """Tell whether an entry of NO_PROXY means a server: ``*``, a domain, an address or a network."""
    if entry == "*":
        return True
    host = _address(url.host)
    network = _network(entry)
    if network is not None:
        return host is not None and host in network
    name, colon, port = entry.rpartition(":")
    if colon and port.isdecimal():
        default = {"http": 80, "https": 443}.get(url.scheme)
        return int(port) == (url.port or default) and _covers(name, url)
    suffix = entry.removeprefix("*").removeprefix(".")
    return url.host == suffix or url.host.endswith(f".{suffix}")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        return None


def _checked(variable: str, said: str) -> str:
    """Return the address of a proxy; without a scheme, as other programs take it, it is one of http."""
    address = said if "://" in said else f"http://{said}"
    if not is_address(address, _SCHEMES):
        # Not the address itself: it may hold a password.
        raise SettingsError(
            f"{variable} is no address of a proxy",
            "give one like http://proxy.example:3128, or none",
        )
    return address


def _certificates() -> ssl.SSLContext:
    """Return what https is checked by. Raises SettingsError for a file that cannot be used."""
    for variable in _CERTIFICATES:
        place = os.environ.get(variable)
        if place and not Path(place).exists():
            raise SettingsError(f"{variable} names {place}, which is not there", "correct or unset it")
    try:
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the certificates that {' or '.join(_CERTIFICATES)} names cannot be read: {plain_reason(error)}"
        ) from error
