"""Object stores: one small contract (`contract`), a module a provider, `open_store` for an address."""

from stenoflow.storage.errors import (
    BadKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
    StoreUrlError,
)
from stenoflow.storage.objects.contract import ObjectInfo, ObjectStore
from stenoflow.storage.objects.open_store import open_store

__all__ = [
    "BadKeyError",
    "ObjectExistsError",
    "ObjectInfo",
    "ObjectNotFoundError",
    "ObjectStore",
    "StoreAccessError",
    "StoreUnavailableError",
    "StoreUrlError",
    "open_store",
]
