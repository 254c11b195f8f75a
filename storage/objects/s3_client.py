"""The S3 client, its errors in our terms, and listings page by page."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
        client = boto3.session.Session().client("s3", config=_CONFIG)
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


@dataclass(frozen=True, slots=True)
class AwsService:
    """A service that boto3 asks: what to check where it refuses, or does not answer.

    Attributes:
        name: as it ends the variable of its address.
        access_hint: where it refuses us.
    """

    name: str
    access_hint: str

    @property
    def reach_hint(self) -> str:
        """What to check where it does not answer."""
        return f"check AWS_ENDPOINT_URL_{self.name} and the network, then try again"


_S3: Final = AwsService("S3", "check the AWS_* settings, and what they may do in this bucket")
_KEYS_HINT: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_REGION_HINT: Final = "set AWS_DEFAULT_REGION, to eu-west-1 for example; AWS_REGION is not read"

_NO_CREDENTIALS: Final = (
    boto.CredentialRetrievalError,
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
_NO_QUEUE_CODES: Final = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_FULL_CODES: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "507"})


@contextmanager
def s3_errors(uri: str) -> Iterator[None]:
    """Raise ours for what boto3 raises in the block.

    Args:
        uri: what the block is about, for the message.
    """
    with aws_errors(uri, _S3):
        yield


@contextmanager
def aws_errors(what: str, service: AwsService) -> Iterator[None]:
    """Raise ours for what boto3 raises in the block.

    Args:
        what: what the block is about, for the message.
        service: that is asked.
    """
    try:
        yield
    except boto.ClientError as error:
        raise _answered(error, what, service) from error
    except boto.BotoCoreError as error:
        raise _not_answered(error, what, service) from error
    except ResponseParserError as error:
        message = f"{what}: the server does not answer like {service.name}"
        raise ObjectStoreError(message, service.reach_hint) from error
    except (RetriesExceededError, S3DownloadFailedError, HTTPError) as error:
        raise StoreUnavailableError(f"{what} was not read to its end: {error}", service.reach_hint) from error
    except ValueError as error:
        if not str(error).startswith("Invalid endpoint: "):
            raise
        address = _ADDRESS.sub(r"\1", str(error).partition(": ")[2])
        message = f"{what}: {address!r} is no address of a server"
        raise ObjectStoreError(message, f"check AWS_ENDPOINT_URL_{service.name}") from error


def status_of(error: boto.ClientError) -> int:
    """Return the HTTP status of an answer; 0 where it has none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(error: boto.ClientError, uri: str, service: AwsService) -> StorageError:
    """Say what the server's refusal means."""
    said = error.response.get("Error", {})
    code, status = said.get("Code", ""), status_of(error)
    message = " ".join((said.get("Message") or code).split())
    if code in _FULL_CODES:
        return DiskFullError(f"no space left for {uri}: {message}")
    if status in {401, 403}:
        return StoreAccessError(f"access to {uri} denied: {message}", service.access_hint)
    if status == 404 or code in _NO_QUEUE_CODES:
        return _not_found(code, uri, service)
    if status == 412:
        return ObjectExistsError(f"there is something already: {uri}")
    if status == 429 or code in _BUSY_CODES or (status >= 500 and status != 501):
        return StoreUnavailableError(
            f"{uri}: the server cannot serve now: {message} ({status})", service.reach_hint
        )
    return ObjectStoreError(f"{uri}: refused: {message} ({code})")


def _not_found(code: str, uri: str, service: AwsService) -> ObjectNotFoundError:
    if code in _NO_QUEUE_CODES:
        return ObjectNotFoundError(f"{uri} is not there, or not for us", service.access_hint)
    return ObjectNotFoundError(f"no such {'bucket' if code == 'NoSuchBucket' else 'object'}: {uri}")


def _not_answered(error: boto.BotoCoreError, uri: str, service: AwsService) -> StorageError:
    """Say what it means that there is no answer."""
    reason = _ADDRESS.sub(r"\1", " ".join(str(error).split()))
    if isinstance(error, _NO_CREDENTIALS):
        return StoreAccessError(f"access to {uri} failed: {reason}", service.access_hint)
    if isinstance(error, boto.SSLError):  # a wrong certificate stays wrong
        return ObjectStoreError(f"{uri}: {reason}", "check the server's certificate, or AWS_CA_BUNDLE")
    if isinstance(error, _OUT_OF_REACH):
        return StoreUnavailableError(f"{uri} is out of reach: {_silence(error, reason)}", service.reach_hint)
    return _not_asked(error, uri, reason)


def _not_asked(error: boto.BotoCoreError, uri: str, reason: str) -> StorageError:
    """Say which setting kept boto3 from asking; in its own words where we have none."""
    said = _details(error)
    access, hint = "", ""
    match error:
        case boto.NoCredentialsError():
            access, hint = "no credentials are set", _KEYS_HINT
        case boto.PartialCredentialsError():
            access, hint = f"of the credentials, {said.get('cred_var', 'a part')} is missing", _KEYS_HINT
        case boto.ProfileNotFound():
            access = f"there is no profile {said.get('profile')}"
            hint = "check AWS_PROFILE, and the file that AWS_CONFIG_FILE names (~/.aws/config)"
        case boto.NoRegionError():
            reason, hint = "no region is set", _REGION_HINT
        case boto.InvalidRegionError():
            reason, hint = f"{said.get('region_name')!r} is no region", _REGION_HINT
        case boto.ParamValidationError() if "Invalid bucket name" in reason:
            reason, hint = "that is no bucket name", "it has letters, digits, dots and hyphens"
    if access:
        return StoreAccessError(f"access to {uri} failed: {access}", hint)
    return ObjectStoreError(f"{uri}: {reason}", hint)


def _details(error: boto.BotoCoreError) -> dict[str, Any]:
    """Return what boto3 tells of an error beside its message; its stub does not know of it."""
    return dict(getattr(error, "kwargs", {}))


def _silence(error: boto.BotoCoreError, reason: str) -> str:
    """Say in which way a server does not answer."""
    address = _ADDRESS.sub(r"\1", str(_details(error).get("endpoint_url", "")))
    match error:
        case boto.ConnectTimeoutError() | boto.ReadTimeoutError():
            return f"{address} does not answer in time"
        case boto.ProxyConnectionError():
            return "the proxy does not answer"
        case boto.EndpointConnectionError():
            return f"nothing answers at {address}"
    return reason


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
