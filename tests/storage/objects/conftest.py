from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stenoflow.storage.objects import ObjectStore, open_store
from tests.servers.s3 import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(params=["local", "s3", pytest.param("seaweedfs", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each provider in turn."""
    if request.param == "local":
        return open_store((tmp_path / "store").as_uri())
    if request.param == "seaweedfs":
        client: S3Client = request.getfixturevalue("seaweedfs_client")
        name = f"bucket-{secrets.token_hex(6)}"
        client.create_bucket(Bucket=name)
        return open_store(f"s3://{name}/some/prefix", lambda: client)
    bucket: Bucket = request.getfixturevalue("bucket")
    return open_store(f"{bucket.url}/some/prefix", bucket.get_client)
