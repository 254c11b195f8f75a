"""`--log-format json`: what is said to people, and what is logged, as JSON lines on stderr."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from stenoflow.flows.cli.console import log_instead

# What a log line may say beside its message; callers give these by ``extra``.
_IDS = ("run", "job", "segment", "activity", "attempt", "request", "error", "seconds")


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; ids are there where they are known."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _IDS if getattr(record, name, None) is not None}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # ASCII, so that nothing in it is a command to a terminal.
        return json.dumps(line, default=str)


def log_as_json() -> None:
    """Write all that goes to stderr as JSON lines from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    ours = logging.getLogger("stenoflow")
    root.setLevel(logging.WARNING)
    ours.setLevel(logging.DEBUG)
    log_instead(logging.getLogger("stenoflow.cli"))
