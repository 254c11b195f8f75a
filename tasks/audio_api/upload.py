"""The body of one call, a multipart form or JSON, and how far it got out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO


class Upload:
    """A form with one file, streamed from disk; or a document; or nothing.

    Args:
        fields: names and values; a name may come several times.
        file: open for reading in binary; None for calls without a form.
        document: what is sent as JSON.
    """

    def __init__(
        self,
        fields: Sequence[tuple[str, str]] = (),
        file: BinaryIO | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        self._fields = fields
        self._file = file
        self._document = document
        self.whole = True
        """False from the moment that sending begins until the body's last byte is handed over.

        A transport that reports nothing (ASGI) leaves it True: then the outcome counts as unknown.
        """

    def arguments(self) -> dict[str, Any]:
        """Return what ``httpx.AsyncClient.stream`` needs for it."""
        arguments: dict[str, Any] = {"extensions": {"trace": self._follow}}
        if self._document is not None:
            arguments["json"] = self._document
        if self._file is not None:
            # A name of ours: servers tell the codec by the ending, and the recording's title is not theirs.
            name = f"segment{Path(str(self._file.name)).suffix or '.mp3'}"
            # A value without a file name is an ordinary field; given so, repeated ones keep their order.
            arguments["files"] = [
                *((field, (None, value)) for field, value in self._fields),
                ("file", (name, self._file, "audio/mpeg")),
            ]
        return arguments

    async def _follow(self, event: str, _info: dict[str, Any]) -> None:
        if event.endswith(("connect_tcp.started", "send_request_headers.started")):
            self.whole = False
        elif event.endswith("send_request_body.complete"):
            self.whole = True
