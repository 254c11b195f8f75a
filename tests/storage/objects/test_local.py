from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from stenoflow.storage.errors import DiskFullError, ObjectStoreError
from stenoflow.storage.objects import StoreAccessError
from stenoflow.storage.objects.local import LocalStore
from tests.storage.objects.unprivileged import no_permission

WRITE_AND_WAIT = """
import sys
from pathlib import Path
from stenoflow.storage.objects.local import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow past a size for the block, as if the disk were full there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_put_that_fails_midway_leaves_nothing(store: LocalStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(4 << 20))
    with largest_file(2 << 20), pytest.raises(DiskFullError, match="folder/key"):
        store.put_file("folder/key", source)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_put_that_fails_midway_keeps_what_was_there(store: LocalStore) -> None:
    store.put_bytes("key", b"old")
    with largest_file(1 << 20), pytest.raises(DiskFullError):
        store.put_bytes("key", bytes(2 << 20))
    assert store.get_bytes("key") == b"old"
    assert list(store.list()) == ["key"]


def test_a_killed_put_leaves_nothing_under_the_key(store: LocalStore, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(tmp_path / "store" / "key")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        child.kill()
    assert not store.exists("key")
    assert list(store.list()) == []
    store.put_bytes("key", b"whole")
    assert list(store.list()) == ["key"]


def test_without_permission(store: LocalStore, tmp_path: Path) -> None:
    store.put_bytes("a/b", b"x")
    with no_permission(tmp_path / "store"):
        for act in (
            lambda: store.put_bytes("a/c", b"x"),
            lambda: store.get_bytes("a/b"),
            lambda: store.exists("a/b"),
            lambda: store.delete("a/b"),
            lambda: list(store.list()),
            store.check,
        ):
            with pytest.raises(StoreAccessError, match="permission denied"):
                act()
    assert store.get_bytes("a/b") == b"x"


def test_a_store_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore(tmp_path / "file" / "store")
    with pytest.raises(ObjectStoreError, match="not a directory"):
        store.check()
    assert list(store.list()) == []


def test_a_key_cannot_be_the_folder_of_another(store: LocalStore) -> None:
    store.put_bytes("a/b", b"x")
    with pytest.raises(ObjectStoreError, match="folder"):
        store.put_bytes("a", b"x")
    with pytest.raises(ObjectStoreError, match="not a directory"):
        store.put_bytes("a/b/c", b"x")
    assert list(store.list()) == ["a/b"]


def test_puts_and_deletes_in_one_folder_at_once(store: LocalStore) -> None:
    def put_and_delete(number: int) -> None:
        for _ in range(60):
            store.put_bytes(f"deep/er/{number}", b"x")
            store.delete(f"deep/er/{number}")

    with ThreadPoolExecutor(2) as pool:  # two collide more often than many
        list(pool.map(put_and_delete, range(2)))
    assert list(store.list()) == []


def test_deleting_leaves_no_empty_folders(store: LocalStore, tmp_path: Path) -> None:
    store.put_bytes("a/b/c", b"x")
    store.put_bytes("a/d", b"x")
    store.delete("a/b/c")
    assert list((tmp_path / "store" / "a").iterdir()) == [tmp_path / "store" / "a" / "d"]
    store.delete("a/d")
    assert list((tmp_path / "store").iterdir()) == []


def test_the_umask_decides_who_may_read(store: LocalStore, tmp_path: Path) -> None:
    # Unless the folder is its owner's alone.
    (tmp_path / "store").mkdir(exist_ok=True)
    (tmp_path / "store").chmod(0o755)
    before = os.umask(0o027)
    try:
        store.put_bytes("key", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "store" / "key").stat().st_mode & 0o777 == 0o640


def test_the_uri_is_the_files(store: LocalStore, tmp_path: Path) -> None:
    assert store.uri("a b/%c") == f"{tmp_path.as_uri()}/store/a%20b/%25c"
