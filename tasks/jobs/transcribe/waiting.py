"""How much sound an inbox has that is yet to be transcribed: of recordings that are opened, and that wait."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from stenoflow.storage.database.arrivals import arrival_id
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.sources.inbox import open_inbox

_log = logging.getLogger(__name__)
# Bytes of a second where none of the kind was transcribed yet: rather too few, so that a file counts as long.
_USUAL, _BARE, _PACKED, _VIDEO = 8_000.0, 32_000.0, 16_000.0, 60_000.0
_RATES: Mapping[str, float] = {
    **dict.fromkeys((".wav", ".wave", ".aif", ".aiff", ".bwf", ".caf", ".rf64", ".w64"), _BARE),
    **dict.fromkeys((".flac", ".wv", ".tak", ".tta"), _PACKED),
    **dict.fromkeys(
        (".mp4", ".m4v", ".mkv", ".mov", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv"), _VIDEO
    ),
}


def left_ms(context: AppContext, prefix: str) -> int:
    """Tell how much sound of an inbox has no answer; blocks.

    What waits there unopened counts by its size, and by how large recordings of its kind were before.

    Args:
        context: the tools.
        prefix: how the addresses in the inbox begin.
    """
    opened = context.reports.unfinished(prefix)
    waiting = _waiting(context, prefix, opened)
    if not waiting:
        return sum(opened.values())
    known = context.reports.newest_sizes()
    return sum(opened.values()) + sum(_length_ms(source, size, known) for source, size in waiting)


def _waiting(context: AppContext, prefix: str, opened: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the address and size of each recording that lies in an inbox and was not taken."""
    try:
        look = open_inbox(prefix, context.s3).look()
    except RefusedError as error:
        _log.info("what waits in %s is not counted: %s", prefix, error)
        return []
    ids = {arrival_id(each.source.uri, each.mark): each.source for each in look.entries}
    ended = context.arrivals.ended(list(ids))
    return [
        (source.uri, source.size)
        for id_, source in ids.items()
        if id_ not in ended and source.uri not in opened
    ]


def _length_ms(source: str, size: int, known: Sequence[tuple[str, int, int]]) -> int:
    """Tell about how long a recording is.

    Args:
        source: its address.
        size: in bytes.
        known: address, bytes and ms of others.
    """
    kind = _kind(source)
    alike = [(bytes_, ms) for address, bytes_, ms in known if _kind(address) == kind]
    if alike:
        return round(size * sum(ms for _, ms in alike) / sum(bytes_ for bytes_, _ in alike))
    return round(size * 1_000 / _RATES.get(kind, _USUAL))


def _kind(source: str) -> str:
    return PurePosixPath(source).suffix.lower()
