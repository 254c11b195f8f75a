"""Reading a text that is to be spoken: from a file, or from a pipe."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import BinaryIO

from tasks.errors import SourceNotFoundError, SourceUnreadableError, TooLongError

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
        raise SourceUnreadableError(f"{path} cannot be read: {error.strerror}") from error


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
