"""Listing a bucket, for the store and for whoever reads buckets of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NotRequired, TypedDict

from botocore.exceptions import ClientError

from storage.errors import ObjectStoreError
from storage.objects.s3_errors import s3_errors, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


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
