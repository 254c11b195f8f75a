from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from urllib3 import HTTPResponse

from stenoflow.storage.errors import DiskFullError, ObjectStoreError
from stenoflow.storage.objects import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
    open_store,
)
from stenoflow.storage.objects.s3 import S3Store
from stenoflow.storage.objects.s3_client import LazyClient, make_client
from tests.servers.s3 import Bucket, set_aws_environment
from tests.storage.objects.answering import answering

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NOWHERE = "http://127.0.0.1:1"  # nothing listens there
_CONDITION = "If-None-Match"


def test_the_environment_says_where_the_store_is(bucket: Bucket) -> None:
    store = open_store(f"{bucket.url}/pre/fix/")
    store.put_bytes("key", b"x")
    assert store.uri("key") == f"{bucket.url}/pre/fix/key"
    found = bucket.client.get_object(Bucket=bucket.name, Key="pre/fix/key")
    assert found["Body"].read() == b"x"


def test_a_store_without_prefix(bucket: Bucket) -> None:
    store = open_store(bucket.url, bucket.get_client)
    store.put_bytes("key", b"x")
    assert list(store.list()) == ["key"]
    assert store.uri("key") == f"{bucket.url}/key"


def test_content_types_are_kept(bucket: Bucket, tmp_path: Path) -> None:
    store = S3Store(bucket.client, bucket.name)
    (tmp_path / "large").write_bytes(bytes(17 << 20))
    store.put_bytes("a.vtt", b"WEBVTT", content_type="text/vtt")
    store.put_file("large", tmp_path / "large", content_type="audio/flac")
    types = [bucket.client.head_object(Bucket=bucket.name, Key=k)["ContentType"] for k in ("a.vtt", "large")]
    assert types == ["text/vtt", "audio/flac"]


def test_an_upload_in_parts_that_fails_midway_leaves_nothing(bucket: Bucket, tmp_path: Path) -> None:
    client, source = make_client(), tmp_path / "large"
    source.write_bytes(bytes(40 << 20))

    def fail_the_third(request: AWSPreparedRequest) -> AWSResponse | None:
        return _reply(403, "AccessDenied") if "partNumber=3" in request.url else None

    _before(client, "UploadPart", fail_the_third)
    with pytest.raises(StoreAccessError):
        S3Store(client, bucket.name).put_file("large", source)

    assert not S3Store(bucket.client, bucket.name).exists("large")
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.name)


def test_all_versions_of_what_is_erased_are_gone(bucket: Bucket) -> None:
    versioned = {"Status": "Enabled"}
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioned)  # type: ignore[arg-type]
    store = open_store(f"{bucket.url}/p", bucket.get_client)
    for number in range(7):
        store.put_bytes("r1/a.txt", str(number).encode())
    store.put_bytes("r1/b.txt", b"b")
    store.delete("r1/b.txt")
    store.put_bytes("r2/a.txt", b"other")
    assert store.erase("r1/") == 7 + 2
    left = bucket.client.list_object_versions(Bucket=bucket.name)
    assert [each["Key"] for each in left["Versions"]] == ["p/r2/a.txt"]
    assert left.get("DeleteMarkers", []) == []


def test_folders_that_consoles_make_are_not_listed(bucket: Bucket) -> None:
    bucket.put("folder/", b"")
    bucket.put("folder/file", b"x")
    assert list(S3Store(bucket.client, bucket.name).list()) == ["folder/file"]


class TestConditionalPut:
    def test_a_server_that_refuses_the_condition(self, bucket: Bucket) -> None:
        store = self._store(
            bucket, lambda request: _reply(501, "NotImplemented") if _condition(request) else None
        )
        store.put_bytes("key", b"first", only_if_absent=True)
        with pytest.raises(ObjectExistsError):
            store.put_bytes("key", b"second", only_if_absent=True)
        assert store.get_bytes("key") == b"first"

    def test_a_server_that_ignores_the_condition(self, bucket: Bucket) -> None:
        def forget(params: dict[str, Any], **_: Any) -> None:
            del params["headers"][_CONDITION]

        client = make_client()
        # Before it is signed: a real server would not believe it afterwards.
        client.meta.events.register("before-call.s3.PutObject", forget)
        store = S3Store(client, bucket.name)
        store.put_bytes("key", b"first", only_if_absent=True)
        with pytest.raises(ObjectExistsError):
            store.put_bytes("key", b"second", only_if_absent=True)

    def test_a_reply_that_was_lost(self, bucket: Bucket) -> None:
        store = self._store(bucket, self._stored_but_not_told(bucket, b"ours"))
        store.put_bytes("key", b"ours", only_if_absent=True)
        assert store.get_bytes("key") == b"ours"

    def test_a_reply_that_was_lost_while_another_came_first(self, bucket: Bucket) -> None:
        store = self._store(bucket, self._stored_but_not_told(bucket, b"theirs"))
        with pytest.raises(ObjectExistsError):
            store.put_bytes("key", b"ours", only_if_absent=True)
        assert store.get_bytes("key") == b"theirs"

    @staticmethod
    def _store(bucket: Bucket, on_put: Callable[[AWSPreparedRequest], AWSResponse | None]) -> S3Store:
        client = make_client()
        _before(client, "PutObject", on_put)
        return S3Store(client, bucket.name)

    @staticmethod
    def _stored_but_not_told(
        bucket: Bucket, data: bytes
    ) -> Callable[[AWSPreparedRequest], AWSResponse | None]:
        tries: list[int] = []

        def on_put(_: AWSPreparedRequest) -> AWSResponse | None:
            tries.append(1)
            if len(tries) > 1:
                return None
            bucket.put("key", data)
            return _reply(500, "InternalError")

        return on_put


