"""The SQS queue into which a bucket's events go."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import StenoflowError
from tasks.errors import SettingsError, SourceOutOfReachError
from tasks.inbox.announcements import Announcement, Named, read_event
from tasks.inbox.bucket import BucketInbox
from tasks.inbox.entry import Entry

_log = logging.getLogger(__name__)
# SQS's own longest.
_WAIT_S: Final = 20
_MOST_MESSAGES: Final = 10
_REGION: Final = re.compile(r"https?://sqs\.([a-z0-9-]+)\.")


@dataclass(frozen=True, slots=True)
class EventQueue:
    """A queue of events on an inbox. Make it with `open_queue`."""

    url: str
    inbox: BucketInbox
    client: Any

    def receive(self) -> list[Announcement]:
        """Wait for messages, 20 s at most, and return those that are events of S3.

        Others are left alone: the queue may not be ours alone, and gives up on them by its own rule.

        Raises:
            SourceOutOfReachError: it does not answer.
        """
        try:
            answer = self.client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=_MOST_MESSAGES, WaitTimeSeconds=_WAIT_S
            )
        except (BotoCoreError, ClientError) as error:
            raise SourceOutOfReachError(f"the queue {self.url} does not answer: {error}") from error
        return list(self._announcements(answer.get("Messages", [])))

    def _announcements(self, messages: list[dict[str, Any]]) -> Iterator[Announcement]:
        for message in messages:
            try:
                named = read_event(message["Body"])
                entries = tuple(entry for each in named for entry in self._entries(each))
            except (ValueError, StenoflowError) as error:
                _log.warning("a message in %s is passed over: %s", self.url, error)
            else:
                yield Announcement(entries, partial(self._acknowledge, message["ReceiptHandle"]))

    def _entries(self, named: Named) -> Iterator[Entry]:
        """Yield the recording of an event, under whichever of its possible keys it is there."""
        found = (self.inbox.find(f"s3://{named.bucket}/{key}") for key in named.keys)
        yield from [entry for entry in found if entry is not None][:1]

    def _acknowledge(self, receipt: str) -> None:
        try:
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=receipt)
        except (BotoCoreError, ClientError) as error:
            _log.warning("a message in %s will come again: %s", self.url, error)


def open_queue(url: str, inbox: BucketInbox) -> EventQueue:
    """Return the queue at an address; boto3's own settings say who we are.

    Raises:
        SettingsError: it cannot be used.
    """
    region = _REGION.match(url)
    config = Config(retries={"mode": "standard"}, read_timeout=_WAIT_S + 10)
    try:
        client = boto3.session.Session().client(
            "sqs", region_name=region[1] if region else None, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"the queue {url} cannot be used: {error}") from error
    return EventQueue(url, inbox, client)
