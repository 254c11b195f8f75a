"""The arguments that ffmpeg is run with for speech: what a model spoke, and what the engine speaks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import ffmpeg

from stenoflow.tasks.media.ffmpeg_arguments import (
    FORMATS,
    INPUT,
    OUTPUT,
    PROTOCOLS,
    file_url,
    quiet,
    with_names,
)

SPEECH_RATE = 24_000
"""Samples a second of what is spoken: the rate of the audio API's own PCM."""

# Bit rates at which speech of this bandwidth loses nothing that is heard. Without an ID3 tag an MP3 begins
# with its Xing header; the libraries' names in the rest would make the same speech differ.
_ENCODINGS: dict[str, dict[str, object]] = {
    "mp3": {"format": "mp3", "acodec": "libmp3lame", "audio_bitrate": "96k", "id3v2_version": 0},
    "opus": {"format": "ogg", "acodec": "libopus", "audio_bitrate": "48k"},
    "aac": {"format": "adts", "acodec": "aac", "audio_bitrate": "96k"},
    "flac": {"format": "flac", "acodec": "flac"},
    "wav": {"format": "wav", "acodec": "pcm_s16le"},
}
_STREAMED: dict[str, dict[str, object]] = {
    "mp3": {"write_xing": 0},
    "opus": {"page_duration": 20_000},
    "flac": {"frame_size": 1152},
}


def speech_decode_args(program: str, url: str, rate: int = SPEECH_RATE) -> list[str]:
    """Build the arguments that decode spoken sound to 16-bit mono PCM on standard output."""
    source = ffmpeg.input(INPUT, protocol_whitelist=PROTOCOLS, format_whitelist=FORMATS)
    target = ffmpeg.output(source["a:0"], "pipe:1", ac=1, ar=rate, acodec="pcm_s16le", format="s16le")
    compiled = ffmpeg.compile(target, cmd=[*quiet(program), "-threads", "1"])
    return with_names(compiled, {INPUT: url})


def speech_encode_args(program: str, format_: str, out: Path | None) -> list[str]:
    """Build the arguments that encode 24 kHz mono 16-bit PCM on standard input.

    Args:
        program: path of ffmpeg.
        format_: mp3, opus, aac, flac or wav.
        out: where to; None: to standard output, each frame as soon as it is there. Then the headers cannot
            tell the length.
    """
    # Nothing is to be found out about raw samples, so none are to be waited for. Not with "nobuffer", which
    # drops what was read to find out: ffmpeg 5 reads the first packet for it, of 40 ms.
    source = ffmpeg.input("pipe:0", format="s16le", ar=SPEECH_RATE, ac=1, probesize=32, analyzeduration=0)
    how = _ENCODINGS[format_] | ({} if out is not None else {"flush_packets": 1} | _STREAMED.get(format_, {}))
    target = ffmpeg.output(source, "pipe:1" if out is None else OUTPUT, map_metadata=-1, **how)
    compiled = ffmpeg.compile(target, cmd=quiet(program), overwrite_output=True)
    return with_names(compiled, {} if out is None else {OUTPUT: file_url(out)})


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
_SYNTHESIZED: dict[SpeechFormat, dict[str, Any]] = {
    SpeechFormat.MP3: {
        "format": "mp3",
        "acodec": "libmp3lame",
        "audio_bitrate": "64k",
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
    SpeechFormat.AAC: {"format": "adts", "acodec": "aac", "audio_bitrate": "64k"},
    SpeechFormat.FLAC: {"format": "flac", "acodec": "flac", "sample_fmt": "s16"},
    SpeechFormat.WAV: {"format": "wav", "acodec": "pcm_s16le", "fflags": "+bitexact"},
    SpeechFormat.PCM: {"format": "s16le", "acodec": "pcm_s16le"},
}


def synthesis_args(
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
        **_SYNTHESIZED[speech_format],
    )
    compiled: list[str] = ffmpeg.compile(target, cmd=quiet(program))
    return compiled
