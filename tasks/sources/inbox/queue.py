"""An SQS queue of S3's events on a drop folder."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

import boto3.session
from botocore.config import Config

from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.storage.objects.s3_client import AwsService, aws_errors
from stenoflow.tasks.errors import SettingsError, SourceOutOfReachError
from stenoflow.tasks.sources.inbox import Inbox
from stenoflow.tasks.sources.inbox.bucket import BucketInbox
from stenoflow.tasks.sources.inbox.entry import Entry

_log = logging.getLogger(__name__)
# SQS's own longest.
_WAIT_S: Final = 20
_MOST_MESSAGES: Final = 10
_SQS: Final = AwsService(
    "SQS", "check its address and region, and that sqs:ReceiveMessage and sqs:DeleteMessage are allowed"
)
_REGION: Final = re.compile(r"https?://sqs\.([a-z0-9-]+)\.")


@dataclass(frozen=True, slots=True)
class EventQueue:
    """A queue of events on an inbox. Make it with `open_queue`.

    Attributes:
        notices: what people should know of messages that name no recording here; whoever prints them
            takes them out.
    """

    url: str
    inbox: BucketInbox
    client: Any
    notices: list[str] = field(default_factory=list)
    _strange: set[str] = field(default_factory=set)

    def check(self) -> None:
        """Ask the queue for a message, and leave it there. Raises SettingsError where that fails."""
        with _settings_errors(self.url):
            self.client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=1, WaitTimeSeconds=0, VisibilityTimeout=0
            )

    def receive(self, wait_s: int = _WAIT_S) -> list[Announcement]:
        """Wait for messages, 20 s at most, and return those that are events of S3.

        Others are left alone: the queue may not be ours alone, and gives up on them by its own rule.

        Raises:
            SourceOutOfReachError: it does not answer.
        """
        try:
            with aws_errors(f"the queue {self.url}", _SQS):
                answer = self.client.receive_message(
                    QueueUrl=self.url, MaxNumberOfMessages=_MOST_MESSAGES, WaitTimeSeconds=wait_s
                )
        except StorageError as error:
            raise SourceOutOfReachError(error.message, error.hint) from error
        return list(self._announcements(answer.get("Messages", [])))

    def _announcements(self, messages: list[dict[str, Any]]) -> Iterator[Announcement]:
        for message in messages:
            try:
                named = read_event(message["Body"])
                entries = tuple(entry for each in named for entry in self._entries(each))
            except (ValueError, StenoflowError) as error:
                self._notice(message, f"is passed over: {error}")
            else:
                if named and not entries:
                    self._notice(message, f"names no recording of {self.inbox.address}")
                yield Announcement(entries, partial(self._acknowledge, message["ReceiptHandle"]))

    def _notice(self, message: dict[str, Any], what: str) -> None:
        """Have it said once of each message: it comes again until the queue gives up on it."""
        if message["MessageId"] not in self._strange:
            self._strange.add(message["MessageId"])
            self.notices.append(f"a message in {self.url} {what}")

    def _entries(self, named: Named) -> Iterator[Entry]:
        """Yield the recording of an event, under whichever of its possible keys it is there."""
        found = (self.inbox.find(f"s3://{named.bucket}/{key}") for key in named.keys)
        yield from [entry for entry in found if entry is not None][:1]

    def _acknowledge(self, receipt: str) -> None:
        try:
            with aws_errors(f"the queue {self.url}", _SQS):
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=receipt)
        except StorageError as error:
            _log.warning("a message will come again: %s", error)


def open_queue(url: str, inbox: Inbox) -> EventQueue:
    """Return the queue of events on an inbox; boto3's own settings say who we are.

    Raises:
        SettingsError: it cannot be used, or the inbox is not in S3.
    """
    if not isinstance(inbox, BucketInbox):
        raise SettingsError("a queue is for an inbox in S3", "a folder is looked into at the interval")
    region = _REGION.match(url)
    config = Config(retries={"mode": "standard"}, read_timeout=_WAIT_S + 10)
    with _settings_errors(url):
        client = boto3.session.Session().client(
            "sqs", region_name=region[1] if region else None, config=config
        )
    queue = EventQueue(url, inbox, client)
    queue.check()
    return queue


@contextmanager
def _settings_errors(url: str) -> Iterator[None]:
    """Raise SettingsError for what boto3 raises of a queue."""
    try:
        with aws_errors(f"the queue {url}", _SQS):
            yield
    except StorageError as error:
        hint = error.hint or _SQS.access_hint
        raise SettingsError(error.message, hint) from error


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
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = "it is no event of S3"
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
