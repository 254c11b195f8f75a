"""Recordings put together from parts of two."""

from __future__ import annotations

from tests.hostile.originals import KINDS, Originals
from tests.hostile.truncation import Files

_PAIRS = (
    ("mp3-xing", "flac"),
    ("flac", "mp3-bare"),
    ("wav", "mp3-bare"),
    ("wav", "aac"),
    ("m4a-faststart", "mkv"),
    ("mkv", "m4a-faststart"),
    ("mkv", "webm"),
    ("ogg", "opus"),
    ("opus", "ogg"),
    ("aac", "mp3-bare"),
    ("aiff", "wav"),
    ("caf", "aiff"),
    ("au", "wav-8bit"),
    ("amr", "aac"),
    ("avi", "mpegts"),
    ("mpegts", "mpeg"),
    ("flv", "aac"),
    ("ac3", "eac3"),
    ("w64", "rf64"),
    ("asf", "wav"),
    ("mp4-fragmented", "m4a-faststart"),
)
_HEADS = (48, 1024)


def swapped_headers(originals: Originals) -> Files:
    """Yield the head of one kind on the body of another, under the head's name."""
    for head, body in _PAIRS:
        for size in _HEADS:
            content = originals[head][:size] + originals[body][size:]
            yield f"{head}.{size}-bytes-on-{body}.{KINDS[head].suffix}", content


def concatenated(originals: Originals) -> Files:
    """Yield one file behind another, and some behind themselves."""
    pairs = (
        *_PAIRS,
        *((kind, kind) for kind in ("mp3-xing", "wav", "flac", "m4a", "ogg", "aac", "mpegts", "mkv")),
    )
    for first, second in pairs:
        yield f"{first}.before-{second}.{KINDS[first].suffix}", originals[first] + originals[second]
