"""What a receiver is told: pure, built apart from its sending."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """What happened."""

    COMPLETE = "recording.complete"
    PARTIAL = "recording.partial"
    FAILED = "recording.failed"
    REFUSED = "recording.refused"
    BUDGET = "budget.reached"
    """Once a run: a recording was refused or broken off for want of budget."""
    STOPPED = "provider.stopped"
    """Once a run: no further call to the provider makes sense."""
    RETIRING = "model.retiring"
    """Once a run and model: it is shut down within 30 days, or was."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        of: what makes it one of its kind in its run: a job, a model.
        run: the run of the program in which it happened.
        at: when, with its timezone.
        data: JSON.
    """

    type: EventType
    of: str
    run: str
    at: datetime
    data: Mapping[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        """The same however often it is told, so that a receiver can drop what it knows already."""
        parts = f"{self.of}\0{self.run}\0{self.type}".encode(errors="surrogatepass")
        return f"msg_{hashlib.sha256(parts).hexdigest()[:32]}"

    @property
    def body(self) -> str:
        """The JSON that is sent; in ASCII, since file names may hold what is no Unicode."""
        at = self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return json.dumps({"type": self.type, "timestamp": at, "data": {**self.data, "run": self.run}})
