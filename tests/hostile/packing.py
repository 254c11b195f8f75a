"""Fields and frames of the containers, as far as lies about them need it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

Change = Callable[[float, int], int]
"""From a time, and which share of the file lies before it, to another time."""


def written(whole: bytes, at: int, new: bytes) -> bytes:
    """Return it with ``new`` written over what stood at ``at``."""
    return whole[:at] + new + whole[at + len(new) :]


def behind(whole: bytes, tag: bytes, offset: int, new: bytes) -> bytes:
    """Return it with ``new`` written so far behind the first ``tag``."""
    return written(whole, whole.index(tag) + len(tag) + offset, new)


def behind_all(whole: bytes, tag: bytes, offset: int, new: bytes) -> bytes:
    """Return it with ``new`` written so far behind every ``tag``."""
    at = -1
    while (at := whole.find(tag, at + 1)) >= 0:
        whole = written(whole, at + len(tag) + offset, new)
    return whole


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box of MP4 or QuickTime."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def element(identity: bytes, *content: bytes) -> bytes:
    """Return an element of Matroska, its size in eight bytes."""
    body = b"".join(content)
    return identity + b"\x01" + len(body).to_bytes(7, "big") + body


def adts_frames(whole: bytes) -> Iterator[int]:
    """Yield where the frames of an ADTS stream start."""
    at = 0
    while at + 7 <= len(whole):
        yield at
        at += max(7, int.from_bytes(whole[at + 3 : at + 6], "big") >> 5 & 0x1FFF)


def mp3_frames(whole: bytes) -> list[bytes]:
    """Return the frames of an MP3 of 48 kHz."""
    rates = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    frames, at = [], whole.index(b"\xff\xfb")
    while at + 4 <= len(whole) and whole[at] == 0xFF:
        size = 144_000 * rates[whole[at + 2] >> 4] // 48_000 + (whole[at + 2] >> 1 & 1)
        frames.append(whole[at : at + size])
        at += size
    return frames


def with_granules(whole: bytes, change: Change) -> bytes:
    """Return an Ogg stream whose granule positions are changed, its sums right."""
    pages = list(_ogg_pages(whole))
    return b"".join(_repositioned(page, at / len(pages), change) for at, page in enumerate(pages))


def _ogg_pages(whole: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(whole):
        segments = whole[at + 26]
        size = 27 + segments + sum(whole[at + 27 : at + 27 + segments])
        yield whole[at : at + size]
        at += size


def _repositioned(page: bytes, share: float, change: Change) -> bytes:
    (position,) = struct.unpack_from("<q", page, 6)
    # Headers lie at 0, and a page on which no packet ends at -1.
    new = change(share, position) if position > 0 else position
    blank = written(written(page, 6, struct.pack("<q", new)), 22, bytes(4))
    return written(blank, 22, struct.pack("<I", _ogg_sum(blank)))


def _ogg_sum(page: bytes) -> int:
    total = 0
    for byte in page:
        total = (total << 8 & 0xFFFF_FFFF) ^ _SUMS[total >> 24 ^ byte]
    return total


def _sum_of(byte: int) -> int:
    total = byte << 24
    for _ in range(8):
        total = (total << 1 ^ 0x04C1_1DB7) & 0xFFFF_FFFF if total >> 31 else total << 1
    return total


_SUMS = [_sum_of(byte) for byte in range(256)]


def with_pts(whole: bytes, change: Change) -> bytes:
    """Return an MPEG transport stream whose times are changed, in ticks of 90 kHz."""
    content = bytearray(whole)
    for packet in range(0, len(content) - 187, 188):
        at = content.find(b"\x00\x00\x01\xc0", packet, packet + 188)
        if content[packet + 1] & 0x40 and at >= 0 and content[at + 7] & 0x80:
            field = content[at + 9 : at + 14]
            ticks = (
                (field[0] >> 1 & 7) << 30
                | field[1] << 22
                | field[2] >> 1 << 15
                | field[3] << 7
                | field[4] >> 1
            )
            content[at + 9 : at + 14] = _pts(
                field[0] & 0xF0, change(packet / len(content), ticks) % (1 << 33)
            )
    return bytes(content)


def _pts(mark: int, ticks: int) -> bytes:
    high, middle, low = ticks >> 30 & 7, ticks >> 15 & 0x7FFF, ticks & 0x7FFF
    return struct.pack(">BHH", mark | high << 1 | 1, middle << 1 | 1, low << 1 | 1)


def with_flv_times(whole: bytes, change: Change) -> bytes:
    """Return an FLV whose tags' times are changed, in ms."""
    content = bytearray(whole)
    at = 13
    while at + 11 <= len(content):
        size = int.from_bytes(content[at + 1 : at + 4], "big")
        ms = content[at + 7] << 24 | int.from_bytes(content[at + 4 : at + 7], "big")
        new = (change(at / len(content), ms) % (1 << 32)).to_bytes(4, "big")
        content[at + 4 : at + 8] = new[1:] + new[:1]
        at += 15 + size
    return bytes(content)
