"""Recordings with damage inside: flipped bits, and blocks that are overwritten, doubled, lost or swapped."""

from __future__ import annotations

import random

from tests.hostile.truncation import Files

_HEADER = 64
_BLOCK = 4096


def flips(kind: str, whole: bytes, *, few: bool) -> Files:
    """Yield a recording with bits flipped in its header, in its middle, and all over at two rates."""
    middle = len(whole) // 2
    yield "flipped-head", _flipped(whole, range(2 * _BLOCK), 40, f"{kind} head")
    yield "flipped-middle", _flipped(whole, range(middle, middle + _BLOCK), 100, f"{kind} middle")
    if few:
        return
    yield "flipped-header", _flipped(whole, range(_HEADER), 4, f"{kind} header")
    yield "flipped-seldom", _flipped(whole, range(len(whole)), len(whole) // 5000, f"{kind} seldom")
    yield "flipped-often", _flipped(whole, range(len(whole)), len(whole) // 200, f"{kind} often")


def blocks(kind: str, whole: bytes, *, few: bool) -> Files:
    """Yield a recording with a block overwritten, doubled, lost, or at another's place."""
    start, end = len(whole) // 3, len(whole) // 3 + max(_BLOCK, len(whole) // 8)
    before, block, after = whole[:start], whole[start:end], whole[end:]
    yield "block-of-zeros", before + bytes(len(block)) + after
    yield "block-of-noise", before + random.Random(kind).randbytes(len(block)) + after
    if few:
        return
    yield "block-twice", before + block + block + after
    yield "block-lost", before + after
    yield "blocks-swapped", before + after[: len(block)] + block + after[len(block) :]


def _flipped(whole: bytes, where: range, count: int, seed: str) -> bytes:
    chance = random.Random(seed)
    content = bytearray(whole)
    for _ in range(max(1, count)):
        at = chance.choice(where) % len(content)
        content[at] ^= 1 << chance.randrange(8)
    return bytes(content)
