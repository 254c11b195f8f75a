"""Where the API is and how long to wait for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stenoflow.tasks.errors import SettingsError

if TYPE_CHECKING:
    import httpx

_KNOWN_HOSTS = {"api.openai.com": "openai", "api.groq.com": "groq"}


def provider_of(base_url: str) -> str:
    """Return the provider's name as in the price book: a known one's, else the host."""
    host = urlsplit(base_url).hostname or ""
    return _KNOWN_HOSTS.get(host, host)


@dataclass(frozen=True, slots=True)
class AudioApiSettings:
    """Everything that the client needs to know; times in seconds.

    Attributes:
        base_url: used as given, by convention with /v1 at the end; it may have a query.
        api_key: None sends none.
        provider: for prices and messages; empty: told from the base URL.
        connect_s: for a connection to come about.
        write_s: for the network to take the next part of the upload.
        read_s: for the next part of the answer; long, since a server may be silent while it listens.
        deadline_s: for a whole call.
        largest_answer_bytes: a longer answer is cut off.

    Raises:
        SettingsError: the address is no http(s) URL, or the key has signs that no key has.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    provider: str = ""
    connect_s: float = 10.0
    write_s: float = 60.0
    read_s: float = 600.0
    deadline_s: float = 900.0
    largest_answer_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        _check_address(self.base_url)
        key = self.api_key
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key and key):
            raise SettingsError(
                "the API key has spaces, line breaks or signs outside ASCII in it, or is empty",
                "check OPENAI_API_KEY",
            )
        if not self.provider:
            object.__setattr__(self, "provider", provider_of(self.base_url))

    @property
    def address(self) -> str:
        """The base URL without credentials, which a query may hold as well, for messages."""
        import httpx  # noqa: PLC0415 - a third of a second, for those who call

        url = httpx.URL(self.base_url)
        if not (url.userinfo or url.query or url.fragment):
            return self.base_url
        return str(url.copy_with(username=None, password=None, query=None, fragment=None))

    def url(self, endpoint: str) -> httpx.URL:
        """Return the address of an endpoint; a query of the base URL stays behind it."""
        import httpx  # noqa: PLC0415 - a third of a second, for those who call

        base = httpx.URL(self.base_url)
        path, _, query = base.raw_path.partition(b"?")
        whole = path.rstrip(b"/") + b"/" + endpoint.encode()
        return base.copy_with(raw_path=whole + b"?" + query if query else whole, fragment=None)

    @property
    def timeout(self) -> httpx.Timeout:
        """The limits in httpx's form; the limiter, not the pool, makes calls wait."""
        import httpx  # noqa: PLC0415 - a third of a second, for those who call

        return httpx.Timeout(connect=self.connect_s, write=self.write_s, read=self.read_s, pool=None)


def _check_address(base_url: str) -> None:
    import httpx  # noqa: PLC0415 - a third of a second, for those who call

    try:
        url = httpx.URL(base_url)
        usable = url.scheme in {"http", "https"} and bool(url.host)
    except httpx.InvalidURL:
        usable = False
    if not usable:
        raise SettingsError(
            "the API's address is not an http or https URL",
            "set OPENAI_BASE_URL to something like https://api.openai.com/v1",
        )
