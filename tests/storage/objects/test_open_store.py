from __future__ import annotations

from pathlib import Path

import pytest

from stenoflow.storage.errors import StorageError
from stenoflow.storage.objects import StoreUrlError, open_store

SECRET = "AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize("folder", ["plain", "with space", "with%20percent", "ünïcode", "hash#mark?query"])
def test_a_folder_as_it_is_or_encoded(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder
    store = open_store(path.as_uri())
    store.put_bytes("key", b"x")
    assert (path / "key").read_bytes() == b"x"
    assert store.uri("key") == f"{path.as_uri()}/key"
    if "%20" not in folder:
        assert open_store(f"file://{path}").get_bytes("key") == b"x"


def test_localhost_is_this_machine(tmp_path: Path) -> None:
    open_store(f"file://localhost{tmp_path}").put_bytes("key", b"x")
    assert (tmp_path / "key").exists()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/plain/path",
        "relative",
        "file:relative",
        "file://",
        "file://relative/path",
        "file://host/path",
        "file:///nul%00",
        "s3://",
        "s3:///prefix",
        "s3://b",
        "s3://bucket name/prefix",
        "s3://bucket/../other",
        "s3://bucket//prefix",
        f"s3://{SECRET}:secret@bucket/prefix",
        f"https://{SECRET}@example.com/",
    ],
)
def test_other_addresses_are_refused_and_keys_in_them_not_shown(url: str) -> None:
    with pytest.raises(StoreUrlError, match="s3://bucket/prefix") as raised:
        open_store(url)
    assert isinstance(raised.value, StorageError)
    assert SECRET not in str(raised.value)
