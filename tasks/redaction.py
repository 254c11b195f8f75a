"""Taking out of texts what nobody else is to read: keys, and what makes an address a key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# Scheme, credentials, host and path, query or fragment: a presigned URL's query lets anybody in.
_URL = re.compile(r"(https?://)(?:[^\s/?#@]*@)?([^\s?#]*)(?:[?#]\S*)?", re.IGNORECASE)
# What a local server takes for a key may be a word of any text.
_SHORTEST_SECRET = 8
_GONE = "***"


def without_queries(text: str) -> str:
    """Return a text whose http(s) URLs have neither query nor credentials."""
    return _URL.sub(r"\1\2", text)


class Redaction:
    """Takes given secrets, and the queries and credentials of all http(s) URLs, out of JSON."""

    def __init__(self, secrets: Iterable[str | None]) -> None:
        self._secrets = [secret for secret in secrets if secret and len(secret) >= _SHORTEST_SECRET]

    def clean(self, value: Any) -> Any:
        """Return the value with all of its texts cleaned; keys of objects are ours, and stay."""
        match value:
            case str():
                return self._text(value)
            case dict():
                return {key: self.clean(each) for key, each in value.items()}
            case list() | tuple():
                return [self.clean(each) for each in value]
        return value

    def _text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _GONE)
        return without_queries(text)
