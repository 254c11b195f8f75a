from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from stenoflow.tasks.errors import NotAudioError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources import Source, fetch, resolve
from tests.servers.s3 import Bucket, set_aws_environment

KEYS = [
    "a b+c&d=e.mp3",
    "a%20b.mp3",
    "deep/er/会议 🎙.mp3",
    "-dash.mp3",
    "%03d:x.mp3",
    "#hash?query.mp3",
    "concat:a|b.mp3",
    "double//slash.mp3",
    "k" * 1020 + ".mp3",
]


def test_one_object_is_taken_whatever_its_name(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("meeting", b"sound")
    [source] = resolve(f"{bucket.url}/meeting")
    assert source == Source(f"{bucket.url}/meeting", "meeting", hashlib.md5(b"sound").hexdigest(), 5)  # noqa: S324
    fetched = fetch(source, tmp_path / "work")
    assert fetched.path.read_bytes() == b"sound"
    assert fetched.sha256 == hashlib.sha256(b"sound").hexdigest()
    assert fetched.size == 5


@pytest.mark.parametrize("key", KEYS)
def test_hostile_keys(bucket: Bucket, tmp_path: Path, key: str) -> None:
    bucket.put(key, b"sound")
    [source] = resolve(f"{bucket.url}/{key}", bucket.get_client)
    assert resolve(f"{bucket.url}/", bucket.get_client) == [source]
    assert resolve(source.uri, bucket.get_client) == [source]
    fetched = fetch(source, tmp_path / "work", bucket.get_client)
    assert fetched.path.parent == tmp_path / "work"
    assert fetched.path.read_bytes() == b"sound"
    assert len(source.name.encode()) <= 200


def test_a_prefix_means_all_recordings_under_it(bucket: Bucket) -> None:
    for key in ("in/b.mp3", "in/a.WAV", "in/deep/c.mkv", *(f"in/many/{n}.ogg" for n in range(7))):
        bucket.put(key, b"sound")
    for key in (
        "in/",
        "in/notes.txt",
        "in/.hidden.mp3",
        "in/.x/a.mp3",
        "in/d.mp3.part",
        "inbox/e.mp3",
        "f.mp3",
    ):
        bucket.put(key, b"sound")
    found = [
        source.uri.removeprefix(f"{bucket.url}/in/")
        for source in resolve(f"{bucket.url}/in/", bucket.get_client)
    ]
    assert found == ["a.WAV", "b.mp3", "deep/c.mkv", *(f"many/{n}.ogg" for n in range(7))]
    assert len(resolve(bucket.url, bucket.get_client)) == len(found) + 2
    assert len(resolve(f"S3{bucket.url.removeprefix('s3')}/in/", bucket.get_client)) == len(found)


def test_an_empty_one_among_many_spoils_only_itself(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("a.mp3", b"")
    bucket.put("b.mp3", b"sound")
    empty, good = resolve(f"{bucket.url}/", bucket.get_client)
    with pytest.raises(NotAudioError, match="0 bytes"):
        fetch(empty, tmp_path, bucket.get_client)
    assert fetch(good, tmp_path, bucket.get_client).size == 5


def test_what_is_not_there(bucket: Bucket) -> None:
    bucket.put("in/a.mp3", b"sound")
    with pytest.raises(SourceNotFoundError, match="no such object") as raised:
        resolve(f"{bucket.url}/in", bucket.get_client)
    assert "slash" in raised.value.hint
    with pytest.raises(SourceNotFoundError, match="no recordings in") as raised:
        resolve(f"{bucket.url}/other/", bucket.get_client)
    assert ".mp3" in raised.value.hint
    for uri in ("s3://no-such-bucket/a.mp3", "s3://no-such-bucket/in/"):
        with pytest.raises(SourceNotFoundError, match="no such bucket"):
            resolve(uri, bucket.get_client)
    for uri in ("s3://", "s3:///a.mp3", f"{bucket.url}/latin-\udce9.mp3", f"{bucket.url}/nul\0.mp3"):
        with pytest.raises(SourceNotFoundError):
            resolve(uri, bucket.get_client)


def test_an_empty_object(bucket: Bucket) -> None:
    bucket.put("a.mp3", b"")
    with pytest.raises(NotAudioError, match="0 bytes"):
        resolve(f"{bucket.url}/a.mp3", bucket.get_client)


def test_a_name_that_no_bucket_can_have() -> None:
    with pytest.raises(SourceUnreadableError, match="bucket name") as raised:
        resolve("s3://no bucket/a.mp3")
    assert len(str(raised.value).splitlines()) == 1


def test_access_denied(bucket: Bucket) -> None:
    bucket.put("a.mp3", b"sound")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{bucket.name}/*",
    }
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps({"Statement": [statement]}))
    with pytest.raises(SourceUnreadableError, match="denied") as raised:
        resolve(f"{bucket.url}/a.mp3", bucket.get_client)
    assert "AWS_" in raised.value.hint


@pytest.mark.parametrize("uri", ["s3://bucket/a.mp3", "s3://bucket/in/"])
def test_a_server_out_of_reach(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    set_aws_environment(monkeypatch, "http://127.0.0.1:1")
    with pytest.raises(SourceUnreadableError, match=r"http://127\.0\.0\.1:1"):
        resolve(uri)


def test_an_object_that_was_replaced_or_removed_meanwhile(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("a.mp3", b"first")
    [source] = resolve(f"{bucket.url}/a.mp3", bucket.get_client)
    bucket.put("a.mp3", b"other")
    with pytest.raises(SourceUnreadableError, match="replaced"):
        fetch(source, tmp_path, bucket.get_client)
    bucket.client.delete_object(Bucket=bucket.name, Key="a.mp3")
    with pytest.raises(SourceNotFoundError):
        fetch(source, tmp_path, bucket.get_client)


def test_what_is_there_whole_is_not_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("a.mp3", b"sound")
    [source] = resolve(f"{bucket.url}/a.mp3", bucket.get_client)
    first = fetch(source, tmp_path, bucket.get_client)
    bucket.client.delete_object(Bucket=bucket.name, Key="a.mp3")
    assert fetch(source, tmp_path, bucket.get_client) == first
