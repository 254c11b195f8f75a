"""What can go wrong inside the engine, apart from a bad request."""

from __future__ import annotations

from stenoflow.tasks.errors import FailedError


class EngineError(FailedError):
    """The embedded engine could not do its work."""

    kind = "engine"


class ModelUnavailableError(EngineError):
    """A recogniser is not installed, or its model cannot be loaded."""

    kind = "engine-model"
