"""The root of the error tree, and the errors of storing.

It stands in the lowest layer so that every layer can raise from one tree:

    StenoflowError                      exit 1, kind "unexpected"
    ├── StorageError                    exit 3, kind "storage"
    │   ├── DatabaseError               "database"
    │   ├── ObjectStoreError            "store"
    │   ├── DiskFullError               "disk-full"
    │   ├── TakenError                  "taken": another run is at work on it
    │   ├── AnsweredError               "answered": nothing is to be sent
    │   ├── CrashedError                "crashed": it took its worker down again and again
    │   └── AddressError                exit 2, "settings": the address of a database or a store
    ├── BudgetError                     exit 4, kind "budget": the ledger said no
    ├── SettingsError                   exit 2, kind "settings"      (stenoflow.tasks.errors and below)
    ├── RefusedError                    exit 4, kind "refused"
    └── FailedError                     exit 3, kind "failed"

Each error says what happened, to what, and (``hint``) what the user can do. Errors are built from
positional arguments only, so that they survive pickling between processes.

Whether a retry helps, each class says itself: `StenoflowError.lies_in_recording`. Databases keep the kind
only, and `lies_in_recording` tells it from that; classes of one kind agree.
"""

from __future__ import annotations

from typing import ClassVar


class StenoflowError(Exception):
    """Anything that Stenoflow itself reports.

    Args:
        message: one line: what happened, to which recording or segment.
        hint: one line: what the user can do; may be empty.

    Attributes:
        lies_in_recording: the reason is the recording, what is said of it, or what the API answered to it,
            so that another try would end in the same way. False: a budget, a key, an outage, a full disk; a
            later try may succeed.
        job_id: the job that it ended; None where none was open.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "unexpected"
    lies_in_recording: ClassVar[bool] = False
    job_id: str | None = None

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message, with the hint behind it where there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


def lies_in_recording(kind: str | None) -> bool:
    """Tell by an error's kind whether another try would end in the same way; of unknown kinds, False."""
    classes = [StenoflowError]
    for each in classes:
        classes += each.__subclasses__()
    return any(each.kind == kind and each.lies_in_recording for each in classes)


class StorageError(StenoflowError):
    """Something could not be stored or read back."""

    exit_code = 3
    kind = "storage"


class DatabaseError(StorageError):
    """The database could not be reached, or is of another version."""

    kind = "database"


class ObjectStoreError(StorageError):
    """The object store could not be reached or refused."""

    kind = "store"


class DiskFullError(StorageError):
    """No space left where the work or the artifacts are written."""

    kind = "disk-full"


class TakenError(StorageError):
    """Another run, which is alive, is at work on the same."""

    kind = "taken"


class AnsweredError(StorageError):
    """What is asked for is stored already."""

    kind = "answered"


class CrashedError(StorageError):
    """Runs died over a job again and again; it is set aside until somebody says otherwise."""

    kind = "crashed"
    lies_in_recording = True


class AddressError(StorageError):
    """The address of a database or a store cannot be used."""

    exit_code = 2
    kind = "settings"


class BudgetError(StenoflowError):
    """One more call could take the exposure over the budget."""

    exit_code = 4
    kind = "budget"


class BadKeyError(ObjectStoreError):
    """The key is empty, absolute, too long, or would lead out of the store."""


class ObjectNotFoundError(ObjectStoreError):
    """There is no such object, or no such bucket."""


class ObjectExistsError(ObjectStoreError):
    """The key is taken already."""


class StoreAccessError(ObjectStoreError):
    """The store refuses us: no credentials, not these, or no right to do this."""


class StoreUnavailableError(ObjectStoreError):
    """The store is out of reach or overloaded; the only error here that is not permanent."""


class StoreUrlError(AddressError):
    """The address names no store that there could be."""
