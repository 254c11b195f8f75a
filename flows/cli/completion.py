"""Completion: what a shell offers in place of an option's or an argument's value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stenoflow.tasks.context import AppContext

_MOST_JOBS = 100


def jobs(incomplete: str) -> list[tuple[str, str]]:
    """Complete the id of a job, with the name of its recording; the newest come first."""
    from stenoflow.storage.database.reports import JobFilter  # noqa: PLC0415 - SQLAlchemy, for this alone

    with _context() as context:
        if context is None:
            return []
        found = context.reports.jobs(JobFilter(incomplete), limit=_MOST_JOBS)
        return [(line.job.id, f"{line.job.state}, {line.recording.name}") for line in found]


def tags(incomplete: str) -> list[str]:
    """Complete a tag that a job has."""
    with _context() as context:
        return [] if context is None else _beginning(incomplete, context.reports.tags())


def models(incomplete: str) -> list[str]:
    """Complete a model that transcribes."""
    with _context() as context:
        return [] if context is None else _beginning(incomplete, context.models.listed)


def chat_models(incomplete: str) -> list[str]:
    """Complete a chat model."""
    with _context() as context:
        return [] if context is None else _beginning(incomplete, context.chat_models.listed)


def speech_models(incomplete: str) -> list[str]:
    """Complete a model that speaks."""
    with _context() as context:
        return [] if context is None else _beginning(incomplete, context.speech_models.listed)


def voices(incomplete: str) -> list[str]:
    """Complete a voice of any model that speaks."""
    with _context() as context:
        if context is None:
            return []
        listed = context.speech_models.listed.values()
        return _beginning(incomplete, sorted({voice for model in listed for voice in model.voices}))


def languages(incomplete: str) -> list[tuple[str, str]]:
    """Complete the code of a language, with its name; behind a comma, the next one."""
    from stenoflow.tasks.transcript.languages import NAME_OF  # noqa: PLC0415 - for this alone

    before, comma, last = incomplete.rpartition(",")
    return [(f"{before}{comma}{code}", name) for code, name in NAME_OF.items() if code.startswith(last)]


def formats(incomplete: str) -> list[str]:
    """Complete a format of artifacts; behind a comma, the next one."""
    from stenoflow.tasks.artifacts.formats import FORMATS  # noqa: PLC0415 - for this alone

    return _next_of(incomplete, FORMATS)


def speech_formats(incomplete: str) -> list[str]:
    """Complete a format of speech."""
    from stenoflow.tasks.api.speech import SPEECH_FORMATS  # noqa: PLC0415 - for this alone

    return _beginning(incomplete, SPEECH_FORMATS)


def allowable(incomplete: str) -> list[str]:
    """Complete an option that files beside recordings may give; behind a comma, the next one."""
    from stenoflow.tasks.sources.inbox.options import ALLOWABLE  # noqa: PLC0415 - for this alone

    return _next_of(incomplete, ALLOWABLE)


def providers(incomplete: str) -> list[str]:
    """Complete a provider that transcribes; behind a comma, the next one."""
    with _context() as context:
        if context is None:
            return []
        listed = context.models.listed.values()
        return _next_of(incomplete, sorted({name for model in listed for name in model.providers}))


def recordings(incomplete: str) -> list[tuple[str, str]]:
    """Complete the id of a recording, with its name; the newest come first."""
    from stenoflow.storage.database.reports import JobFilter  # noqa: PLC0415 - SQLAlchemy, for this alone

    with _context() as context:
        if context is None:
            return []
        found = context.reports.jobs(JobFilter(), limit=_MOST_JOBS)
        names = {line.recording.id: line.recording.name for line in found}
        return [(id_, name) for id_, name in names.items() if id_.startswith(incomplete)]


def _next_of(incomplete: str, names: Iterable[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    chosen = before.split(",")
    return [f"{before}{comma}{name}" for name in _beginning(last, names) if name not in chosen]


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


@contextmanager
def _context() -> Iterator[AppContext | None]:
    """Open what there is; None where that fails: a shell that completes has no place for messages."""
    from stenoflow.storage.database.connection import copy_before_upgrade, open_database  # noqa: PLC0415 - as above
    from stenoflow.storage.errors import StenoflowError  # noqa: PLC0415
    from stenoflow.tasks.context import open_context  # noqa: PLC0415
    from stenoflow.tasks.settings import load_settings  # noqa: PLC0415

    try:
        settings = load_settings()
        database = open_database(settings.database_url)
        is_old = copy_before_upgrade(database) is not None
        database.close()
        if is_old:
            # An upgrade is said, so it is left to a command.
            yield None
            return
        with open_context(settings) as context:
            yield context
    except StenoflowError:
        yield None
