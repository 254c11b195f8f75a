"""What every object store must do; a new provider joins in `conftest.py`."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stenoflow.storage.errors import ObjectStoreError, StenoflowError
from stenoflow.storage.objects import BadKeyError, ObjectExistsError, ObjectNotFoundError, ObjectStore

LARGE = 20 << 20  # more than one part of an upload in parts

KEYS = [
    "a",
    "meeting 1/job/transcript.txt",
    "ümläut/会議.json",
    "-dash",
    "a%20b+c&d=e#f?g",
    "%03d:colon",
    "..dots/.hidden",
    "/".join(["n" * 255] * 3),
]
BAD_KEYS = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "./a",
    "nul\0",
    "new\nline",
    "\x7f",
    "\udce9",
    "k" * 256,
    ".stenoflow-x",
]


@pytest.mark.parametrize("key", KEYS)
def test_what_was_put_comes_back(store: ObjectStore, key: str, tmp_path: Path) -> None:
    store.put_bytes(key, b"said")

    assert store.get_bytes(key) == b"said"
    assert store.exists(key)
    assert store.stat(key).size == 4
    assert store.stat(key).key == key
    assert list(store.list()) == [key]
    store.fetch(key, tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == b"said"
    store.delete(key)
    assert not store.exists(key)
    assert list(store.list()) == []


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused_everywhere(store: ObjectStore, key: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    actions: list[Callable[[], object]] = [
        lambda: store.put_bytes(key, b"x"),
        lambda: store.put_file(key, source),
        lambda: store.get_bytes(key),
        lambda: store.fetch(key, tmp_path / "out"),
        lambda: store.stat(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.uri(key),
    ]
    for act in actions:
        with pytest.raises(BadKeyError):
            act()
    assert list(store.list()) == []


@pytest.mark.parametrize("prefix", ["../", "/", "a/../", "nul\0"])
def test_bad_prefixes_are_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(BadKeyError):
        store.list(prefix)


@pytest.mark.parametrize("size", [0, 1, LARGE], ids=["empty", "one byte", "large"])
def test_files_of_any_size(store: ObjectStore, size: int, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(random.Random(size).randbytes(size))

    store.put_file("folder/file", source, content_type="audio/mpeg")

    assert store.stat("folder/file").size == size
    store.fetch("folder/file", tmp_path / "copy")
    digests = {hashlib.sha256(p.read_bytes()).digest() for p in (source, tmp_path / "copy")}
    assert len(digests) == 1


def test_a_put_replaces_and_changes_the_etag(store: ObjectStore) -> None:
    store.put_bytes("a", b"first")
    before = store.stat("a")
    store.put_bytes("a", b"and second")

    assert store.get_bytes("a") == b"and second"
    assert store.stat("a").size == 10
    assert before.etag
    assert store.stat("a").etag != before.etag


def test_only_if_absent(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    store.put_bytes("claim", b"mine", only_if_absent=True)

    with pytest.raises(ObjectExistsError):
        store.put_bytes("claim", b"mine", only_if_absent=True)
    with pytest.raises(ObjectExistsError):
        store.put_file("claim", source, only_if_absent=True)
    assert store.get_bytes("claim") == b"mine"

    store.delete("claim")
    store.put_file("claim", source, only_if_absent=True)
    assert store.get_bytes("claim") == b"from a file"


def test_of_many_claims_one_wins(store: ObjectStore) -> None:
    def claim(number: int) -> bool:
        try:
            store.put_bytes("claims/one", str(number).encode(), only_if_absent=True)
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(40)))
    assert won.count(True) == 1
    assert store.get_bytes("claims/one") == str(won.index(True)).encode()


def test_what_is_not_there(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes("folder/file", b"x")
    for key in ("nothing", "folder", "folder/nothing", "folder/file/below"):
        assert not store.exists(key)
        for act in (store.get_bytes, store.stat):
            with pytest.raises(ObjectNotFoundError, match=key):
                act(key)
        with pytest.raises(ObjectNotFoundError, match=key):
            store.fetch(key, tmp_path / "out" / "copy")
        store.delete(key)
    assert not (tmp_path / "out" / "copy").exists()
    assert store.get_bytes("folder/file") == b"x"


def test_listing_is_by_prefix_and_in_order(store: ObjectStore, request: pytest.FixtureRequest) -> None:
    in_order: Callable[[Iterable[str]], list[str]] = list
    if "seaweedfs" in request.node.callspec.id:
        in_order = sorted  # it keeps folders, and lists what is in them where they stand
    keys = ["a.txt", "a/b", "a/b.json", "a/b/c", "ab", "a-b", "é/x", "z", "\U0001f399", "\uffee"]
    keys.remove("a/b")  # the folder of a/b/c
    for key in keys:
        store.put_bytes(key, b"")

    assert in_order(store.list()) == sorted(keys)
    assert in_order(store.list("a/")) == ["a/b.json", "a/b/c"]
    assert in_order(store.list("a/b")) == ["a/b.json", "a/b/c"]
    assert in_order(store.list("a")) == ["a-b", "a.txt", "a/b.json", "a/b/c", "ab"]
    assert in_order(store.list("nothing/")) == []


def test_a_listing_longer_than_a_page(store: ObjectStore) -> None:
    keys = [f"many/{number:04}" for number in range(24)]
    for key in keys:
        store.put_bytes(key, b"")
    assert list(store.list("many/")) == keys


def test_a_source_that_is_not_there_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    for bad in (tmp_path / "missing", tmp_path):
        with pytest.raises(ObjectStoreError, match=str(bad)):
            store.put_file("key", bad)
    assert list(store.list()) == []


def test_a_failed_fetch_leaves_the_file_as_it_was(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    kept = tmp_path / "here" / "kept"
    kept.write_bytes(b"old")
    with pytest.raises(ObjectNotFoundError):
        store.fetch("missing", kept)
    assert kept.read_bytes() == b"old"
    assert list(kept.parent.iterdir()) == [kept]


def test_check_passes_and_leaves_nothing(store: ObjectStore) -> None:
    store.check()
    assert list(store.list()) == []


def test_errors_say_what_happened_in_one_line(store: ObjectStore) -> None:
    with pytest.raises(StenoflowError) as raised:
        store.get_bytes("missing/thing")
    assert "missing/thing" in raised.value.message
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 3


def test_what_is_erased_is_gone_and_the_rest_is_not(store: ObjectStore) -> None:
    for key in ("r1/j1/a.txt", "r1/j1/b.txt", "r1/j2/a.txt", "r10/j1/a.txt", "r2/a"):
        store.put_bytes(key, b"said")
    assert store.erase("r1/") == 3
    assert list(store.list()) == ["r10/j1/a.txt", "r2/a"]
    assert store.erase("r1/") == 0
