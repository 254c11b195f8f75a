"""The file that speech is written to: seen to be writable before anything is spent, and then whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from storage.errors import StorageError
from tasks.audio_api.speech import SPEECH_FORMATS
from tasks.errors import SettingsError
from tasks.workshop import Workshop

_SUFFIXES = {".ogg": "opus", ".oga": "opus", ".wave": "wav", ".raw": "pcm"} | {
    f".{form}": form for form in SPEECH_FORMATS
}


def format_of_name(path: Path) -> str:
    """Tell the format from a file's name. Raises SettingsError where it tells of none."""
    form = _SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise SettingsError(
            f"the name {path.name} tells of no format", f"give --format: {', '.join(SPEECH_FORMATS)}"
        )
    return form


def check_target(path: Path) -> None:
    """See that a file can be written.

    Raises:
        SettingsError: it is a folder, its folder is not there, or nothing can be written there.
    """
    if path.is_dir():
        raise SettingsError(f"{path} is a folder", "name a file in it")
    if _is_special(path):
        if not os.access(path, os.W_OK):
            raise SettingsError(f"{path} cannot be written")
        return
    folder = path.resolve().parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {(error.strerror or '').lower()}") from error


def write(workshop: Workshop, key: str, path: Path) -> None:
    """Write what is stored under a key to a file, which is there whole or as it was before.

    Raises:
        StorageError: it cannot be written, or is gone from the store.
    """
    try:
        if _is_special(path):
            path.write_bytes(workshop.store.get_bytes(key))
        else:
            # A link stays one: what it leads to is replaced.
            workshop.store.fetch(key, path.resolve())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _is_special(path: Path) -> bool:
    """Tell a device or a pipe, which is not to be replaced by a file."""
    return path.exists() and not path.is_file() and not path.is_dir()
