"""Copies of the artifacts in a folder of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flows.outcome import Outcome
from storage.errors import StenoflowError, StorageError
from tasks.artifacts.formats import artifact_name
from tasks.errors import SettingsError
from tasks.workshop import Workshop


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

    def make(self, workshop: Workshop, outcome: Outcome) -> list[Path]:
        """Copy what an outcome published; returns where to. Raises StorageError if one cannot be written."""
        if self._folder is None or not outcome.artifacts or outcome.job is None:
            return []
        keys = {artifact.name: artifact.key for artifact in workshop.catalog.artifacts(outcome.job)}
        copied = []
        for format_ in outcome.artifacts:
            ending = format_.replace("translation.", "en.")
            name = format_ if ending != format_ else artifact_name(format_)
            path = self._folder / f"{self._names[outcome.source]}.{ending}"
            try:
                workshop.store.fetch(keys[name], path)
            except StenoflowError:
                self.failed = True
                raise
            except OSError as error:
                self.failed = True
                raise StorageError(f"cannot write {path}: {error.strerror}") from error
            copied.append(path)
        return copied
