"""The one place where clients of S3 are built.

Where the server is and who we are comes from boto3's own settings alone: ``AWS_ENDPOINT_URL_S3``,
``AWS_PROFILE``, ``AWS_ACCESS_KEY_ID``, roles, and so on. This module imports boto3 (half a second), so
it is to be imported only where S3 is used.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import boto3.session
from botocore.config import Config

from storage.errors import ObjectStoreError
from storage.objects.s3_errors import s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONFIG: Final = Config(
    # botocore's is the one layer that retries: nothing above it does.
    retries={"mode": "standard", "total_max_attempts": 4},
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
            return boto3.session.Session().client("s3", config=_CONFIG)
        except ValueError as error:
            raise ObjectStoreError(f"S3: {error}", "check AWS_ENDPOINT_URL_S3") from error


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
