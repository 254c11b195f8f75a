"""Names of files: which are recordings, and how a name is shown."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

_KINDS: Final = (
    "3g2 3ga 3gp 3gp2 3gpp 3gpp2 aac ac3 adts aif aifc aiff amr ape asf au avi awb bwf caf dsf dss dts eac3"
    " f4a f4v flac flv m2a m2t m2ts m4a m4b m4r m4v mj2 mka mkv mov mp1 mp2 mp3 mp4 mp4a mpa mpc mpeg mpg"
    " mpga mts mxf nut oga ogg ogv opus qoa qt qta ra rf64 rm sph spx tak ts tta voc vob w64 wav wave weba"
    " webm wma wmv wtv wv"
)
MEDIA_SUFFIXES: Final = frozenset(f".{kind}" for kind in _KINDS.split())
"""Suffixes, in lower case, of the files in a folder that are taken for recordings."""

# What browsers and copying programs call a file, or a folder, that they are still at work on. As these
# come last in a name, a file of such a name has no suffix of a recording.
_UNFINISHED: Final = (
    ".part",
    ".partial",
    ".filepart",
    ".crdownload",
    ".download",
    ".opdownload",
    ".tmp",
    ".temp",
)
_LONGEST_NAME_BYTES: Final = 200
# Invisible, but Persian words and many emoji are made with them.
_JOINERS: Final = "\u200c\u200d"


def is_recording(path: str) -> bool:
    """Tell whether the ``/``-separated path names a recording, by its suffix.

    Hidden and unfinished files are none, and neither is anything in such a folder.
    """
    if is_hidden(path) or is_unfinished(path):
        return False
    return PurePosixPath(path.rpartition("/")[2]).suffix.lower() in MEDIA_SUFFIXES


def is_unfinished(path: str) -> bool:
    """Tell whether a ``/``-separated path is called as what is still being written is."""
    return any(part.lower().endswith(_UNFINISHED) for part in path.split("/"))


def remark_on_others(folder: str, paths: Iterable[str]) -> str | None:
    """Say how many of the files in a folder are no recordings, and of which kinds; None where none are."""
    total, counted = _kinds_of_others(paths)
    if not total:
        return None
    noun, was = ("file", "was") if total == 1 else ("files", "were")
    return f"{total} {noun} in {shown(folder)} {was} passed over: {counted}"


def no_recordings(folder: str, paths: Iterable[str]) -> tuple[str, str]:
    """Say that there are no recordings in a folder, and what is there in their place; returns a hint, too."""
    total, counted = _kinds_of_others(paths)
    there = f": only {counted}" if total else ""
    hint = (
        f"a recording is told by its suffix: .mp3, .wav, .mp4, .mkv or one of {len(MEDIA_SUFFIXES) - 4} more;"
        " what is named itself may have any"
    )
    return f"no recordings in {shown(folder)}{there}", hint


def _kinds_of_others(paths: Iterable[str]) -> tuple[int, str]:
    """Count the files that are no recordings: all of them, and in words by their kinds."""
    kinds = Counter(
        PurePosixPath(path).suffix.lower() or "without a suffix"
        for path in paths
        if not is_hidden(path) and not is_recording(path)
    )
    counted = ", ".join(f"{number} {shown(kind)[:20]}" for kind, number in kinds.most_common(8))
    more = f", {len(kinds) - 8} kinds more" if len(kinds) > 8 else ""
    return kinds.total(), f"{counted}{more}"


def is_hidden(path: str) -> bool:
    """Tell whether a ``/``-separated path is that of a hidden file, or of anything in a hidden folder."""
    return any(map(_is_hidden, path.split("/")))


def _is_hidden(part: str) -> bool:
    # In a key of S3, "." and ".." are names like any other; no folder has a file of such a name.
    return part.startswith(".") and part not in {".", ".."}


def as_utf8(text: str) -> str:
    """Return a text whose bytes, read in the locale's encoding, are read as UTF-8 instead.

    In a locale that is not UTF-8, Python keeps the bytes of a file's name as halves of surrogate pairs.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text


def shown(text: str) -> str:
    """Return the text on one line and in valid Unicode: what cannot be shown becomes U+FFFD."""
    return "".join(map(_shown, as_utf8(text)))


def is_plain(text: str) -> bool:
    """Tell whether a text is one line without control signs, so that it may go to a database or a server."""
    return all(
        sign.isprintable() or sign in _JOINERS or unicodedata.category(sign) == "Zs" for sign in as_utf8(text)
    )


def _shown(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if unicodedata.category(character) == "Zs" else "\N{REPLACEMENT CHARACTER}"


def display_name(path: str) -> str:
    """Return the last part of a path as it is to be shown, cut to 200 bytes with its suffix kept."""
    name = shown(path.rstrip("/").rpartition("/")[2])
    if name in {"", ".", ".."}:
        return "recording"
    if len(name.encode()) <= _LONGEST_NAME_BYTES:
        return name
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > _LONGEST_NAME_BYTES // 2:
        suffix = ""
    room = _LONGEST_NAME_BYTES - len(f"…{suffix}".encode())
    return name.encode()[:room].decode(errors="ignore") + f"…{suffix}"
