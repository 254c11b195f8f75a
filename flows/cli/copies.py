"""Copies of artifacts in a user's folder; they replace what we wrote for the same recording, nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stenoflow.flows.cli.console import say
from stenoflow.flows.outcome import Outcome, TranscriptDetails
from stenoflow.storage.database.tables import Artifact
from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.artifacts.formats import artifact_name
from stenoflow.tasks.artifacts.own_files import put_in_place, written_beside
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError


class Copies:
    """Copies artifacts as ``NAME.txt`` and so on, a translation as ``NAME.en.txt``.

    Recordings of the same name get a number behind it, and so does a copy whose name another file has.

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
            raise SettingsError(f"cannot make the folder {folder}: {plain_reason(error)}") from error

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
        for artifact, ending in [*_transcript(context, outcome), *_minutes(context, outcome)]:
            # Bytes, as names of files are: the locale may have no such signs.
            wanted = self._folder / os.fsdecode(f"{self._names[outcome.source]}.{ending}".encode())
            try:
                path = _copy(context, artifact, outcome.source, wanted, ending)
            except StenoflowError:
                self.failed = True
                raise
            except OSError as error:
                self.failed = True
                raise StorageError(f"cannot write {wanted}: {plain_reason(error)}") from error
            if path != wanted:
                say(f"{wanted} is no copy of this recording's, or was changed: the copy is {path.name}")
            copied.append(path)
        return copied


def _copy(context: AppContext, artifact: Artifact, source: str, wanted: Path, ending: str) -> Path:
    """Copy an artifact to a name that is free, or has what was copied before of the same recording."""
    with written_beside(wanted) as temporary:
        context.store.fetch(artifact.key, temporary)
        return put_in_place(context, temporary, wanted, f".{ending}", job_id=artifact.job_id, source=source)


def _transcript(context: AppContext, outcome: Outcome) -> Iterator[tuple[Artifact, str]]:
    """Yield what is copied, and the endings of the copies."""
    artifacts = _artifacts(context, outcome.job)
    for format_ in outcome.artifacts:
        ending = format_.replace("translation.", "en.")
        yield artifacts[format_ if ending != format_ else artifact_name(format_)], ending


def _minutes(context: AppContext, outcome: Outcome) -> Iterator[tuple[Artifact, str]]:
    """Yield the same of minutes that followed; the page has them in it."""
    minutes = outcome.details.minutes if isinstance(outcome.details, TranscriptDetails) else None
    artifacts = {} if minutes is None else _artifacts(context, minutes.job)
    for ending in () if minutes is None else minutes.artifacts:
        if (name := f"digest.{ending}") in artifacts:
            yield artifacts[name], name


def _artifacts(context: AppContext, job_id: str | None) -> dict[str, Artifact]:
    return {} if job_id is None else {each.name: each for each in context.catalog.artifacts(job_id)}
