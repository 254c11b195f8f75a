"""The sound recordings, one of every kind, that everything else here is made from."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from tests.media.chirps import DURATION_S, write_wav

WHOLE_MS = round(DURATION_S * 1000)

_NARROW = ("-ar", "16000")
_FRAGMENTS = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "2000000")
_PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=12")
_BOTH = ("-map", "1:v", "-map", "0:a")
# The same bytes on every run: no random serial numbers, no date, no version.
_SAME_BYTES = ("-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1")
_TAGS = ("-metadata", "title=Weekly meeting", "-metadata", "artist=Everybody", "-id3v2_version", "3")


@dataclass(frozen=True, slots=True)
class Kind:
    """A container with a codec.

    Attributes:
        suffix: of its files.
        options: what ffmpeg is told to make it.
        says_its_length: cut off, it still tells how long it was meant to be.
        video: it holds a picture that moves, too.
        seldom: it is damaged in fewer ways.
    """

    suffix: str
    options: tuple[str, ...] = ()
    says_its_length: bool = False
    video: bool = False
    seldom: bool = False


KINDS = {
    "mp3-xing": Kind("mp3", ("-b:a", "64k"), says_its_length=True),
    "mp3-bare": Kind("mp3", ("-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0")),
    "mp3-vbr": Kind("mp3", ("-q:a", "4"), says_its_length=True),
    "mp3-vbr-bare": Kind("mp3", ("-q:a", "4", "-write_xing", "0", "-id3v2_version", "0"), seldom=True),
    "mp3-id3": Kind("mp3", ("-b:a", "64k", *_TAGS, "-write_id3v1", "1"), says_its_length=True),
    "aac": Kind("aac", ("-c:a", "aac", "-f", "adts")),
    "m4a": Kind("m4a", ("-c:a", "aac")),
    "m4a-faststart": Kind("m4a", ("-c:a", "aac", "-movflags", "+faststart"), says_its_length=True),
    "mp4-fragmented": Kind("mp4", ("-c:a", "aac", *_FRAGMENTS)),
    "mp4-video": Kind(
        "mp4", ("-c:a", "aac", "-c:v", "mpeg4", "-movflags", "+faststart"), video=True, seldom=True
    ),
    "mov-pcm": Kind("mov", ("-c:a", "pcm_s16le", *_NARROW), seldom=True),
    "m4a-alac": Kind("m4a", ("-c:a", "alac", *_NARROW), seldom=True),
    "3gp-amr": Kind("3gp", ("-c:a", "libopencore_amrnb", "-ar", "8000", "-b:a", "12.2k"), seldom=True),
    "mkv": Kind("mkv", ("-c:a", "aac"), says_its_length=True),
    "mkv-video": Kind("mkv", ("-c:a", "libvorbis", "-c:v", "mpeg4"), says_its_length=True, video=True),
    "webm": Kind("webm", ("-c:a", "libopus"), says_its_length=True),
    "ogg": Kind("ogg", ("-c:a", "libvorbis")),
    "opus": Kind("opus", ("-c:a", "libopus")),
    "ogg-flac": Kind("oga", ("-c:a", "flac", *_NARROW)),
    "flac": Kind("flac", _NARROW, says_its_length=True),
    "wav": Kind("wav", _NARROW, says_its_length=True),
    "wav-8bit": Kind("wav", ("-c:a", "pcm_u8", *_NARROW), says_its_length=True),
    "wav-adpcm": Kind("wav", ("-c:a", "adpcm_ima_wav", *_NARROW), seldom=True),
    "rf64": Kind("wav", ("-rf64", "always", *_NARROW), seldom=True),
    "w64": Kind("w64", _NARROW, seldom=True),
    "aiff": Kind("aiff", _NARROW, says_its_length=True),
    "caf": Kind("caf", _NARROW, seldom=True),
    "au": Kind("au", _NARROW, says_its_length=True),
    "amr": Kind("amr", ("-c:a", "libopencore_amrnb", "-ar", "8000", "-b:a", "12.2k"), seldom=True),
    "avi": Kind("avi", ("-c:a", "libmp3lame", "-c:v", "mpeg4"), video=True, seldom=True),
    "asf": Kind("wma", ("-c:a", "wmav2", "-f", "asf"), seldom=True),
    "mpegts": Kind("ts", ("-c:a", "aac", "-f", "mpegts")),
    "mpeg": Kind(
        "mpg", ("-c:a", "mp2", "-c:v", "mpeg1video", "-r", "25", "-f", "mpeg"), video=True, seldom=True
    ),
    "flv": Kind("flv", ("-c:a", "aac", "-f", "flv"), says_its_length=True),
    "ac3": Kind("ac3", ("-c:a", "ac3"), seldom=True),
    "eac3": Kind("eac3", ("-c:a", "eac3"), seldom=True),
    "tta": Kind("tta", _NARROW, seldom=True),
    "wavpack": Kind("wv", _NARROW, seldom=True),
    "voc": Kind("voc", ("-c:a", "pcm_u8", *_NARROW), seldom=True),
    "nut": Kind("nut", ("-c:a", "aac", "-f", "nut"), seldom=True),
    "mxf": Kind("mxf", ("-c:a", "pcm_s16le", "-c:v", "mpeg2video", "-r", "25"), video=True, seldom=True),
    "dts": Kind("dts", ("-c:a", "dca", "-strict", "-2"), seldom=True),
}

Originals = dict[str, bytes]


def make_originals(folder: Path) -> Originals:
    """Encode the same 12 s of chirps as every kind."""
    spoken = write_wav(folder / "spoken.wav")
    return {name: _encode(spoken, folder / f"{name}.{kind.suffix}", kind) for name, kind in KINDS.items()}


def _encode(spoken: Path, target: Path, kind: Kind) -> bytes:
    picture = (*_PICTURE, *_BOTH) if kind.video else ()
    given = ("-v", "error", "-y", "-i", str(spoken), *picture)
    # Not the machine's: that may lack an encoder.
    args = [imageio_ffmpeg.get_ffmpeg_exe(), *given, *_SAME_BYTES, *kind.options, f"file:{target}"]
    subprocess.run(args, check=True, stdin=subprocess.DEVNULL)
    return target.read_bytes()
