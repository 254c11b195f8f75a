"""What can go wrong with an object store.

ObjectStoreError
├── BadKeyError             a key against the rules
├── ObjectNotFoundError     no such object, or no such bucket
├── ObjectExistsError       the key is taken, and was to be used only if absent
├── StoreAccessError        no credentials, or not these
└── StoreUnavailableError   out of reach or overloaded: the one that a later try can mend
AddressError
└── StoreUrlError           an address that names no store
"""

from __future__ import annotations

from storage.errors import AddressError, ObjectStoreError


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
