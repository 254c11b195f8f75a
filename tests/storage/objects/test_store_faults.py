"""A store over real HTTP that is busy, loses replies, or has other writers: what was put is there, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stenoflow.storage.objects import ObjectExistsError, ObjectStore, StoreUnavailableError, open_store
from tests.servers.s3 import Bucket, set_aws_environment
from tests.servers.s3_proxy import (
    Exchange,
    Fault,
    S3Proxy,
    conflict,
    cut_reply,
    hang_up,
    lost_reply,
    s3_proxy,
    slow_down,
)


@pytest.fixture
def proxy(bucket: Bucket, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """Stands between the store and the server."""
    assert bucket.name
    with s3_proxy(s3_endpoint) as proxy:
        set_aws_environment(monkeypatch, proxy.url)
        yield proxy


@pytest.fixture
def store(bucket: Bucket, proxy: S3Proxy) -> ObjectStore:
    assert proxy.url
    return open_store(f"{bucket.url}/prefix")


def _content(bucket: Bucket, key: str = "key") -> bytes:
    return bucket.client.get_object(Bucket=bucket.name, Key=f"prefix/{key}")["Body"].read()


@pytest.mark.parametrize("fault", [slow_down, hang_up, lost_reply])
@pytest.mark.parametrize("only_if_absent", [False, True])
def test_a_put_is_done_in_the_end(
    store: ObjectStore, bucket: Bucket, proxy: S3Proxy, fault: Fault, only_if_absent: bool
) -> None:
    proxy.script("PUT", "/key", fault, fault)
    store.put_bytes("key", b"ours", only_if_absent=only_if_absent)
    assert not proxy.left
    assert _content(bucket) == b"ours"


@pytest.mark.parametrize("fault", [slow_down, hang_up])
def test_a_get_is_done_in_the_end(store: ObjectStore, proxy: S3Proxy, tmp_path: Path, fault: Fault) -> None:
    store.put_bytes("key", b"said")
    proxy.script("GET", "/key", fault, fault)
    proxy.script("HEAD", "/key", fault, fault)
    assert store.get_bytes("key") == b"said"
    assert store.exists("key")
    proxy.script("GET", "/key", fault, fault)
    store.fetch("key", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"said"
    assert not proxy.left


def test_what_breaks_off_midway_is_read_again(store: ObjectStore, proxy: S3Proxy, tmp_path: Path) -> None:
    store.put_bytes("key", b"said" * 1000)
    proxy.script("GET", "/key", cut_reply, cut_reply)
    store.fetch("key", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"said" * 1000
    proxy.script("GET", "/key", cut_reply, cut_reply)
    assert store.get_bytes("key") == b"said" * 1000
    assert not proxy.left


def test_a_conflict_of_conditional_puts_is_tried_again(
    store: ObjectStore, bucket: Bucket, proxy: S3Proxy
) -> None:
    proxy.script("PUT", "/key", conflict, conflict)
    store.put_bytes("key", b"ours", only_if_absent=True)
    assert _content(bucket) == b"ours"
    assert proxy.asked("PUT", "/key") == 3


def test_a_put_that_was_stored_unheard_and_conflicts_with_itself_is_ours(
    store: ObjectStore, bucket: Bucket, proxy: S3Proxy
) -> None:
    proxy.script("PUT", "/key", lost_reply, conflict)
    store.put_bytes("key", b"ours", only_if_absent=True)
    assert _content(bucket) == b"ours"


def test_conflicts_without_an_end_are_an_error(store: ObjectStore, proxy: S3Proxy) -> None:
    proxy.script("PUT", "/key", *[conflict] * 9)
    with pytest.raises(StoreUnavailableError, match=r"\(409\)"):
        store.put_bytes("key", b"ours", only_if_absent=True)
    assert proxy.asked("PUT", "/key") == 4


@pytest.mark.parametrize("theirs", [b"theirs", b"ours"])
def test_of_two_writers_the_second_is_told(
    store: ObjectStore, bucket: Bucket, proxy: S3Proxy, theirs: bytes
) -> None:
    def another_first(exchange: Exchange) -> None:
        """After we looked, and before our put comes in."""
        bucket.put("prefix/key", theirs)
        exchange.answer(exchange.forward())

    proxy.script("PUT", "/key", another_first)
    with pytest.raises(ObjectExistsError):
        store.put_bytes("key", b"ours", only_if_absent=True)
    assert _content(bucket) == theirs


@pytest.mark.parametrize(("theirs", "taken"), [(b"theirs", True), (b"ours", False)])
def test_after_a_try_without_a_reply_the_content_tells_whose_it_is(
    store: ObjectStore, bucket: Bucket, proxy: S3Proxy, theirs: bytes, taken: bool
) -> None:
    def another_meanwhile(exchange: Exchange) -> None:
        bucket.put("prefix/key", theirs)
        exchange.hang_up()

    proxy.script("PUT", "/key", another_meanwhile)
    try:
        store.put_bytes("key", b"ours", only_if_absent=True)
    except ObjectExistsError:
        assert taken
    else:
        assert not taken
    assert _content(bucket) == theirs


def test_a_server_whose_etags_are_no_digests_knows_what_is_ours(
    store: ObjectStore, bucket: Bucket, proxy: S3Proxy
) -> None:
    """As in buckets that are encrypted with keys of KMS."""

    def other_etag(exchange: Exchange) -> None:
        reply = exchange.forward()
        headers = [(name, value) for name, value in reply.headers if name.lower() != "etag"]
        exchange.answer(type(reply)(reply.status, [*headers, ("ETag", f'"{"0" * 32}"')], reply.body))

    proxy.script("HEAD", "/key", lambda exchange: exchange.answer(exchange.forward()), other_etag)
    proxy.script("PUT", "/key", lost_reply)
    store.put_bytes("key", b"ours", only_if_absent=True)
    assert _content(bucket) == b"ours"
