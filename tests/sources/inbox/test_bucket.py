from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from stenoflow.tasks.errors import SettingsError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources.inbox import open_inbox
from stenoflow.tasks.sources.inbox.bucket import BucketInbox
from stenoflow.tasks.sources.inbox.entry import WriteState
from stenoflow.tasks.sources.inbox.queue import EventQueue, open_queue
from tests.servers.s3 import Bucket


@pytest.fixture
def inbox(bucket: Bucket) -> BucketInbox:
    return BucketInbox(bucket.name, "in/", bucket.get_client)


def test_objects_are_whole_as_soon_as_they_are_there(bucket: Bucket, inbox: BucketInbox) -> None:
    for key in ("in/a.mp3", "in/sub/../b.wav", "in/a.json", "in/c.mp3.part", "elsewhere/d.mp3"):
        bucket.put(key, b"x")
    look = inbox.look()
    assert [entry.path for entry in look.entries] == ["a.mp3", "sub/../b.wav"]
    assert {entry.write_state for entry in look.entries} == {WriteState.WHOLE}
    assert set(look.others) == {"a.json", "c.mp3.part"}
    assert inbox.read("a.json", 10) == b"x"
    assert inbox.read("b.json", 10) is None


def test_new_bytes_under_a_key_are_another_content(bucket: Bucket, inbox: BucketInbox) -> None:
    marks = []
    for data in (b"one", b"two", b"one"):
        bucket.put("in/a.mp3", data)
        marks.append(inbox.look().entries[0].mark)
    assert marks[0] == marks[2] != marks[1]
    found = inbox.find(f"{bucket.url}/in/a.mp3")
    assert found is not None
    assert found.mark == marks[0]


@pytest.mark.parametrize("key", ["in/nothing.mp3", "elsewhere/a.mp3", "in/a.txt", "in/empty.mp3"])
def test_what_is_no_recording_of_the_inbox_is_not_found(bucket: Bucket, inbox: BucketInbox, key: str) -> None:
    bucket.put("elsewhere/a.mp3", b"x")
    bucket.put("in/a.txt", b"x")
    bucket.put("in/empty.mp3", b"")
    assert inbox.find(f"{bucket.url}/{key}") is None


def test_what_is_refused_goes_beside_the_inbox_with_its_reason(bucket: Bucket, inbox: BucketInbox) -> None:
    bucket.put("in/sub/-a b+é.mp3", b"no sound")
    (entry,) = inbox.look().entries
    assert inbox.reject(entry, "it is no sound") == f"{bucket.url}/rejected/sub/-a b+é.mp3"
    listed = bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]
    keys = {each["Key"] for each in listed}
    assert keys == {"rejected/sub/-a b+é.mp3", "rejected/sub/-a b+é.mp3.reason.txt"}


def test_an_inbox_ends_with_a_slash_whether_it_is_given_or_not(bucket: Bucket) -> None:
    assert open_inbox(f"{bucket.url}/in", bucket.get_client).address == f"{bucket.url}/in/"
    assert open_inbox(bucket.url, bucket.get_client).address == f"{bucket.url}/"
    with pytest.raises(SourceNotFoundError):
        open_inbox("s3://no-such-bucket-here", bucket.get_client).look()


