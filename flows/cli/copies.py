"""Copies of the artifacts in a folder of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flows.outcome import Outcome
from storage.errors import StorageError
from tasks.errors import SettingsError
from tasks.workshop import Workshop


class Copies:
    """Copies artifacts as ``NAME.txt`` and so on; recordings of the same name get a number behind it."""

    def __init__(self, folder: Path | None, formats: Sequence[str]) -> None:
        """Make the folder, before anything is spent.

        Raises:
            SettingsError: it cannot be made.
        """
        self._folder = folder
        self._formats = formats
        self._taken: dict[str, str] = {}
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot make the folder {folder}: {error.strerror}") from error

    def make(self, workshop: Workshop, outcome: Outcome) -> list[Path]:
        """Copy what an outcome published; returns where to."""
        if self._folder is None or not outcome.artifacts or outcome.job is None:
            return []
        name = self._name(outcome)
        keys = {artifact.name: artifact.key for artifact in workshop.catalog.artifacts(outcome.job)}
        copied = []
        for format_ in outcome.artifacts:
            path = self._folder / f"{name}.{format_}"
            try:
                workshop.store.fetch(keys[f"transcript.{format_}"], path)
            except OSError as error:
                raise StorageError(f"cannot write {path}: {error.strerror}") from error
            copied.append(path)
        return copied

    def _name(self, outcome: Outcome) -> str:
        """Name the copies after the recording; the same recording always gets the same name."""
        stem = Path(unquote(urlsplit(outcome.source).path)).stem or "recording"
        name, number = stem, 2
        while self._taken.setdefault(name, outcome.source) != outcome.source:
            name, number = f"{stem}-{number}", number + 1
        return name
