"""Object stores: one small contract (`contract`), a module a provider, `open_store` for an address."""

from storage.objects.contract import ObjectInfo, ObjectStore
from storage.objects.errors import (
    BadKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
    StoreUrlError,
)
from storage.objects.opening import open_store

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
