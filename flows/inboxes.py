"""The inboxes of the settings, held against what there can be before anything comes into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stenoflow.flows.desk.prefect_api import DEPLOYMENT
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.request import check_options, request_of
from stenoflow.tasks.settings import InboxSettings, Settings
from stenoflow.tasks.sources.inbox import Inbox, inbox_at
from stenoflow.tasks.sources.inbox.folder import FolderInbox

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def check_inboxes(settings: Settings, context: AppContext | None = None) -> None:
    """Refuse inboxes that can never be right: their address, their options, or where they move recordings.

    Args:
        settings: have the inboxes.
        context: of this machine, where it transcribes; None: workers do, by settings of their own.

    Raises:
        SettingsError: one cannot be used; the message names it.
    """
    for each in settings.inboxes:
        check_inbox(settings, each, context)


def check_inbox(settings: Settings, inbox: InboxSettings, context: AppContext | None = None) -> None:
    """Refuse one inbox. Raises as `check_inboxes`."""
    try:
        _check_name(inbox.name, [each.name for each in settings.inboxes])
        box = inbox_at(inbox.address, _no_client if context is None else context.s3)
        if inbox.done_to is not None:
            box.check_place(inbox.done_to)
        check_options(inbox.said)
        if context is not None:
            request_of(context, inbox.said)
    except StenoflowError as error:
        hint = error.hint or "correct it under [[inboxes]] in the settings"
        raise SettingsError(f"the inbox {inbox.name} cannot be used: {error.message}", hint) from error


def out_of_reach(inbox: InboxSettings, client: Callable[[], S3Client]) -> StenoflowError | None:
    """Return why an inbox cannot be looked into now; None: it can."""
    return _failure(inbox_at(inbox.address, client))


def folders_not_here(settings: Settings) -> list[tuple[str, StenoflowError]]:
    """Return the inboxes that are folders and cannot be looked into from this machine, with the reason."""
    found = [(each.name, inbox_at(each.address, _no_client)) for each in settings.inboxes]
    failures = [(name, _failure(box)) for name, box in found if isinstance(box, FolderInbox)]
    return [(name, failure) for name, failure in failures if failure is not None]


def _failure(inbox: Inbox) -> StenoflowError | None:
    try:
        inbox.check()
    except StenoflowError as error:
        return error
    return None


def _check_name(name: str, names: list[str]) -> None:
    if name == DEPLOYMENT:
        raise SettingsError(f"no inbox can be called {name}", "the deployments of other flows are called so")
    if names.count(name) > 1:
        raise SettingsError("several inboxes have this name", "give each a name of its own")


def _no_client() -> S3Client:
    raise SettingsError("S3 is not asked from here")
