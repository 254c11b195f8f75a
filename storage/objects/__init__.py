"""Object stores: one small contract (`contract`), a module a provider, `open_store` for an address."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from stenoflow.storage.errors import (
    BadKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
    StoreUrlError,
)
from stenoflow.storage.objects.contract import ObjectInfo, ObjectStore, check_key
from stenoflow.storage.objects.local import LocalStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


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


_ACCEPTED: Final = "give file:///absolute/folder or s3://bucket/prefix"
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")


def open_store(url: str, client: Callable[[], S3Client] | None = None) -> ObjectStore:
    """Return the store at an address; nothing is asked of it yet (`ObjectStore.check` does).

    Args:
        url: ``file:///absolute/folder`` (percent-encoded or as it is) or ``s3://bucket/prefix``.
        client: gives the S3 client to use, such as a `LazyClient`; otherwise a new one is built.

    Raises:
        StoreUrlError: the address is neither.
        ObjectStoreError: boto3's settings make no sense.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() == "file":
        return _open_folder(rest)
    if separator and scheme.lower() == "s3":
        return _open_bucket(rest, client)
    # Not the address itself: keys have been seen in such settings.
    raise StoreUrlError("the store's address begins with neither file:// nor s3://", _ACCEPTED)


def _open_folder(rest: str) -> LocalStore:
    path = os.fsdecode(unquote_to_bytes(os.fsencode(rest.removeprefix("localhost"))))
    if not path.startswith("/") or "\0" in path:
        raise StoreUrlError(f"file://{rest} is not an absolute path", _ACCEPTED)
    return LocalStore(Path(path))


def _open_bucket(rest: str, client: Callable[[], S3Client] | None) -> ObjectStore:
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket):
        raise StoreUrlError("the store's s3:// address names no bucket that there could be", _ACCEPTED)
    try:
        if prefix:
            check_key(prefix)
    except BadKeyError as error:
        raise StoreUrlError(f"s3://{rest}: {error.message}", _ACCEPTED) from None
    from stenoflow.storage.objects.s3 import S3Store  # noqa: PLC0415 - boto3 takes half a second to import
    from stenoflow.storage.objects.s3_client import make_client  # noqa: PLC0415

    return S3Store((client or make_client)(), bucket, prefix)
