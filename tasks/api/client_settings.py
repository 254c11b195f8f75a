"""The client's settings: where the API is and how long to wait for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from stenoflow.tasks.api.providers import Provider, check_address, load_providers
from stenoflow.tasks.errors import SettingsError

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class AudioApiSettings:
    """Everything that the client needs to know; times in seconds.

    Attributes:
        base_url: used as given, by convention with /v1 at the end; it may have a query.
        api_key: None sends none.
        provider: for prices and messages; empty: told from the base URL.
        server: how it wants to be asked; None: told from the base URL.
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
    server: Provider | None = None

    def __post_init__(self) -> None:
        _check_address(self.base_url)
        key = self.api_key
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key and key):
            raise SettingsError(
                "the API key has spaces, line breaks or signs outside ASCII in it, or is empty",
                f"check {self.server.key_env if self.server and self.server.key_env else 'OPENAI_API_KEY'}",
            )
        if self.server is None:
            object.__setattr__(self, "server", load_providers().at(self.base_url))
        if not self.provider:
            object.__setattr__(self, "provider", self.asked.name)

    @property
    def asked(self) -> Provider:
        """The server, as it is described."""
        if self.server is None:
            raise RuntimeError("the server is told from the base URL")
        return self.server

    @property
    def key_header(self) -> dict[str, str]:
        """The header that carries the key; none without one."""
        if self.api_key is None:
            return {}
        return {self.asked.header: f"{self.asked.scheme} {self.api_key}".strip()}

    @property
    def address(self) -> str:
        """The base URL without credentials, which a query may hold as well, for messages."""
        import httpx  # noqa: PLC0415 - a third of a second, for those who call

        url = httpx.URL(self.base_url)
        if not (url.userinfo or url.query or url.fragment):
            return self.base_url
        return str(url.copy_with(username=None, password=None, query=None, fragment=None))

    def url(self, endpoint: str, model: str = "") -> httpx.URL:
        """Return the address of an endpoint; a query of the base URL stays behind it.

        Args:
            endpoint: its path.
            model: that is asked; Azure has it in the path.
        """
        import httpx  # noqa: PLC0415 - a third of a second, for those who call

        base = httpx.URL(self.base_url)
        path, _, query = base.raw_path.partition(b"?")
        path = path.rstrip(b"/")
        if self.asked.dialect == "azure":
            path, query = self._azure(path, query, model)
        whole = path + b"/" + endpoint.encode()
        return base.copy_with(raw_path=whole + b"?" + query if query else whole, fragment=None)

    def _azure(self, path: bytes, query: bytes, model: str) -> tuple[bytes, bytes]:
        """Return path and query at Azure; the newer form (…/openai/v1) needs neither added."""
        if path.endswith(b"/v1"):
            return path, query
        if b"/deployments/" not in path:
            path = path.removesuffix(b"/openai") + b"/openai"
            if model:
                path += b"/deployments/" + quote(self.asked.sent_name(model), safe="").encode()
        if b"api-version=" not in query:
            version = f"api-version={quote(self.asked.api_version)}".encode()
            query = query + b"&" + version if query else version
        return path, query

    @property
    def timeout(self) -> httpx.Timeout:
        """The limits in httpx's form; the limiter, not the pool, makes calls wait."""
        import httpx  # noqa: PLC0415 - a third of a second, for those who call

        return httpx.Timeout(connect=self.connect_s, write=self.write_s, read=self.read_s, pool=None)


def _check_address(base_url: str) -> None:
    import httpx  # noqa: PLC0415 - a third of a second, for those who call

    check_address(base_url)
    try:
        httpx.URL(base_url)
    except httpx.InvalidURL:
        # Of what is wrong then, no address has any.
        check_address("")
