"""FLAC of silence, written by hand: 14 bytes a frame of 65,535 samples."""

from __future__ import annotations

import struct
from itertools import count

_BLOCK = 65_535
# Of a frame; 0 where only STREAMINFO says it.
_CODES = {8_000: 4, 192_000: 3}


def flac_silence(seconds: int, *, rate: int, channels: int = 1) -> bytes:
    """Return so many seconds of digital silence."""
    samples = seconds * rate
    frames = -(-samples // _BLOCK)
    facts = rate << 44 | (channels - 1) << 41 | 15 << 36 | samples
    info = struct.pack(">HH6xQ16x", _BLOCK, _BLOCK, facts)
    return (
        b"fLaC\x80\0\0\x22"
        + info
        + b"".join(
            _frame(number, min(_BLOCK, samples - number * _BLOCK), _CODES.get(rate, 0), channels)
            for number in range(frames)
        )
    )


def _frame(number: int, samples: int, rate_code: int, channels: int) -> bytes:
    # Block size in 16 bits behind the number; depth of 16 bits.
    head = b"\xff\xf8" + bytes([0x70 | rate_code, channels - 1 << 4 | 8]) + _coded(number)
    head += struct.pack(">H", samples - 1)
    head += bytes([_sum(head, 8, 0x07)])
    body = head + b"\0\0\0" * channels
    return body + _sum(body, 16, 0x8005).to_bytes(2, "big")


def _coded(number: int) -> bytes:
    """Write a number as UTF-8 writes a character."""
    if number < 0x80:
        return bytes([number])
    for more in count(1):
        if number < 1 << 6 * more + (6 - more):
            break
    head = 0xFF << (7 - more) & 0xFF | number >> 6 * more
    return bytes([head, *(0x80 | number >> 6 * place & 0x3F for place in reversed(range(more)))])


def _sum(content: bytes, width: int, polynomial: int) -> int:
    total, top, mask = 0, 1 << width - 1, (1 << width) - 1
    for byte in content:
        total ^= byte << width - 8
        for _ in range(8):
            total = (total << 1 ^ polynomial) & mask if total & top else total << 1
    return total
