"""Recordings cut off: at shares of their length, and at each part of their container."""

from __future__ import annotations

from collections.abc import Iterator

Files = Iterator[tuple[str, bytes]]

_SHARES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.9, 0.99)
_FEW_SHARES = (0.01, 0.5)

_MP4 = (b"ftyp", b"moov", b"mdhd", b"stsd", b"stts", b"stsz", b"stco", b"mdat")
_MATROSKA = (
    b"\x18\x53\x80\x67",
    b"\x15\x49\xa9\x66",
    b"\x16\x54\xae\x6b",
    b"\x1f\x43\xb6\x75",
    b"\x1c\x53\xbb\x6b",
)
_OGG = (b"OggS",)
_RIFF = (b"fmt ", b"data")

# By the first word of the kind's name.
_TAGS = {
    "mp3": (b"ID3", b"Xing", b"Info", b"TAG"),
    "m4a": _MP4,
    "mov": _MP4,
    "3gp": _MP4,
    "mp4": (*_MP4, b"moof", b"tfdt", b"trun", b"mfra"),
    "mkv": _MATROSKA,
    "webm": _MATROSKA,
    "ogg": _OGG,
    "opus": (*_OGG, b"OpusTags"),
    "flac": (b"fLaC", b"\xff\xf8"),
    "wav": _RIFF,
    "rf64": (b"ds64", *_RIFF),
    "w64": _RIFF,
    "aiff": (b"COMM", b"SSND"),
    "caf": (b"desc", b"data"),
    "au": (b".snd",),
    "amr": (b"AMR",),
    "avi": (b"avih", b"strh", b"strf", b"movi", b"idx1"),
    "flv": (b"FLV", b"onMetaData"),
    # File properties and data of ASF, by the first half of their GUIDs.
    "asf": (b"\xa1\xdc\xab\x8c", b"\x36\x26\xb2\x75"),
}


def truncations(kind: str, whole: bytes, *, few: bool) -> Files:
    """Yield a recording cut off at each place that matters, every length once."""
    shares = _FEW_SHARES if few else _SHARES
    places = {f"at-{share:.1%}": max(1, int(share * len(whole))) for share in shares}
    places["without-its-last-byte"] = len(whole) - 1
    for tag in () if few else _TAGS.get(kind.partition("-")[0], ()):
        places |= _at_tag(whole, tag)
    known = {len(whole)}
    for label, length in places.items():
        if length not in known:
            known.add(length)
            yield f"cut-{label}", whole[:length]


def _at_tag(whole: bytes, tag: bytes) -> dict[str, int]:
    """Cut inside the header of the first such part, and before the last one."""
    first, last = whole.find(tag), whole.rfind(tag)
    if first < 0:
        return {}
    name = tag.decode("ascii").strip(" .") if tag.isascii() and tag.strip(b" .").isalnum() else tag.hex()
    places = {f"in-{name}": first + len(tag) + 2}
    return places if last == first else {**places, f"before-last-{name}": last}
