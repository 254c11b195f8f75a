"""The states and kinds that columns hold."""

from __future__ import annotations

from enum import StrEnum


class JobKind(StrEnum):
    """What a job makes."""

    TRANSCRIBE = "transcribe"
    MINUTES = "digest"
    SPEAK = "speak"
    REPLY = "reply"


class Activity(StrEnum):
    """What a request asks of a provider."""

    TRANSCRIPTION = "hearing"
    CHAT = "chat"
    SPEECH = "speaking"
    TRANSLATION = "translating"


class JobState(StrEnum):
    """Where a job stands."""

    NEW = "new"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """Stopped by the user; what was obtained is stored, and `resume` goes on."""
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    REFUSED = "refused"


PUBLISHED = frozenset({JobState.COMPLETE, JobState.PARTIAL})
"""States of jobs that have artifacts."""


class SegmentState(StrEnum):
    """Where a segment stands."""

    CUT = "cut"
    """Decided; its answer is still to be had."""
    SILENT = "silent"
    """Nobody speaks in it; it is not sent."""
    DONE = "done"
    FAILED = "failed"
    """Parked; `resume` tries it again."""


class AttemptState(StrEnum):
    """What became of a request."""

    SENT = "sent"
    OK = "ok"
    REFUSED = "refused"
    """The provider did not take it, or it never left: free."""
    UNKNOWN = "unknown"
    """It may have been charged."""


class ChargeKind(StrEnum):
    """Kinds of entries in the ledger."""

    RESERVE = "reserve"
    ACTUAL = "actual"
    POSSIBLE = "possible"
    RELEASE = "release"
    RECONCILE = "reconcile"
