"""Recordings whose headers lie: about durations, sizes, rates and channels."""

from __future__ import annotations

import random
import struct

from tests.hostile import packing
from tests.hostile.originals import Originals
from tests.hostile.packing import behind, behind_all, written
from tests.hostile.truncation import Files

_HUGE = b"\xff\xff\xff\xff"
_SIGNED_HUGE = b"\x7f\xff\xff\xff"
_20_MINUTES_S = 20 * 60
_SELDOM = (*[0] * 12, 1, 3, 5)


def mp3_lies(originals: Originals) -> Files:
    """Xing headers, and frames that say other than their neighbours."""
    for kind, tag in (("mp3-xing", b"Info"), ("mp3-vbr", b"Xing")):
        whole = originals[kind]
        at = whole.index(tag) + 8
        frames = int.from_bytes(whole[at : at + 4], "big")
        for label, count in (
            ("1000-times", frames * 1000),
            ("0", 0),
            ("huge", 0xFFFF_FFFF),
            ("half", frames // 2),
        ):
            yield f"{kind}.frames-{label}.mp3", written(whole, at, struct.pack(">I", count))
        yield f"{kind}.bytes-0.mp3", written(whole, at + 4, bytes(4))
        yield f"{kind}.bytes-huge.mp3", written(whole, at + 4, _HUGE)
        yield f"{kind}.padding-huge.mp3", written(whole, at + 133, b"\xff\xff\xff")
    yield from _mp3_that_may_grow(packing.mp3_frames(originals["mp3-bare"]))


def _mp3_that_may_grow(frames: list[bytes]) -> Files:
    chance = random.Random("growing")
    yield "frames-doubled.mp3", b"".join(frame * 2 for frame in frames)
    yield "frames-shuffled.mp3", b"".join(chance.sample(frames, len(frames)))
    yield "frames-halved.mp3", b"".join(frame[: len(frame) // 2] for frame in frames)
    yield (
        "words-of-sync.mp3",
        b"".join(frame + b"\xff\xfb\x94\xc4" * chance.choice(_SELDOM) for frame in frames),
    )
    yield (
        "noise-between.mp3",
        b"".join(frame + chance.randbytes(40 * chance.choice(_SELDOM)) for frame in frames),
    )
    for label, byte in (("rates", 0x0C), ("bit-rates", 0xF0), ("all-fields", 0xFC)):
        lying = [written(f, 2, bytes([f[2] ^ (chance.choice(_SELDOM) * 37 & byte)])) for f in frames]
        yield f"frames-with-other-{label}.mp3", b"".join(lying)
    mixed = [written(f, 3, bytes([f[3] ^ chance.randrange(4) << 6])) for f in frames]
    yield "frames-with-other-channels.mp3", b"".join(mixed)


def mp4_lies(originals: Originals) -> Files:
    """Durations, time scales and tables of MP4."""
    whole = originals["m4a"]
    long = struct.pack(">I", 12_000_000)
    for name, scale, duration in ((b"mvhd", 12, 16), (b"mdhd", 12, 16)):
        label = name.decode()
        yield f"{label}-duration-1000-times.m4a", behind(whole, name, duration, long)
        yield f"{label}-duration-0.m4a", behind(whole, name, duration, bytes(4))
        yield f"{label}-duration-huge.m4a", behind(whole, name, duration, _HUGE)
        yield f"{label}-scale-0.m4a", behind(whole, name, scale, bytes(4))
        yield f"{label}-scale-1.m4a", behind(whole, name, scale, b"\0\0\0\1")
        yield f"{label}-scale-negative.m4a", behind(whole, name, scale, _HUGE)
    both = behind(behind(whole, b"mvhd", 16, long), b"mdhd", 16, struct.pack(">I", 48_000 * 12_000))
    yield "all-durations-1000-times.m4a", both
    yield "stts-delta-huge.m4a", behind(whole, b"stts", 12, _SIGNED_HUGE)
    yield "stts-delta-100-times.m4a", behind(whole, b"stts", 12, struct.pack(">I", 102_400))
    yield "stts-delta-0.m4a", behind(whole, b"stts", 12, bytes(4))
    for name in (b"stts", b"stsc", b"stco"):
        yield f"{name.decode()}-count-huge.m4a", behind(whole, name, 4, _HUGE)
    yield "stsz-count-huge.m4a", behind(whole, b"stsz", 8, _HUGE)
    yield "stsz-all-2-gb.m4a", behind(whole, b"stsz", 4, _SIGNED_HUGE)
    yield "stco-beyond-the-end.m4a", behind(whole, b"stco", 8, _SIGNED_HUGE)
    yield "elst-starts-late.m4a", behind(whole, b"elst", 12, _SIGNED_HUGE)
    yield "elst-huge.m4a", behind(whole, b"elst", 8, _HUGE)
    yield "channels-255.m4a", behind(whole, b"mp4a", 16, b"\0\xff")
    yield "rate-0.m4a", behind(whole, b"mp4a", 24, bytes(4))
    yield "pcm-channels-0.mov", behind(originals["mov-pcm"], b"sowt", 16, bytes(2))
    yield "pcm-channels-65535.mov", behind(originals["mov-pcm"], b"sowt", 16, b"\xff\xff")
    yield "pcm-rate-0.mov", behind(originals["mov-pcm"], b"sowt", 24, bytes(4))
    yield from _fragment_lies(originals["mp4-fragmented"])


def _fragment_lies(whole: bytes) -> Files:
    last = whole.rindex(b"tfdt") + 8
    size = 8 if whole[last - 4] else 4
    for label, ticks in (("20-minutes-later", 48_000 * _20_MINUTES_S), ("in-the-past", 0), ("huge", 1 << 31)):
        yield f"last-fragment-{label}.mp4", written(whole, last, ticks.to_bytes(size, "big"))
    yield "trun-count-huge.mp4", behind_all(whole, b"trun", 4, _SIGNED_HUGE)


def riff_lies(originals: Originals) -> Files:
    """Sizes and formats of WAV and AVI."""
    whole = originals["wav"]
    for label, size in (
        ("0", bytes(4)),
        ("huge", b"\xfe\xff\xff\x7f"),
        ("unknown", _HUGE),
        ("odd", b"\x01\0\0\0"),
    ):
        yield f"riff-size-{label}.wav", written(whole, 4, size)
        yield f"data-size-{label}.wav", behind(whole, b"data", 0, size)
        yield f"both-sizes-{label}.wav", written(behind(whole, b"data", 0, size), 4, size)
    yield "fmt-size-huge.wav", behind(whole, b"fmt ", 0, _HUGE)
    for label, offset, new in _FORMAT_LIES:
        yield f"{label}.wav", behind(whole, b"fmt ", offset, new)
    yield "adpcm-block-0.wav", behind(originals["wav-adpcm"], b"fmt ", 16, bytes(2))
    yield "adpcm-block-65535.wav", behind(originals["wav-adpcm"], b"fmt ", 16, b"\xff\xff")
    yield "ds64-huge.wav", behind(originals["rf64"], b"ds64", 4, b"\xff" * 16)
    yield "ds64-0.wav", behind(originals["rf64"], b"ds64", 4, bytes(24))
    at = originals["w64"].index(b"data") + 16
    yield "data-size-huge.w64", written(originals["w64"], at, b"\xff" * 7 + b"\x7f")
    yield "data-size-0.w64", written(originals["w64"], at, bytes(8))
    yield from _avi_lies(originals["avi"])


_FORMAT_LIES = (
    ("codec-unknown", 4, b"\xee\xee"),
    ("codec-mp3", 4, b"\x55\0"),
    ("channels-0", 6, bytes(2)),
    ("channels-255", 6, b"\xff\0"),
    ("channels-65535", 6, b"\xff\xff"),
    ("rate-0", 8, bytes(4)),
    ("rate-1", 8, b"\1\0\0\0"),
    ("rate-huge", 8, b"\xff\xff\xff\x7f"),
    ("rate-negative", 8, _HUGE),
    ("byte-rate-0", 12, bytes(4)),
    ("byte-rate-1", 12, b"\1\0\0\0"),
    ("block-0", 16, bytes(2)),
    ("block-65535", 16, b"\xff\xff"),
    ("bits-0", 18, bytes(2)),
    ("bits-255", 18, b"\xff\0"),
)


def _avi_lies(whole: bytes) -> Files:
    audio = whole.index(b"strhB\0\0\0") if b"strhB\0\0\0" in whole else whole.rindex(b"strh")
    for label, offset, new in (
        ("scale-0", 24, bytes(4)),
        ("rate-0", 28, bytes(4)),
        ("length-huge", 36, _HUGE),
    ):
        yield f"{label}.avi", written(whole, audio + 4 + offset, new)
    yield "start-late.avi", written(whole, audio + 36, struct.pack("<I", 50_000))
    yield "index-0.avi", behind(whole, b"idx1", 4, bytes(1600))


def flac_lies(originals: Originals) -> Files:
    """STREAMINFO: rate (20 bits), channels (3), depth (5), and the count of samples (36)."""
    whole = originals["flac"]
    (info,) = struct.unpack_from(">Q", whole, 18)
    most = (1 << 36) - 1
    lies = {
        "samples-0": info & ~most,
        "samples-huge": info | most,
        "samples-1000-times": info & ~most | 192_000 * 1000,
        "samples-half": info & ~most | 96_000,
        "rate-0": info & (1 << 44) - 1,
        "rate-huge": info | 0xFFFFF << 44,
        "channels-8": info | 7 << 41,
        "depth-32": info | 31 << 36,
    }
    for label, lie in lies.items():
        yield f"{label}.flac", written(whole, 18, struct.pack(">Q", lie))
    yield "block-size-0.flac", written(whole, 8, bytes(4))
    yield "ogg-samples-huge.oga", behind(originals["ogg-flac"], b"fLaC", 14, struct.pack(">Q", info | most))


def matroska_lies(originals: Originals) -> Files:
    """Durations, time scales, rates and channels of Matroska."""
    whole = originals["mkv"]
    for label, value in (
        ("1000-times", 1.2e7),
        ("0", 0.0),
        ("huge", 1e300),
        ("negative", -1e6),
        ("nan", float("nan")),
    ):
        yield f"duration-{label}.mkv", behind(whole, b"\x44\x89\x88", 0, struct.pack(">d", value))
    for label, scale in (("100-times", 100_000_000), ("0", 0), ("1", 1)):
        at = whole.index(b"\x2a\xd7\xb1\x83") + 4
        yield f"scale-{label}.mkv", written(whole, at, scale.to_bytes(4, "big")[-3:])
    for label, rate in (("0", 0.0), ("infinite", float("inf")), ("huge", 1e18), ("negative", -48_000.0)):
        yield f"rate-{label}.mkv", behind(whole, b"\xb5\x88", 0, struct.pack(">d", rate))
    yield "channels-0.mkv", behind(whole, b"\x9f\x81", 0, b"\0")
    yield "channels-255.mkv", behind(whole, b"\x9f\x81", 0, b"\xff")
    last = whole.rindex(b"\x1f\x43\xb6\x75")
    clock = whole.index(b"\xe7\x82", last) + 2
    yield "last-cluster-a-minute-later.mkv", written(whole, clock, b"\xff\xff")
    yield "last-cluster-at-0.mkv", written(whole, clock, bytes(2))
    yield "cluster-size-huge.mkv", written(whole, last + 4, b"\x01" + b"\x0f" * 7)
    yield "block-lacing.mkv", behind_all(whole, b"\x81\x00", 2, b"\x86")


def ogg_lies(originals: Originals) -> Files:
    """The heads of Opus and Vorbis, with the pages' sums computed anew."""
    for label, offset, new in (
        ("channels-255", 1, b"\xff"),
        ("channels-0", 1, b"\0"),
        ("skip-huge", 2, b"\xff\xff"),
    ):
        lying = behind(originals["opus"], b"OpusHead", offset, new)
        yield f"{label}.opus", packing.with_granules(lying, lambda _, position: position)
    for label, offset, new in (
        ("channels-255", 4, b"\xff"),
        ("rate-0", 5, bytes(4)),
        ("rate-huge", 5, _HUGE),
    ):
        lying = behind(originals["ogg"], b"\x01vorbis", offset, new)
        yield f"{label}.ogg", packing.with_granules(lying, lambda _, position: position)


def plain_lies(originals: Originals) -> Files:
    """AIFF, AU, CAF, AMR, ASF, FLV, ADTS and AC-3."""
    aiff, au, caf = originals["aiff"], originals["au"], originals["caf"]
    for label, offset, new in (
        ("channels-0", 4, bytes(2)),
        ("frames-huge", 6, _HUGE),
        ("rate-0", 12, bytes(10)),
    ):
        yield f"{label}.aiff", behind(aiff, b"COMM", offset, new)
    yield "ssnd-size-0.aiff", behind(aiff, b"SSND", 0, bytes(4))
    for label, at, new in (
        ("rate-0", 16, bytes(4)),
        ("channels-255", 20, b"\0\0\0\xff"),
        ("size-huge", 8, _SIGNED_HUGE),
    ):
        yield f"{label}.au", written(au, at, new)
    yield "data-size-0.au", written(au, 8, bytes(4))
    for label, offset, new in (
        ("rate-0", 8, bytes(8)),
        ("channels-255", 32, b"\0\0\0\xff"),
        ("packets-0", 24, bytes(8)),
    ):
        yield f"{label}.caf", behind(caf, b"desc", offset, new)
    yield "data-size-huge.caf", behind(caf, b"data", 0, b"\x7f" + b"\xff" * 7)
    amr = originals["amr"]
    yield (
        "no-data.amr",
        amr[:6] + bytes(byte | 0x78 if n % 32 == 0 else byte for n, byte in enumerate(amr[6:])),
    )
    properties = originals["asf"].index(b"\xa1\xdc\xab\x8c")
    for label, offset, new in (
        ("duration-huge", 64, b"\xff" * 8),
        ("duration-0", 64, bytes(8)),
        ("packet-0", 92, bytes(8)),
    ):
        yield f"{label}.wma", written(originals["asf"], properties + offset, new)
    yield from _stream_lies(originals)


def _stream_lies(originals: Originals) -> Files:
    adts = bytearray(originals["aac"])
    for at in packing.adts_frames(originals["aac"]):
        adts[at + 2] |= 0x3C
    yield "rate-index-15.aac", bytes(adts)
    ac3 = originals["ac3"]
    yield "rate-code-3.ac3", behind_all(ac3, b"\x0b\x77", 2, b"\xff")
    yield "duration-huge.flv", behind(originals["flv"], b"duration\0", 0, struct.pack(">d", 1e12))
