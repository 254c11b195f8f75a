"""What a queue of S3's events says has arrived. Events come twice, late, out of order or never.

An event is only a hint to look: what counts is the object that is there now. So an event that comes again
changes nothing, and one that is lost is made up for by the next look into the inbox.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus

from tasks.inbox.entry import Entry


@dataclass(frozen=True, slots=True)
class Announcement:
    """A message of the queue.

    Attributes:
        entries: the recordings that it names and that are there.
        acknowledge: says that it was taken care of; it comes again otherwise.
    """

    entries: tuple[Entry, ...]
    acknowledge: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Named:
    """An object that an event names.

    Attributes:
        keys: what its key may be, the likeliest first: not all that speak S3 encode it in the same way.
    """

    bucket: str
    keys: tuple[str, ...]


def read_event(body: str) -> list[Named]:
    """Return the objects that a message names: from S3 itself, or by way of SNS or EventBridge.

    Raises:
        ValueError: it is no event of S3.
    """
    try:
        said = json.loads(body)
        if isinstance(said, dict) and said.get("Type") == "Notification":
            said = json.loads(said["Message"])
        return list(_named(said))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"no event of S3: {error!r}"
        raise ValueError(message) from error


def _named(said: Any) -> Iterator[Named]:
    if said.get("Event") == "s3:TestEvent":
        return
    if "detail" in said:  # EventBridge, which does not encode keys
        key = said["detail"]["object"]["key"]
        yield Named(said["detail"]["bucket"]["name"], _keys(key, key))
        return
    for record in said["Records"]:
        if str(record.get("eventName", "")).removeprefix("s3:").startswith("ObjectCreated"):
            key = record["s3"]["object"]["key"]
            yield Named(record["s3"]["bucket"]["name"], _keys(unquote_plus(key), key))


def _keys(likely: str, key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([likely, key, unquote(key), unquote_plus(key)]))
