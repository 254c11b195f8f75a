"""Listing a bucket, for the store and for whoever reads buckets of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from storage.errors import ObjectStoreError
from storage.objects.s3_errors import s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


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
