"""Copies of the artifacts in a folder of the user's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stenoflow.flows.outcome import Outcome, TranscriptDetails
from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.tasks.artifacts.formats import artifact_name
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError


class Copies:
    """Copies artifacts as ``NAME.txt`` and so on, a translation as ``NAME.en.txt``.

    Recordings of the same name get a number behind it.

    Attributes:
        failed: a copy could not be written; the artifacts in the store are whole all the same.
    """

    def __init__(self, folder: Path | None) -> None:
        """Make the folder, before anything is spent.

        Raises:
            SettingsError: it cannot be made.
        """
        self._folder = folder
        self._names: dict[str, str] = {}
        self.failed = False
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot make the folder {folder}: {error.strerror}") from error

    def name(self, sources: Sequence[str]) -> None:
        """Give each source its name, by the order in which they were given and not by who ends first."""
        for source in sources:
            stem = Path(unquote(urlsplit(source).path)).stem or "recording"
            name, number = stem, 2
            # A translation is called ``NAME.en``, as a recording may be.
            while {name, f"{name}.en", name.removesuffix(".en")} & set(self._names.values()):
                name, number = f"{stem}-{number}", number + 1
            self._names[source] = name

    def make(self, context: AppContext, outcome: Outcome) -> list[Path]:
        """Copy what an outcome published; returns where to. Raises StorageError if one cannot be written."""
        if self._folder is None or not outcome.artifacts or outcome.job is None:
            return []
        copied = []
        for key, ending in [*_transcript(context, outcome), *_minutes(context, outcome)]:
            path = self._folder / f"{self._names[outcome.source]}.{ending}"
            try:
                context.store.fetch(key, path)
            except StenoflowError:
                self.failed = True
                raise
            except OSError as error:
                self.failed = True
                raise StorageError(f"cannot write {path}: {error.strerror}") from error
            copied.append(path)
        return copied


def _transcript(context: AppContext, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield the keys of what is copied, and the endings of the copies."""
    keys = _keys(context, outcome.job)
    for format_ in outcome.artifacts:
        ending = format_.replace("translation.", "en.")
        yield keys[format_ if ending != format_ else artifact_name(format_)], ending


def _minutes(context: AppContext, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield the same of minutes that followed; the page has them in it."""
    digest = outcome.details.minutes if isinstance(outcome.details, TranscriptDetails) else None
    keys = {} if digest is None else _keys(context, digest.job)
    for ending in () if digest is None else digest.artifacts:
        if (name := f"digest.{ending}") in keys:
            yield keys[name], name


def _keys(context: AppContext, job_id: str | None) -> dict[str, str]:
    return {} if job_id is None else {each.name: each.key for each in context.catalog.artifacts(job_id)}