class TestErrors:
    def test_no_such_bucket(self, bucket: Bucket) -> None:
        store = open_store("s3://there-is-no-such-bucket", bucket.get_client)
        for act in (store.check, lambda: store.put_bytes("a", b""), lambda: list(store.list())):
            with pytest.raises(ObjectNotFoundError, match="no such bucket"):
                act()

    def test_an_endpoint_where_nobody_listens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_aws_environment(monkeypatch, NOWHERE)
        store = open_store("s3://bucket/prefix")
        with pytest.raises(StoreUnavailableError, match=NOWHERE) as raised:
            store.check()
        assert "AWS_ENDPOINT_URL_S3" in raised.value.hint

    @pytest.mark.parametrize(
        ("status", "code", "error", "requests"),
        [
            (403, "AccessDenied", StoreAccessError, 1),
            (403, "SignatureDoesNotMatch", StoreAccessError, 1),
            (400, "InvalidRequest", ObjectStoreError, 1),
            (500, "InternalError", StoreUnavailableError, 4),
            (409, "ConditionalRequestConflict", StoreUnavailableError, 1),
            (507, "XMinioStorageFull", DiskFullError, 1),
            (200, "", ObjectStoreError, 1),
        ],
    )
    def test_what_a_server_may_answer(
        self, monkeypatch: pytest.MonkeyPatch, status: int, code: str, error: type[Exception], requests: int
    ) -> None:
        with answering(status, code, "that is so") as server:
            set_aws_environment(monkeypatch, server.url)
            with pytest.raises(error) as raised:
                list(open_store("s3://bucket").list())
        assert type(raised.value) is error
        assert "s3://bucket/" in str(raised.value)
        assert server.requests == requests

    @pytest.mark.parametrize(
        ("name", "value", "error", "said"),
        [
            ("AWS_PROFILE", "nobody", StoreAccessError, "nobody"),
            ("AWS_ENDPOINT_URL_S3", "not a url", ObjectStoreError, "not a url"),
            ("AWS_DEFAULT_REGION", "no region", ObjectStoreError, "'no region' is no region"),
        ],
    )
    def test_settings_that_make_no_sense(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, error: type[Exception], said: str
    ) -> None:
        set_aws_environment(monkeypatch, NOWHERE)
        monkeypatch.setenv(name, value)
        with pytest.raises(error, match=said):
            open_store("s3://bucket")

    def test_no_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_aws_environment(monkeypatch, NOWHERE)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StoreAccessError, match="no credentials are set") as raised:
            open_store("s3://bucket").check()
        assert "AWS_ACCESS_KEY_ID" in raised.value.hint


def test_a_lazy_client_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    set_aws_environment(monkeypatch, NOWHERE)
    client = LazyClient()
    assert client() is client()


def _condition(request: AWSPreparedRequest) -> bool:
    return _CONDITION in request.headers


def _before(
    client: S3Client, operation: str, act: Callable[[AWSPreparedRequest], AWSResponse | None]
) -> None:
    """Let the function see each request before it is sent, or answer in the server's place."""
    events: Any = client.meta.events  # its stub does not know that handlers may answer
    events.register(f"before-send.s3.{operation}", lambda request, **_: act(request))


def _reply(status: int, code: str) -> AWSResponse:
    body = f"<Error><Code>{code}</Code><Message>made up</Message></Error>".encode()
    raw = HTTPResponse(io.BytesIO(body), preload_content=False)
    return AWSResponse("http://127.0.0.1", status, HTTPHeaders(), raw)
