from __future__ import annotations

import json
from typing import Any

import pytest

from stenoflow.tasks.sources.inbox.queue import read_event


def record(key: str, event: str = "ObjectCreated:Put", bucket: str = "meetings") -> dict[str, Any]:
    return {"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key, "eTag": "x"}}}


def keys(body: object) -> list[str]:
    return [named.keys[0] for named in read_event(json.dumps(body))]


def test_events_of_s3_itself() -> None:
    body = {"Records": [record("a.mp3"), record("b.mp3", "s3:ObjectCreated:CompleteMultipartUpload")]}
    assert keys(body) == ["a.mp3", "b.mp3"]
    assert read_event(json.dumps(body))[0].bucket == "meetings"


def test_by_way_of_sns_and_of_eventbridge() -> None:
    through = {"Type": "Notification", "Message": json.dumps({"Records": [record("a.mp3")]})}
    detail = {"bucket": {"name": "meetings"}, "object": {"key": "a+b%20.mp3"}}
    assert keys(through) == ["a.mp3"]
    assert keys({"detail-type": "Object Created", "detail": detail}) == ["a+b%20.mp3"]


def test_what_was_deleted_and_the_first_test_name_nothing() -> None:
    assert keys({"Records": [record("a.mp3", "ObjectRemoved:Delete")]}) == []
    assert keys({"Service": "Amazon S3", "Event": "s3:TestEvent"}) == []


@pytest.mark.parametrize(
    ("key", "first", "others"),
    [
        ("town+hall%2B1.mp3", "town hall+1.mp3", {"town+hall%2B1.mp3", "town+hall+1.mp3"}),
        ("r%C3%A9union.mp3", "réunion.mp3", {"r%C3%A9union.mp3"}),
        ("réunion.mp3", "réunion.mp3", set()),
        ("%E9.mp3", "\N{REPLACEMENT CHARACTER}.mp3", {"%E9.mp3"}),
        ("../../etc/passwd.mp3", "../../etc/passwd.mp3", set()),
    ],
)
def test_a_key_is_read_in_every_way_that_it_may_be_meant(key: str, first: str, others: set[str]) -> None:
    ((named),) = read_event(json.dumps({"Records": [record(key)]}))
    assert named.keys[0] == first
    assert set(named.keys[1:]) == others


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"Records": 1}', '{"hello": 1}', "[" * 10_000])
def test_what_is_no_event_is_said_to_be_none(body: str) -> None:
    with pytest.raises(ValueError, match=r"^it is no event of S3$"):
        read_event(body)
