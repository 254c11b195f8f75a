"""What S3 and botocore say, in our own errors: what cannot be mended, and what a later try can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError
from urllib3.exceptions import HTTPError

from storage.errors import DiskFullError, ObjectStoreError, StorageError
from storage.objects.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
)

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
