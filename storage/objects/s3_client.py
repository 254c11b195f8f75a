"""The one place where clients of S3 are built.

Where the server is and who we are comes from boto3's own settings alone: ``AWS_ENDPOINT_URL_S3``,
``AWS_PROFILE``, ``AWS_ACCESS_KEY_ID``, roles, and so on. This module imports boto3 (half a second), so
it is to be imported only where S3 is used.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any, Final

import boto3.session
from botocore.config import Config

from storage.errors import ObjectStoreError
from storage.objects.s3_errors import s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TRIES: Final = 4
_CONFIG: Final = Config(
    # botocore's is the one layer that retries: nothing above it does.
    retries={"mode": "standard", "total_max_attempts": _TRIES},
    connect_timeout=3,
    read_timeout=60,
    max_pool_connections=32,
    # The newer default checksums are refused by many servers that speak S3.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    user_agent_extra="stenoflow",
)


def make_client() -> S3Client:
    """Build a client of S3, which threads may share.

    Raises:
        StoreAccessError: the profile is not there, or its credentials cannot be read.
        ObjectStoreError: boto3's settings make no sense.
    """
    with s3_errors("S3"):
        try:
            client = boto3.session.Session().client("s3", config=_CONFIG)
        except ValueError as error:
            raise ObjectStoreError(f"S3: {error}", "check AWS_ENDPOINT_URL_S3") from error
    events: Any = client.meta.events  # its stub does not know that handlers may answer
    events.register("needs-retry.s3.PutObject", _after_conflict)
    return client


def _after_conflict(response: tuple[Any, dict[str, Any]] | None, attempts: int, **_: Any) -> float | None:
    """Have botocore try a conditional put again that met another put or delete of the same key.

    S3 asks for that; botocore takes its 409 for final.

    Returns:
        The seconds to wait; None: it is not for us to say.
    """
    said = {} if response is None else response[1]
    if said.get("Error", {}).get("Code") != "ConditionalRequestConflict" or attempts >= _TRIES:
        return None
    return random.uniform(0.05, 0.1) * 2.0**attempts  # noqa: S311 - keeps two from meeting again


class LazyClient:
    """A client that is built when it is first asked for, then shared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: S3Client | None = None

    def __call__(self) -> S3Client:
        """Return the client; raises what `make_client` raises."""
        with self._lock:
            if self._client is None:
                self._client = make_client()
            return self._client
