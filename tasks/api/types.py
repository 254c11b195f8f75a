"""What goes to and fro in one call, as far as judging it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a call goes to; names it in messages.

    Attributes:
        provider: as in the price book.
        model: empty for calls that concern none.
        address: the base URL without credentials.
    """

    provider: str
    model: str = ""
    address: str = ""

    def __str__(self) -> str:
        """Return for instance ``whisper-1 at openai``."""
        return f"{self.model} at {self.provider}" if self.model else f"the API of {self.provider}"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response, read whole.

    Attributes:
        headers: by lower-case name.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The media type as sent, or empty."""
        return self.headers.get("content-type", "")
