"""The arguments that ffmpeg encodes speech with: raw samples in, one of the API's formats out."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import ffmpeg

SPEECH_RATE = 24_000
"""Samples a second of all that is spoken, as from the API."""

_BITS = "64k"


class SpeechFormat(StrEnum):
    """The values of response_format for speech."""

    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    WAV = "wav"
    PCM = "pcm"


# On a pipe no header can be filled in later. So MP3 goes without its Xing header, which would hold a length
# of nothing; and the sizes in a WAV are 0xFFFFFFFF, as from the API when it streams.
_TARGETS: dict[SpeechFormat, dict[str, Any]] = {
    SpeechFormat.MP3: {
        "format": "mp3",
        "acodec": "libmp3lame",
        "audio_bitrate": _BITS,
        "write_xing": 0,
        "id3v2_version": 0,
    },
    # Pages of 0.2 s instead of 1 s: a page is the least that can be sent.
    SpeechFormat.OPUS: {
        "format": "opus",
        "acodec": "libopus",
        "audio_bitrate": "32k",
        "application": "voip",
        "page_duration": 200_000,
    },
    SpeechFormat.AAC: {"format": "adts", "acodec": "aac", "audio_bitrate": _BITS},
    SpeechFormat.FLAC: {"format": "flac", "acodec": "flac", "sample_fmt": "s16"},
    SpeechFormat.WAV: {"format": "wav", "acodec": "pcm_s16le", "fflags": "+bitexact"},
    SpeechFormat.PCM: {"format": "s16le", "acodec": "pcm_s16le"},
}


def speech_args(
    program: str, handle: int, *, rate: int, tempo: float, gain: float, speech_format: SpeechFormat
) -> list[str]:
    """Build the arguments that encode speech while it is made; it comes out on standard output.

    Args:
        program: path of ffmpeg.
        handle: number of the open descriptor that 16-bit mono samples are read from.
        rate: of those samples, a second.
        tempo: how many times as fast they are to be spoken, at the same pitch: 0.5 to 2.
        gain: how many times as loud.
        speech_format: what comes out, at 24 kHz.
    """
    source = ffmpeg.input(f"pipe:{handle}", format="s16le", ar=rate, ac=1)
    # At 1 it would still cost sharpness.
    sound = source if abs(tempo - 1) < 0.001 else source.filter("atempo", round(tempo, 4))
    sound = sound if gain == 1 else sound.filter("volume", gain)
    target = ffmpeg.output(
        sound,
        "pipe:1",
        ar=SPEECH_RATE,
        ac=1,
        map_metadata=-1,
        flush_packets=1,
        **_TARGETS[speech_format],
    )
    quiet = [program, "-hide_banner", "-nostdin", "-v", "error"]
    compiled: list[str] = ffmpeg.compile(target, cmd=quiet)
    return compiled
