"""Objects in a bucket of S3, or of any server that speaks it."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from stenoflow.storage.errors import ObjectExistsError, ObjectNotFoundError
from stenoflow.storage.objects.contract import OCTETS, ObjectInfo, check_key, check_prefix
from stenoflow.storage.objects.local import atomic_file, file_errors
from stenoflow.storage.objects.s3_client import list_objects, list_versions, s3_errors, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef


# Four parts of 8 MiB at a time fill a fast line, and bound the memory to 32 MiB.
_PARALLEL: Final = TransferConfig(
    multipart_threshold=16 << 20, multipart_chunksize=8 << 20, max_concurrency=4
)


class S3Store:
    """An object store in a bucket.

    Args:
        client: from `stenoflow.storage.objects.s3_client`.
        bucket: its name; the bucket must be there.
        prefix: under which all keys lie, without a slash at its end; may be empty.
    """

    def __init__(self, client: S3Client, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._start = f"{prefix}/" if prefix else ""

    def check(self) -> None:
        """Raise unless the bucket is there and may be listed; writing is not tried."""
        next(list_objects(self._client, self._bucket, self._start), None)

    def put_file(
        self, key: str, path: Path, *, content_type: str = OCTETS, only_if_absent: bool = False
    ) -> None:
        """Upload a file, a large one in parts.

        With ``only_if_absent`` in one piece, as boto3's upload in parts takes no condition: 5 GB at most.
        """
        with file_errors("read", path), path.open("rb") as source:
            if only_if_absent or os.fstat(source.fileno()).st_size < _PARALLEL.multipart_threshold:
                self._put(key, source, content_type, only_if_absent=only_if_absent)
            else:
                self._put_parts(key, source, content_type)

    def put_bytes(
        self, key: str, data: bytes, *, content_type: str = OCTETS, only_if_absent: bool = False
    ) -> None:
        """Upload bytes; see `ObjectStore.put_bytes`."""
        self._put(key, io.BytesIO(data), content_type, only_if_absent=only_if_absent)

    def get_bytes(self, key: str) -> bytes:
        """Return an object's content."""
        name, content = self._name(key), io.BytesIO()
        with s3_errors(self.uri(key)):
            # Unlike get_object, it reads again what breaks off midway.
            self._client.download_fileobj(self._bucket, name, content, Config=_PARALLEL)
        return content.getvalue()

    def fetch(self, key: str, path: Path) -> None:
        """Download an object, a large one in parts; see `ObjectStore.fetch`."""
        name = self._name(key)
        with atomic_file(path) as target, s3_errors(self.uri(key)):
            self._client.download_fileobj(self._bucket, name, target, Config=_PARALLEL)

    def stat(self, key: str) -> ObjectInfo:
        """Return size and etag."""
        name = self._name(key)
        with s3_errors(self.uri(key)):
            found = self._client.head_object(Bucket=self._bucket, Key=name)
        return ObjectInfo(key, found["ContentLength"], found.get("ETag", "").strip('"'))

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        try:
            self.stat(key)
        except ObjectNotFoundError:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with the prefix, in order; asks for 1,000 at a time."""
        check_prefix(prefix)
        return self._listed(self._start + prefix)

    def delete(self, key: str) -> None:
        """Remove an object; in a bucket with versions, the latest version."""
        name = self._name(key)
        with s3_errors(self.uri(key)):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def erase(self, prefix: str) -> int:
        """Remove all objects whose keys start with the prefix, with all their versions and delete markers."""
        check_prefix(prefix)
        erased = 0
        for found in list_versions(self._client, self._bucket, self._start + prefix):
            with s3_errors(f"s3://{self._bucket}/{found['Key']}"):
                self._client.delete_object(Bucket=self._bucket, **found)
            erased += 1
        return erased

    def uri(self, key: str) -> str:
        """Return ``s3://bucket/prefix/key``, not encoded, as all tools of S3 write it."""
        return f"s3://{self._bucket}/{self._name(key)}"

    def _name(self, key: str) -> str:
        check_key(key)
        return self._start + key

    def _listed(self, start: str) -> Iterator[str]:
        for found in list_objects(self._client, self._bucket, start):
            if not found["Key"].endswith("/"):  # those that consoles make to show a folder
                yield found["Key"].removeprefix(self._start)

    def _put_parts(self, key: str, source: io.BufferedReader, content_type: str) -> None:
        name = self._name(key)
        with s3_errors(self.uri(key)):
            self._client.upload_fileobj(
                source, self._bucket, name, ExtraArgs={"ContentType": content_type}, Config=_PARALLEL
            )

    def _put(
        self, key: str, body: io.BufferedReader | io.BytesIO, content_type: str, *, only_if_absent: bool
    ) -> None:
        digest = hashlib.file_digest(body, lambda: hashlib.md5(usedforsecurity=False)).digest()
        body.seek(0)
        request: PutObjectRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": self._name(key),
            "Body": body,
            "ContentType": content_type,
            # The one checksum that every server has: it refuses a body that was spoilt on its way.
            "ContentMD5": base64.b64encode(digest).decode(),
        }
        if only_if_absent:
            self._refuse_taken(key)  # some servers ignore the condition without a word
            request["IfNoneMatch"] = "*"
        with s3_errors(self.uri(key)):
            try:
                self._client.put_object(**request)
            except ClientError as error:
                if status_of(error) == 501 and request.pop("IfNoneMatch", ""):  # others refuse it
                    body.seek(0)
                    self._client.put_object(**request)
                elif not (_lost_reply(error) and self._holds(key, digest)):
                    raise

    def _holds(self, key: str, digest: bytes) -> bool:
        """Tell whether what is there has this MD5."""
        if self.stat(key).etag == digest.hex():
            return True
        # The etag need not be one: where keys of KMS encrypt, it is something else.
        return hashlib.md5(self.get_bytes(key), usedforsecurity=False).digest() == digest

    def _refuse_taken(self, key: str) -> None:
        if self.exists(key):
            raise ObjectExistsError(f"there is something already: {self.uri(key)}")


def _lost_reply(error: ClientError) -> bool:
    """Tell whether what is there already may be ours: stored by a first try whose reply went missing."""
    tries = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
    return status_of(error) == 412 and tries > 0
