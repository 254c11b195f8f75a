"""Texts read from files or stdin, and sound written to a file."""

from __future__ import annotations

import codecs
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from stenoflow.storage.errors import StorageError
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.api.speech import SPEECH_FORMATS
from stenoflow.tasks.artifacts.own_files import put_in_place, written_beside
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError, SourceNotFoundError, SourceUnreadableError, TooLongError

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
        raise SettingsError(f"{path} cannot be written: {plain_reason(error)}") from error


def check_spares(path: Path, read: Path) -> None:
    """Raise SettingsError if a file to be written is the one that is read: whoever named it would lose it."""
    if path.is_file() and read.exists() and path.samefile(read):
        raise SettingsError(f"{path} is what is read", "name another file to write")


def write(context: AppContext, key: str, path: Path) -> None:
    """Write what is stored under a key to a file, which is there whole or as it was before.

    Raises:
        StorageError: it cannot be written, or is gone from the store.
    """
    try:
        if _is_special(path):
            path.write_bytes(context.store.get_bytes(key))
        else:
            # A link stays one: what it leads to is replaced.
            context.store.fetch(key, path.resolve())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {plain_reason(error)}") from error


def write_sample(context: AppContext, key: str, path: Path, job_id: str) -> Path:
    """Write what is stored under a key to a file that replaces nothing but what is ours; return where it is.

    Raises:
        StorageError: it cannot be written, or is gone from the store.
    """
    try:
        with written_beside(path) as temporary:
            context.store.fetch(key, temporary)
            return put_in_place(context, temporary, path, path.suffix, job_id=job_id, source=None)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {plain_reason(error)}") from error


def _is_special(path: Path) -> bool:
    """Tell a device or a pipe, which is not to be replaced by a file."""
    return path.exists() and not path.is_file() and not path.is_dir()


# A long novel has three million letters; more is a mistake, or a device that never ends.
_MOST_BYTES = 16_000_000
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_file(path: Path) -> str:
    """Read a text file.

    Raises:
        RefusedError: it is not there, cannot be read, is no text, or is far too long.
    """
    try:
        with path.open("rb") as file:
            return read(file, str(path))
    except FileNotFoundError:
        raise SourceNotFoundError(f"there is no file {path}") from None
    except OSError as error:
        raise SourceUnreadableError(f"{path} cannot be read: {plain_reason(error)}") from error


def read(file: BinaryIO, name: str) -> str:
    """Read a text to its end: UTF-8, or what a byte order mark says. Raises as `read_file`."""
    data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise TooLongError(f"{name} has more than {_MOST_BYTES // 1_000_000} MB of text", "speak it in parts")
    encoding = next((known for mark, known in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeError:
        raise SourceUnreadableError(f"{name} is no text in UTF-8", "convert it: iconv -t UTF-8") from None
