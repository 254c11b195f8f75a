"""Where events are sent, and what they are signed with."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import httpx

from tasks.errors import SettingsError

_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64
_HOW_TO_MAKE_ONE = 'make one: echo "whsec_$(openssl rand -base64 32)", and give it to the receiver, too'


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of events.

    Attributes:
        url: http or https; may itself hold a secret, so messages name its `origin` only.
        secret: "whsec_" and 24 to 64 bytes in base64.

    Raises:
        SettingsError: one of them cannot be used; neither is shown.
    """

    url: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _is_usable(self.url):
            raise SettingsError(
                "the address for events is not an http or https URL",
                "set STENOFLOW_WEBHOOK_URL to something like https://example.com/hooks/stenoflow",
            )
        if not self.secret:
            raise SettingsError("STENOFLOW_WEBHOOK_URL is set and no secret to sign with", _in_variable())
        if not _is_secret(self.secret):
            raise SettingsError(
                f"the secret to sign events with is not {_PREFIX} and {_LEAST_BYTES} to {_MOST_BYTES} bytes"
                " in base64",
                _in_variable(),
            )

    @property
    def origin(self) -> str:
        """The receiver without path and credentials, for messages."""
        url = httpx.URL(self.url)
        return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _in_variable() -> str:
    return f"set STENOFLOW_WEBHOOK_SECRET; {_HOW_TO_MAKE_ONE}"


def _is_usable(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in {"http", "https"} and bool(parsed.host)


def _is_secret(secret: str) -> bool:
    # Strictly: the library that signs would drop what is no base64, and sign with what is left.
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return False
    return secret.startswith(_PREFIX) and _LEAST_BYTES <= len(key) <= _MOST_BYTES