@pytest.fixture
def sqs(bucket: Bucket, sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """A queue's URL, and a client for it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs_endpoint)
    client = boto3.session.Session().client("sqs")
    return client.create_queue(QueueName=bucket.name)["QueueUrl"], client


@pytest.fixture
def queue(sqs: tuple[str, Any], inbox: BucketInbox) -> EventQueue:
    return open_queue(sqs[0], inbox)


def _event(bucket: str, key: str) -> str:
    s3 = {"bucket": {"name": bucket}, "object": {"key": key}}
    return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})


def test_an_event_names_what_is_there_now(bucket: Bucket, queue: EventQueue, sqs: tuple[str, Any]) -> None:
    bucket.put("in/town hall.mp3", b"x")
    url, client = sqs
    for body in (_event(bucket.name, "in/town+hall.mp3"), "nonsense", _event("another", "in/a.mp3")):
        client.send_message(QueueUrl=url, MessageBody=body)
    heard = queue.receive()
    assert [[entry.path for entry in each.entries] for each in heard] == [["town hall.mp3"], []]
    for each in heard:
        each.acknowledge()
    counts = client.get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    assert counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_what_is_moved_replaces_nothing_and_takes_along_what_belongs_to_it(
    bucket: Bucket, inbox: BucketInbox
) -> None:
    bucket.put("rejected/talk.mp3", b"refused before")
    bucket.put("done/talk.json", b"somebody's own")
    for key, data in (
        ("talk.mp3", b"sound"),
        ("talk.json", b"{}"),
        ("talk.mp3.rttm", b""),
        ("talks.json", b""),
    ):
        bucket.put(f"in/{key}", data)
    (entry,) = inbox.look().entries
    assert inbox.put_away(entry, f"{bucket.url}/done") == f"{bucket.url}/done/talk (in).mp3"
    bucket.put("in/talk.mp3", b"no sound")
    (entry,) = inbox.look().entries
    assert inbox.reject(entry, "why") == f"{bucket.url}/rejected/talk (in).mp3"
    pages = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
    keys = {each["Key"] for page in pages for each in page["Contents"]}
    assert keys == {
        "done/talk (in).json",
        "done/talk (in).mp3",
        "done/talk (in).mp3.rttm",
        "done/talk.json",
        "in/talks.json",
        "rejected/talk (in).mp3",
        "rejected/talk (in).mp3.reason.txt",
        "rejected/talk.mp3",
    }
    assert bucket.client.get_object(Bucket=bucket.name, Key="done/talk (in).mp3")["Body"].read() == b"sound"
    assert (
        bucket.client.get_object(Bucket=bucket.name, Key="rejected/talk.mp3")["Body"].read()
        == b"refused before"
    )


def test_what_was_replaced_meanwhile_is_not_moved(bucket: Bucket, inbox: BucketInbox) -> None:
    bucket.put("in/talk.mp3", b"one")
    (entry,) = inbox.look().entries
    bucket.put("in/talk.mp3", b"another")
    with pytest.raises(SourceUnreadableError, match="not the same"):
        inbox.put_away(entry, f"{bucket.url}/done/")
    with pytest.raises(SourceUnreadableError, match="not the same"):
        inbox.remove(entry)
    assert inbox.read("talk.mp3", 10) == b"another"


@pytest.mark.parametrize("place", ["s3://{}/in/done/", "done", "file:///done"])
def test_a_place_in_the_inbox_or_of_another_kind_is_refused(
    bucket: Bucket, inbox: BucketInbox, place: str
) -> None:
    with pytest.raises(SettingsError):
        inbox.check_place(place.format(bucket.name))


@pytest.mark.parametrize(
    ("unset", "said"),
    [
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "no credentials are set (set AWS_ACCESS_KEY_ID"),
        (("AWS_SECRET_ACCESS_KEY",), "of the credentials, AWS_SECRET_ACCESS_KEY is missing"),
        (("AWS_DEFAULT_REGION",), "no region is set (set AWS_DEFAULT_REGION"),
        ((), "is not there, or not for us (check its address and region"),
    ],
)
def test_a_queue_that_cannot_be_read_says_what_to_set(
    inbox: BucketInbox,
    sqs: tuple[str, Any],
    unset: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # boto3 does not read it.
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for name in unset:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as raised:
        open_queue(sqs[0] if unset else f"{sqs[0]}-none", inbox)
    assert f"the queue {sqs[0]}" in str(raised.value)
    assert said in str(raised.value)
    for words in ("An error occurred", "Unable to locate", "You must specify"):
        assert words not in str(raised.value)
