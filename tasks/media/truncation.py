"""Whether a file is all there: its size against what its header says, and its end.

libavformat takes the size of what it finds for what was meant, and stops at a hole without a word. What is
looked at here are the few bytes in which a container states how long the file is, or where its end is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from stenoflow.tasks.media.safe_open import Opened

# Written by programs that could not know the size, or that write RF64.
_RIFF_UNKNOWN = 0x7FFF_F000
_HEAD_BYTES = 1 << 16
_OGG_PAGE_BYTES = 1 << 16
_OGG_END = 4
# "File Properties Object" of ASF, and where in it the size stands.
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_SIZE_AT = 40
_W64_RIFF = b"riff\x2e\x91\xcf\x11"
# Formats whose readers stop at a hole, and the boxes that may stand behind the sound of an MP4.
_STOP_AT_HOLES = {"mov,mp4,m4a,3gp,3g2,mj2", "ogg", "voc"}
_BEHIND_SOUND = {b"moov", b"mfra", b"free", b"skip", b"udta", b"meta", b"uuid", b"wide", b"sidx", b"emsg"}
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}
_UNREAD_BYTES = 1 << 20
_UNREAD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Extent:
    """Which bytes of a file hold the packets of a stream.

    Attributes:
        start: where the first packet begins.
        end: where the last one ends.
        span_ms: how long the sound in between lasts.
    """

    start: int
    end: int
    span_ms: int


def lost_ms(file: Opened, extent: Extent) -> int:
    """Say how much sound the file is shorter by than its header says, going by the bytes of what is there."""
    size, _ = file.stamp
    lost = (_declared_bytes(file) or 0) - size
    if lost <= 0 or extent.end <= extent.start:
        return 0
    return lost * extent.span_ms // (extent.end - extent.start)


def breaks_off(file: Opened, container: str, extent: Extent, *, has_video: bool) -> bool:
    """Tell whether the file ends, or could be read, only to some place before its own end."""
    if container == "ogg" and not _ogg_ends(file):
        return True
    size, _ = file.stamp
    unread = size - extent.end
    if has_video or container not in _STOP_AT_HOLES or unread < max(_UNREAD_BYTES, _UNREAD_SHARE * size):
        return False
    return _read(file, extent.end + 4, 4) not in _BEHIND_SOUND


def is_unfinished(file: Opened) -> bool:
    """Tell by its container whether a file's end is missing: it is still being written, or was cut off."""
    size, _ = file.stamp
    head = _read(file, 0, _HEAD_BYTES)
    if head.startswith(b"OggS"):
        return not _ogg_ends(file)
    if head[4:8] in _FIRST_BOXES:
        return not _mp4_ends(file)
    if head.startswith(b"FORM") and head[8:11] == b"AIF":
        return int.from_bytes(head[4:8]) + 8 > size
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE" and 0 < _unsized_wave_data_at(head) < size:
        return True
    return (_declared_bytes(file) or 0) > size


def _unsized_wave_data_at(head: bytes) -> int:
    """Return where the sound of a WAV begins whose size is not written yet, which is done last; else 0."""
    at = 12
    while at + 8 <= len(head):
        length = _little(head, at + 4, 4)
        if head[at : at + 4] == b"data":
            return 0 if length else at + 8
        at += 8 + length + length % 2
    return 0


def _mp4_ends(file: Opened) -> bool:
    """Tell whether the last box is whole, and there is one that says what the sound is."""
    size, _ = file.stamp
    at, has_index = 0, False
    while at + 8 <= size:
        box = _read(file, at, 16)
        length = int.from_bytes(box[:4])
        if length == 1:
            length = int.from_bytes(box[8:16])
        has_index = has_index or box[4:8] == b"moov"
        at = at + length if length >= 8 else size
    return has_index and at <= size


def _declared_bytes(file: Opened) -> int | None:
    """Return the size that the header states; None where it states none."""
    head = _read(file, 0, _HEAD_BYTES)
    if head.startswith((b"RF64", b"BW64")) and head[12:16] == b"ds64":
        return _little(head, 20, 8) + 8
    if head.startswith(b"RIFF"):
        declared = _little(head, 4, 4) + 8
        return declared if declared < _RIFF_UNKNOWN else None
    if head.startswith(_W64_RIFF):
        return _little(head, 16, 8)
    if (properties := head.find(_ASF_PROPERTIES)) >= 0:
        return _little(head, properties + _ASF_SIZE_AT, 8)
    return None


def _ogg_ends(file: Opened) -> bool:
    """Tell whether the last page is whole and marked as the end of a stream (RFC 3533, section 6)."""
    size, _ = file.stamp
    tail = _read(file, max(0, size - 2 * _OGG_PAGE_BYTES), 2 * _OGG_PAGE_BYTES)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    lacing = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return bool(lacing) and page[5] & _OGG_END != 0 and len(page) >= 27 + len(lacing) + sum(lacing)


def _read(file: Opened, at: int, size: int) -> bytes:
    return os.pread(file.handle, size, at)


def _little(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")
