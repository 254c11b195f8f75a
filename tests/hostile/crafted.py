"""Files made by hand: what is no sound under sound's names, and containers built to hurt their readers."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import zipfile

from tests.hostile.flac_silence import flac_silence
from tests.hostile.originals import Originals
from tests.hostile.packing import box, element
from tests.hostile.truncation import Files

_TITLE_BYTES = 2 << 20
_TRACKS = b"\x16\x54\xae\x6b"
_CLUSTER = b"\x1f\x43\xb6\x75"
_PICTURE_BYTES = 8 << 20


def not_sound(originals: Originals) -> Files:
    """Yield what is no sound, or sound wrapped in something else."""
    noise = random.Random("noise").randbytes(300_000)
    for suffix in ("mp3", "wav", "m4a", "ogg", "bin"):
        yield f"random.{suffix}", noise
        yield f"one-byte.{suffix}", b"\xff"
    yield "empty.mp3", b""
    yield "zeros.mp3", bytes(1_000_000)
    yield "zeros.wav", bytes(1_000_000)
    yield "ones.mp3", b"\xff" * 300_000
    yield "words-of-sync.mp3", b"\xff\xfb\x90\x64" * 75_000
    yield "words-of-adts.aac", b"\xff\xf1\x50\x80\x00\x1f\xfc" * 40_000
    yield "text.mp3", b"Minutes of the meeting, as text.\n" * 5000
    yield "text-in-two-bytes.mp3", ("Minutes of the meeting.\n" * 5000).encode("utf-16")
    yield "json.wav", b'{"text": "hello"}'
    yield from _documents(originals["mp3-bare"])


def _documents(sound: bytes) -> Files:
    yield "page.mp3", b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n"
    yield "drawing.mp3", b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1"/></svg>'
    yield (
        "document.mp3",
        b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\nxref\ntrailer<</Root 1 0 R>>\n%%EOF\n" * 50,
    )
    yield (
        "program.mp3",
        b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x3e\0\1" + random.Random("elf").randbytes(50_000),
    )
    yield "script.mp3", b"#!/bin/sh\ntouch canary\n"
    yield "gzip.mp3", gzip.compress(sound, mtime=0)
    yield "bomb.mp3", gzip.compress(bytes(50_000_000), mtime=0)
    for label, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        raw = io.BytesIO()
        with zipfile.ZipFile(raw, "w", method) as archive:
            archive.writestr(zipfile.ZipInfo("../canary.mp3"), sound)
        yield f"zip-{label}.mp3", raw.getvalue()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        entry = tarfile.TarInfo("/canary.mp3")
        entry.size = len(sound)
        tar.addfile(entry, io.BytesIO(sound))
    yield "tar.mp3", raw.getvalue()
    yield "laughs.mp3", _laughs()
    yield "midi.mid", b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0"
    yield (
        "picture.mp3",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\2\0\0\0" + bytes(500),
    )
    yield "database.mp3", b"SQLite format 3\0" + bytes(4080)


def _laughs() -> bytes:
    names = [f"e{number}" for number in range(12)]
    entities = "".join(f'<!ENTITY {a} "{f"&{b};" * 10}">' for a, b in zip(names[1:], names, strict=False))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{entities}]><x>&e11;</x>'.encode()


def heavy(originals: Originals) -> Files:
    """Yield containers with tags, pictures, boxes and tracks beyond all measure."""
    sound, flac = originals["mp3-bare"], originals["flac"]
    yield "tag-of-256-mb.mp3", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + sound
    yield "tag-of-256-mb-alone.mp3", b"ID3\4\0\0\x7f\x7f\x7f\x7f"
    title = b"TIT2" + _synchsafe(_TITLE_BYTES + 1) + b"\0\0\3" + b"x" * _TITLE_BYTES
    yield "long-title.mp3", b"ID3\4\0\0" + _synchsafe(len(title)) + title + sound
    many = b"".join(b"TXXX\0\0\0\x08\0\0\3k%04x\0v" % number for number in range(5_000))
    yield "many-tags.mp3", b"ID3\3\0\0" + _synchsafe(len(many)) + many + sound
    yield "many-tags-in-tags.mp3", b"ID3\4\0\0\0\0\0\0" * 50_000 + sound
    picture = b"\0\0\0\3\0\0\0\x09image/png\0\0\0\0" + bytes(16) + struct.pack(">I", _PICTURE_BYTES)
    block = b"\6" + (len(picture) + _PICTURE_BYTES).to_bytes(3, "big") + picture + bytes(_PICTURE_BYTES)
    yield "large-picture.flac", flac[:4] + b"\0" + flac[5:42] + block + flac[42:]
    yield "comments-huge.flac", flac[:42] + b"\4\0\0\x08\0\0\0\0\xff\xff\xff\xff" + flac[42:]
    yield "many-chunks.wav", originals["wav"][:12] + b"JUNK\0\0\0\0" * 200_000 + originals["wav"][12:]
    yield "chunk-of-4-gb.wav", originals["wav"][:12] + b"LIST\xff\xff\xff\xff" + originals["wav"][12:]
    yield from _boxes(originals["m4a"])
    yield from _matroska(originals["mkv"])


def _boxes(whole: bytes) -> Files:
    moov = whole.rindex(b"moov") - 4
    ftyp, mdat, index = (
        whole[: whole.index(b"mdat") - 4],
        whole[whole.index(b"mdat") - 4 : moov],
        whole[moov:],
    )
    nested = b""
    for _ in range(20_000):
        nested = struct.pack(">I4s", len(nested) + 8, b"udta") + nested
    yield "deep.m4a", ftyp + mdat + box(b"moov", index[8:], nested)
    yield "deep-alone.m4a", ftyp + box(b"moov", nested)
    track = index[index.index(b"trak") - 4 :]
    track = track[: int.from_bytes(track[:4], "big")]
    yield "many-tracks.m4a", ftyp + mdat + box(b"moov", index[8:], track * 200)
    title = box(b"ilst", box(b"\xa9nam", box(b"data", b"\0\0\0\1", bytes(4), b"x" * _TITLE_BYTES)))
    meta = box(b"meta", bytes(4), box(b"hdlr", bytes(8), b"mdirappl", bytes(9)), title)
    yield "long-title.m4a", ftyp + mdat + box(b"moov", index[8:], box(b"udta", meta))
    yield "box-of-16-eb.m4a", ftyp + b"\0\0\0\1free" + b"\x7f" + b"\xff" * 7 + mdat + index
    yield "box-of-1-byte.m4a", ftyp + b"\0\0\0\1" * 1000 + mdat + index
    yield "moov-twice.m4a", ftyp + mdat + index + index


def _matroska(whole: bytes) -> Files:
    """Yield one whose only track has a long name, words that are no text, or a thousand brothers."""
    # Its identity stands in the list of what stands where, too.
    at = whole.rindex(_TRACKS, 0, whole.rindex(_CLUSTER))
    size, length = _size_at(whole, at + 4)
    before, after = whole[:at], whole[at + 4 + length + size :]
    entry = whole.index(b"\xae\x01", at)
    size, length = _size_at(whole, entry + 1)
    fields = whole[entry + 1 + length : entry + 1 + length + size]
    # Of unknown size, so that it may grow.
    segment = before.index(b"\x18\x53\x80\x67") + 4
    before = before[:segment] + b"\x01" + b"\xff" * 7 + before[segment + 8 :]
    tracks = {
        "long-name": [element(b"\xae", fields, element(b"\x53\x6e", b"x" * _TITLE_BYTES))],
        "name-of-no-text": [element(b"\xae", fields, element(b"\x53\x6e", b"\xff\xfe\x80\n\x1b[31m"))],
        "language-of-no-text": [element(b"\xae", fields, element(b"\x22\xb5\x9c", b"\xff\xfe"))],
        "many-tracks": [element(b"\xae", fields)] * 300,
    }
    for label, entries in tracks.items():
        yield f"{label}.mkv", before + element(_TRACKS, *entries) + after


def _size_at(content: bytes, at: int) -> tuple[int, int]:
    """Read an element's size, and of how many bytes it is."""
    length = 9 - content[at].bit_length()
    return int.from_bytes(content[at : at + length], "big") & (1 << 7 * length) - 1, length


def _synchsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def long_silence() -> Files:
    """Yield small files that last long."""
    yield "an-hour-in-6-kb.flac", flac_silence(3600, rate=8_000)
    yield "25-hours.flac", flac_silence(25 * 3600, rate=8_000)
    yield "100-years.flac", flac_silence(100 * 365 * 86_400, rate=1)
    yield "eight-channels.flac", flac_silence(60, rate=192_000, channels=8)
