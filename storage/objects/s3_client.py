"""The S3 client, its errors in our terms, and listings page by page."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

import boto3.session
from botocore import exceptions as boto
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError
from urllib3.exceptions import HTTPError

from stenoflow.storage.errors import (
    DiskFullError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStoreError,
    StorageError,
    StoreAccessError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


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


_ACCESS_HINT: Final = "check the AWS_* settings, and what they may do in this bucket"
_REACH_HINT: Final = "check AWS_ENDPOINT_URL_S3 and the network, then try again"

_NO_CREDENTIALS: Final = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.SSOError,
)
_OUT_OF_REACH: Final = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
)
# Botocore shows whole requests; the server is what matters, and signatures are nobody's business.
_ADDRESS: Final = re.compile(r"(https?://[^/\s\"]+)[^\s\"]*")
_BUSY_CODES: Final = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "ConditionalRequestConflict",
        "OperationAborted",
    }
)
_FULL_CODES: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "507"})


@contextmanager
def s3_errors(uri: str) -> Iterator[None]:
    """Raise ours for what boto3 raises in the block.

    Args:
        uri: what the block is about, for the message.
    """
    try:
        yield
    except boto.ClientError as error:
        raise _answered(error, uri) from error
    except boto.BotoCoreError as error:
        raise _not_answered(error, uri) from error
    except ResponseParserError as error:
        raise ObjectStoreError(f"{uri}: the server does not answer like S3", _REACH_HINT) from error
    except (RetriesExceededError, S3DownloadFailedError, HTTPError) as error:
        raise StoreUnavailableError(f"{uri} was not read to its end: {error}", _REACH_HINT) from error


def status_of(error: boto.ClientError) -> int:
    """Return the HTTP status of an answer; 0 where it has none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(error: boto.ClientError, uri: str) -> StorageError:
    """Say what the server's refusal means."""
    said = error.response.get("Error", {})
    code, status = said.get("Code", ""), status_of(error)
    message = " ".join((said.get("Message") or code).split())
    if code in _FULL_CODES:
        return DiskFullError(f"no space left for {uri}: {message}")
    if status in {401, 403}:
        return StoreAccessError(f"access to {uri} denied: {message}", _ACCESS_HINT)
    if status == 404:
        return ObjectNotFoundError(f"no such {'bucket' if code == 'NoSuchBucket' else 'object'}: {uri}")
    if status == 412:
        return ObjectExistsError(f"there is something already: {uri}")
    if status == 429 or code in _BUSY_CODES or (status >= 500 and status != 501):
        return StoreUnavailableError(f"{uri}: the server cannot serve now: {message} ({status})", _REACH_HINT)
    return ObjectStoreError(f"{uri}: refused: {message} ({code})")


def _not_answered(error: boto.BotoCoreError, uri: str) -> StorageError:
    """Say what it means that there is no answer."""
    reason = _ADDRESS.sub(r"\1", " ".join(str(error).split()))
    if isinstance(error, _NO_CREDENTIALS):
        return StoreAccessError(f"access to {uri} failed: {reason}", _ACCESS_HINT)
    if isinstance(error, boto.SSLError):  # a wrong certificate stays wrong
        return ObjectStoreError(f"{uri}: {reason}", "check the server's certificate, or AWS_CA_BUNDLE")
    if isinstance(error, _OUT_OF_REACH):
        return StoreUnavailableError(f"{uri} is out of reach: {reason}", _REACH_HINT)
    return ObjectStoreError(f"{uri}: {reason}")


# What servers answer that know no versions.
_KEEPS_NO_VERSIONS = {400, 405, 501}


class Version(TypedDict):
    """What names one version of an object, or its delete marker."""

    Key: str
    VersionId: NotRequired[str]


def list_objects(client: S3Client, bucket: str, prefix: str) -> Iterator[ObjectTypeDef]:
    """Yield what the bucket holds under the prefix, in the order of keys, 1,000 a request.

    Raises:
        ObjectNotFoundError: there is no such bucket.
        ObjectStoreError: and its kinds.
    """
    uri = f"s3://{bucket}/{prefix}"
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    with s3_errors(uri):
        for page in pages:
            if "Name" not in page:  # HTML with status 200 reads as an empty bucket
                raise ObjectStoreError(
                    f"{uri}: the server does not answer like S3", "check AWS_ENDPOINT_URL_S3"
                )
            yield from page.get("Contents", [])


def list_versions(client: S3Client, bucket: str, prefix: str) -> Iterator[Version]:
    """Yield every version and delete marker under the prefix; the objects, where a server keeps no versions.

    Raises:
        ObjectStoreError: and its kinds.
    """
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    found: list[Version] = []
    with s3_errors(f"s3://{bucket}/{prefix}"):
        try:
            for page in pages:
                found += [_version(each["Key"], each["VersionId"]) for each in page.get("Versions", [])]
                found += [_version(each["Key"], each["VersionId"]) for each in page.get("DeleteMarkers", [])]
        except ClientError as error:
            if status_of(error) not in _KEEPS_NO_VERSIONS:
                raise
    if found:
        yield from found
    else:
        yield from (Version(Key=each["Key"]) for each in list_objects(client, bucket, prefix))


def _version(key: str, version: str) -> Version:
    return Version(Key=key, VersionId=version)
