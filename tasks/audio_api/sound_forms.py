"""Telling forms of sound by their first bytes, and by their last ones whether they are whole. Pure."""

from __future__ import annotations

import struct
from typing import Literal

Form = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

_MARKS: dict[bytes, Form] = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "opus", b"ID3": "mp3"}
_OGG_HEADER = 27
_LAST_PAGE = 4
# What is written in place of a size by who does not know it yet.
_UNKNOWN_SIZES = {0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}


def form_of(head: bytes, wanted: Form) -> Form | None:
    """Tell what begins with these bytes; None: no sound that we know.

    Args:
        head: 12 bytes or more.
        wanted: what was asked for; bare samples begin with anything, so only this tells of them.
    """
    marked = next((form for mark, form in _MARKS.items() if head.startswith(mark)), None)
    if marked is not None:
        return "aac" if marked == "mp3" and wanted == "aac" else marked
    if wanted == "pcm":
        # Quiet samples are near zero, of either sign; an error in JSON is not.
        return None if head.lstrip().startswith(b'{"') else "pcm"
    # Both begin with eleven set bits; AAC has 0 where MP3 names its layer.
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    return "aac" if head[1] & 0xF6 == 0xF0 else "mp3"


def is_cut_off(data: bytes, form: Form) -> bool:
    """Tell whether sound lacks its end, as far as its form says; MP3 and AAC hardly do.

    For answers that end with their connection, where nothing else says whether they are whole.
    """
    if form == "wav":
        return _lacks_samples(data)
    if form == "opus":
        return not _ends_with_last_page(data)
    return form == "pcm" and len(data) % 2 == 1


def wav_samples(data: bytes) -> tuple[int, int]:
    """Return where the samples of a WAV begin, and how many bytes it says that there are (or 0xFFFFFFFF)."""
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"data":
            return at + 8, size
        at += 8 + size + size % 2
    return len(data), 0xFFFFFFFF


def _lacks_samples(data: bytes) -> bool:
    begin, size = wav_samples(data)
    return size not in _UNKNOWN_SIZES and len(data) - begin < size


def _ends_with_last_page(data: bytes) -> bool:
    at = data.rfind(b"OggS")
    if at < 0 or len(data) < at + _OGG_HEADER:
        return False
    segments = data[at + _OGG_HEADER - 1]
    lacing = data[at + _OGG_HEADER : at + _OGG_HEADER + segments]
    whole = len(lacing) == segments and len(data) >= at + _OGG_HEADER + segments + sum(lacing)
    return whole and bool(data[at + 5] & _LAST_PAGE)
