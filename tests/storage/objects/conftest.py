from __future__ import annotations

from pathlib import Path

import pytest

from stenoflow.storage.objects import ObjectStore, open_store
from tests.servers.s3 import Bucket


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each provider in turn."""
    if request.param == "local":
        return open_store((tmp_path / "store").as_uri())
    bucket: Bucket = request.getfixturevalue("bucket")
    return open_store(f"{bucket.url}/some/prefix", bucket.get_client)
