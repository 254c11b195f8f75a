"""Truncation: whether a file is all there, by its size against its header, and by its end.

libavformat takes the size of what it finds for what was meant, and stops at a hole without a word. What is
looked at here are the few bytes in which a container states how long the file is, or where its end is.

A size may also be too small: 32 bits hold 4 GiB, and a recorder that goes on writes the rest of a division
by that; one that broke down leaves the size of its last update.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

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
# Sizes of all ones, and the kinds of WAV that have theirs of 64 bits in a chunk called ds64, the first.
_UNKNOWN = (1 << 64) - 1
_SIZES_ELSEWHERE = (b"RF64", b"BW64")
# libavformat's packets of PCM.
_WAV_PACKET_BYTES = 4096
_TRIED_PACKETS = 4
# Less than this behind the sound is nobody's speech: a quarter of a second of telephony.
_UNCLAIMED_BYTES = 2_000
# No file has more chunks before its sound or behind it.
_MOST_CHUNKS = 1_000


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a container is made of chunks, each with a name and a size.

    Attributes:
        start: where the first chunk begins.
        sound: name of the chunk that holds the sound.
        size_bytes: how long a size is, behind a name as long as ``sound``.
        order: of the bytes of a size.
        counts_head: a size counts the name and itself.
        align: chunks begin at multiples of this.
    """

    start: int
    sound: bytes
    size_bytes: int
    order: Literal["little", "big"]
    counts_head: bool = False
    align: int = 1


_WAV = _Layout(12, b"data", 4, "little", align=2)
_AIFF = _Layout(12, b"SSND", 4, "big", align=2)
_CAF = _Layout(8, b"data", 8, "big")
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0O\x8e\xdb\x8a"
_W64 = _Layout(40, _W64_DATA, 8, "little", counts_head=True, align=8)
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF = _Layout(0, _ASF_DATA, 8, "little", counts_head=True)
_ASF_HEAD = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


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


def demuxer_options(file: Opened) -> dict[str, str]:
    """Return what libavformat has to be told of a file.

    To read on where a WAV's size is too small, and to try only the first packets of a WAV for DTS and the
    like, which says that it is PCM: the usual megabytes cost more than decoding some seconds. Where these
    are silent, what is behind the silence may be that.
    """
    layout = _layout(file)
    options = {}
    if layout in {_WAV, _W64} and any(_read(file, _WAV_PACKET_BYTES, _TRIED_PACKETS * _WAV_PACKET_BYTES)):
        options["max_probe_packets"] = str(_TRIED_PACKETS)
    if layout is _WAV and _is_larger(file, layout):
        options["ignore_length"] = "1"
    return options


def lost_ms(file: Opened, extent: Extent) -> int:
    """Say how much sound is not read, going by the bytes of what is.

    The file is shorter than its header says, or its header has the sound end where it goes on.
    """
    size, _ = file.stamp
    layout = _layout(file)
    lost = (_declared_bytes(file) or 0) - size
    if lost <= 0 and layout is not None and _is_larger(file, layout):
        lost = size - extent.end
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
    if head.startswith(_SIZES_ELSEWHERE) and head[12:16] == b"ds64":
        return _little(head, 20, 8) + 8
    if head.startswith(b"RIFF"):
        declared = _little(head, 4, 4) + 8
        return declared if declared < _RIFF_UNKNOWN else None
    if head.startswith(_W64_RIFF):
        return _little(head, 16, 8)
    if (properties := head.find(_ASF_PROPERTIES)) >= 0:
        return _little(head, properties + _ASF_SIZE_AT, 8)
    return None


def _layout(file: Opened) -> _Layout | None:
    head = _read(file, 0, 16)
    if head.startswith((b"RIFF", *_SIZES_ELSEWHERE)) and head[8:12] == b"WAVE":
        return _WAV
    if head.startswith(b"FORM") and head[8:12] in {b"AIFF", b"AIFC"}:
        return _AIFF
    if head.startswith(b"caff"):
        return _CAF
    if head.startswith(_W64_RIFF):
        return _W64
    return _ASF if head == _ASF_HEAD else None


def _is_larger(file: Opened, layout: _Layout) -> bool:
    """Tell whether the file goes on behind the stated end of its sound, with what are no further chunks."""
    size, _ = file.stamp
    end = _stated_end(file, layout)
    if end is None:
        return False
    behind = _chunks(file, layout, end)
    while size - end >= _UNCLAIMED_BYTES:
        name, _, end = next(behind, (b"\0", 0, 0))
        if len(name) == 4 and not all(0x20 <= letter < 0x7F for letter in name):
            return True
    # The last one may lack its padding.
    return end >= size + layout.align


def _stated_end(file: Opened, layout: _Layout) -> int | None:
    """Return where a file says that its sound ends; None where it says nothing."""
    for name, stated, end in _chunks(file, layout, layout.start):
        if name != layout.sound:
            continue
        if layout is _WAV and (head := _read(file, 0, 36)).startswith(_SIZES_ELSEWHERE):
            meant = _little(head, 28, 8)
            return end - stated + (meant if meant < _UNKNOWN >> 1 else 0)
        return None if stated in {0, _UNKNOWN >> (64 - 8 * layout.size_bytes)} else end
    return None


def _chunks(file: Opened, layout: _Layout, at: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the chunks from a place on: their names, their stated sizes, and where they end."""
    name_bytes = len(layout.sound)
    head_bytes = name_bytes + layout.size_bytes
    for _ in range(_MOST_CHUNKS):
        head = _read(file, at, head_bytes)
        if len(head) < head_bytes:
            return
        stated = int.from_bytes(head[name_bytes:], layout.order)
        end = at + (max(stated, head_bytes) if layout.counts_head else head_bytes + stated)
        at = -(-end // layout.align) * layout.align
        yield head[:name_bytes], stated, at


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
