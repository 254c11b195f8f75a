"""Files that name other files: whoever reads one must not open what it names.

Each names a bait, which lies beside it, in another folder, or behind a local address; `tests.hostile.baits`
makes them and sees when one is taken.
"""

from __future__ import annotations

from tests.hostile.baits import Baits
from tests.hostile.originals import Originals
from tests.hostile.packing import box
from tests.hostile.truncation import Files

_HLS = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:40\n{}#EXTINF:40,\n{}\n#EXT-X-ENDLIST\n"
_DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT40S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
    '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="64000"><BaseURL>{}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>"
)
# By the suffix that is its own.
_TEXTS = {
    "ffconcat": ("ffconcat version 1.0\nfile '{}'\n",),
    "concat": ("file '{}'\n", "concat:{0}|{0}", "subfile,,start,0,end,0,,:{}", "async:{}", "cache:{}"),
    "m3u8": (_HLS.format("", "{}"), _HLS.format('#EXT-X-MAP:URI="{0}"\n', "{0}")),
    "m3u": ("{}\n", "#EXTM3U\n#EXTINF:40,Canary\n{}\n"),
    "mpd": (_DASH,),
    "pls": ("[playlist]\nFile1={}\nTitle1=Canary\nLength1=40\nNumberOfEntries=1\nVersion=2\n",),
    "xspf": (
        (
            '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track>'
            "<location>{}</location></track></trackList></playlist>"
        ),
    ),
    "asx": ('<asx version="3.0"><entry><ref href="{}"/></entry></asx>', "[Reference]\nRef1={}\n"),
    "smil": ('<smil><body><seq><audio src="{}"/></seq></body></smil>',),
    "wpl": ('<?wpl version="1.0"?><smil><body><seq><media src="{}"/></seq></body></smil>',),
    "cue": ('FILE "{}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',),
    "qtl": ('<?xml version="1.0"?><?quicktime type="application/x-quicktime-media-link"?><embed src="{}"/>',),
    "avs": ('DirectShowSource("{}")\n', 'Import("{}")\n'),
    "svg": ('<svg xmlns:x="http://www.w3.org/1999/xlink"><image x:href="{}"/></svg>',),
    "html": ('<html><audio src="{0}"></audio><iframe src="{0}"></iframe></html>',),
    "url": ("[InternetShortcut]\nURL={}\n",),
    "xml": ('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY bait SYSTEM "{}">]><x>&bait;</x>',),
    "lavfi": ("amovie={}",),
}


def playlists(baits: Baits) -> Files:
    """Yield a playlist of each sort, naming the bait in each way, under sound's names and its own."""
    for sort, texts in _TEXTS.items():
        for number, text in enumerate(texts):
            for where, address in baits.addresses.items():
                yield f"{sort}-{number}.{where}.mp3", text.format(address).encode()
            # Programs go by the beginning, the name, or both.
            yield f"{sort}-{number}.{sort}", text.format(baits.addresses["beside"]).encode()


def session(baits: Baits) -> Files:
    """Yield a description of a stream on the network."""
    host, port = baits.host
    text = f"v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=audio {port} RTP/AVP 0\n".encode()
    for suffix in ("mp3", "sdp"):
        yield f"session.{suffix}", text
    yield "redirection.mp3", f"RTSPtextRTSP://{host}:{port}/canary.mp3\n".encode()


def polyglots(baits: Baits, originals: Originals) -> Files:
    """Yield playlists before, behind and inside sound."""
    sound = originals["mp3-bare"]
    for name, text in (
        ("ffconcat", _TEXTS["ffconcat"][0]),
        ("m3u8", _TEXTS["m3u8"][0]),
        ("mpd", _DASH),
    ):
        playlist = text.format(baits.addresses["beside"]).encode()
        yield f"{name}-then-sound.mp3", playlist + sound
        yield f"sound-then-{name}.mp3", sound + playlist
        size = len(playlist).to_bytes(4, "big")
        frame = b"TXXX" + size + b"\0\0" + playlist
        yield (
            f"{name}-in-a-tag.mp3",
            b"ID3\3\0\0\0\0" + bytes([len(frame) >> 7, len(frame) & 0x7F]) + frame + sound,
        )
    link = b"image/-->\0\3\0" + baits.addresses["absolute"].encode()
    frame = b"APIC" + len(link).to_bytes(4, "big") + b"\0\0\0" + link
    yield "linked-cover.mp3", b"ID3\3\0\0\0\0" + bytes([len(frame) >> 7, len(frame) & 0x7F]) + frame + sound


def patterns(originals: Originals) -> Files:
    """Yield names that a program could expand, with the bait's beside them."""
    for name in ("canary%02d.mp3", "canary*.mp3", "canary[0-9].mp3", "canary.mp3|canary.mp3"):
        yield name, b"no sound"
        yield f"{name}.wav", originals["wav"]


def references(baits: Baits) -> Files:
    """Yield QuickTime movies whose sound lies in another file."""
    for where, address in baits.addresses.items():
        yield f"url.{where}.mov", _movie(box(b"url ", bytes(4), address.encode() + b"\0"))
        yield f"url.{where}.m4a", _movie(box(b"url ", bytes(4), address.encode() + b"\0"), b"M4A ")
    yield "alias.mov", _movie(box(b"alis", bytes(4), _alias("canary.wav", str(baits.outside))))
    redirect = box(b"rmda", box(b"rdrf", bytes(4), b"url ", (11).to_bytes(4, "big"), b"canary.wav\0"))
    yield "redirect.mov", box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"rmra", redirect))


def _alias(name: str, folder: str) -> bytes:
    """Return a Macintosh alias to a file in the same folder, and by its whole path."""
    volume, file = b"disk", name.encode()
    head = bytes(10) + bytes([len(volume)]) + volume.ljust(27, b"\0") + bytes(12)
    head += bytes([len(file)]) + file.ljust(63, b"\0") + bytes(16) + b"\0\1\0\1" + bytes(16)
    path = b"disk" + f"{folder}/{name}".replace("/", ":").encode()
    path += bytes(len(path) % 2)
    return head + b"\0\2" + len(path).to_bytes(2, "big") + path + b"\xff\xff\0\0"


def _movie(reference: bytes, brand: bytes = b"qt  ") -> bytes:
    """Return a movie of 40 s of PCM at 16 kHz that lies in the other file, from its byte 44 on."""
    samples = 16_000 * 40
    entry = box(b"sowt", bytes(6), b"\0\1", bytes(8), b"\0\1\0\x10", bytes(4), _words(16_000 << 16))
    tables = box(
        b"stbl",
        box(b"stsd", _words(0, 1), entry),
        box(b"stts", _words(0, 1, samples, 1)),
        box(b"stsc", _words(0, 1, 1, samples, 1)),
        box(b"stsz", _words(0, 2, samples)),
        box(b"stco", _words(0, 1, 44)),
    )
    handler = box(b"hdlr", bytes(4), b"mhlrsoun", bytes(13))
    media = box(b"minf", box(b"smhd", bytes(8)), box(b"dinf", box(b"dref", _words(0, 1), reference)), tables)
    track = box(
        b"trak",
        box(b"tkhd", _words(1, 0, 0, 1, 0, 40_000), bytes(60)),
        box(b"mdia", box(b"mdhd", _words(0, 0, 0, 16_000, samples, 0)), handler, media),
    )
    header = box(b"mvhd", _words(0, 0, 0, 1000, 40_000), bytes(80))
    return box(b"ftyp", brand, bytes(4), brand) + box(b"moov", header, track)


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)
