"""The arguments that ffmpeg is run with; ffmpeg-python compiles them, and nothing here runs.

Whatever a file holds, ffmpeg may open that file alone: ``file:`` before each name, so that none is
taken for an option, a pattern or a protocol; no protocol but files and pipes; no format that names
other files (a playlist called ``talk.mp3`` reads its neighbours otherwise).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import ffmpeg

from stenoflow.tasks.transcript.timecode import SAMPLE_RATE

PROTOCOLS = "file,pipe"

# Formats that carry sound and name no other file. A program takes the names that it knows.
FORMATS = (
    "mp3,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,wav,flac,aac,w64,aiff,caf,amr,asf,avi,"
    "mpegts,mpeg,ac3,eac3,flv,au,"
    "amrnb,amrwb,ape,dsf,dss,dts,dtshd,iff,ircam,live_flv,loas,mlp,mpc,mpc8,mxf,nistsphere,nut,oma,"
    "osq,qcp,qoa,rm,shn,sox,tak,truehd,tta,voc,vqf,wsd,wtv,wv,xwma"
)

# Gaps of 20 ms and more are filled and overlaps cut, so that a sample's number is its time; the
# default of 0.1 s leaves up to 100 ms of each.
_RESAMPLE = f"aresample={SAMPLE_RATE}:async=1000:min_hard_comp=0.02"
# ffmpeg 7 and later hand packets and frames from thread to thread, and each hand-over costs a switch: for
# an hour of MP3 that was more than decoding it. Longer queues and frames of 1 s take a third off.
_WHOLE_SECONDS = f"asetnsamples=n={SAMPLE_RATE}:p=0"
_QUEUED_PACKETS = 512

SEGMENT_BITS_PER_S = 64_000
"""Of the MP3 of a segment; it is part of each cache key."""
SPEECH_RATE = 24_000
"""Samples a second of what is spoken: the rate of the audio API's own PCM."""

# Bit rates at which speech of this bandwidth loses nothing that is heard. Without an ID3 tag an MP3 begins
# with its Xing header; the libraries' names in the rest would make the same speech differ.
_SPEECH: dict[str, dict[str, object]] = {
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

# ffmpeg-python hashes every name as UTF-8, which a name of other bytes is not: the names are put in
# after it has compiled.
_INPUT = "INPUT"
_OUTPUT = "OUTPUT"


def file_url(path: Path) -> str:
    """Name a file to ffmpeg, so that the name is only a name."""
    return f"file:{os.fspath(path)}"


def decode_args(
    program: str,
    url: str,
    *,
    stream: int,
    channels: int,
    cap_ms: int,
    apart: bool = False,
    in_equal_parts: int = 0,
    options: Mapping[str, str] | None = None,
) -> list[str]:
    """Build the arguments that decode one audio stream to 16 kHz 16-bit PCM on standard output.

    Args:
        program: path of ffmpeg.
        url: the recording, from `file_url`.
        stream: number of the stream among the audio streams, from 0.
        channels: 1 or 2, interleaved; further channels are mixed into two.
        cap_ms: decode no more than this.
        apart: give the first ``channels`` of the stream by their numbers instead, whatever their layout.
        in_equal_parts: mix so many channels into one, whatever their layout; 0: mix them by it.
        options: of the demuxer.
    """
    source = ffmpeg.input(
        _INPUT,
        **(options or {}),
        protocol_whitelist=PROTOCOLS,
        format_whitelist=FORMATS,
        thread_queue_size=_QUEUED_PACKETS,
    )
    # With -ac, six channels of one layout would be mixed to six of another.
    pan = f",pan={channels}C|" + "|".join(f"c{n}=c{n}" for n in range(channels)) if apart else ""
    # Without a layout ffmpeg guesses one: one talker of six is then the LFE, and left out of the mix.
    mix = "pan=mono|c0<" + "+".join(f"c{n}" for n in range(in_equal_parts)) + "," if in_equal_parts else ""
    target = ffmpeg.output(
        source[f"a:{stream}"],
        "pipe:1",
        af=f"{mix}{_RESAMPLE},{_WHOLE_SECONDS}{pan}",
        **({} if apart else {"ac": channels}),
        t=f"{cap_ms / 1000:.3f}",
        acodec="pcm_s16le",
        format="s16le",
    )
    # ffmpeg 9 pays three times the CPU for its decoding threads. However much of a damaged recording
    # cannot be decoded, the rest is wanted; what is missing shows in the count of samples.
    compiled = ffmpeg.compile(target, cmd=[*_quiet(program), "-max_error_rate", "1", "-threads", "1"])
    return _with_names(compiled, {_INPUT: url})


def encode_args(program: str, out: Path) -> list[str]:
    """Build the arguments that encode 16 kHz mono 16-bit PCM on standard input to the MP3 that is sent.

    The Xing header stays in: without it every decoder is 69 ms late. Level 7 costs a fifteenth of
    level 0 and loses nothing that can be measured at 16 kHz.
    """
    source = ffmpeg.input("pipe:0", format="s16le", ar=SAMPLE_RATE, ac=1)
    target = ffmpeg.output(
        source,
        _OUTPUT,
        acodec="libmp3lame",
        audio_bitrate=f"{SEGMENT_BITS_PER_S // 1000}k",
        compression_level=7,
        map_metadata=-1,
        id3v2_version=0,
        format="mp3",
    )
    compiled = ffmpeg.compile(target, cmd=_quiet(program), overwrite_output=True)
    return _with_names(compiled, {_OUTPUT: file_url(out)})


def opus_args(program: str, out: Path) -> list[str]:
    """Build the arguments that encode the same to 24 kbps Opus, in a WebM that browsers play and seek in."""
    source = ffmpeg.input("pipe:0", format="s16le", ar=SAMPLE_RATE, ac=1)
    target = ffmpeg.output(
        source,
        _OUTPUT,
        acodec="libopus",
        audio_bitrate="24k",
        # Half the time of the default, 10, and not to be told from it at 24 kbps.
        compression_level=5,
        application="voip",
        # Longer packets than the default's 20 ms: fewer headers.
        frame_duration=60,
        map_metadata=-1,
        fflags="+bitexact",
        format="webm",
    )
    compiled = ffmpeg.compile(target, cmd=_quiet(program), overwrite_output=True)
    return _with_names(compiled, {_OUTPUT: file_url(out)})


def speech_decode_args(program: str, url: str, rate: int = SPEECH_RATE) -> list[str]:
    """Build the arguments that decode spoken sound to 16-bit mono PCM on standard output."""
    source = ffmpeg.input(_INPUT, protocol_whitelist=PROTOCOLS, format_whitelist=FORMATS)
    target = ffmpeg.output(source["a:0"], "pipe:1", ac=1, ar=rate, acodec="pcm_s16le", format="s16le")
    compiled = ffmpeg.compile(target, cmd=[*_quiet(program), "-threads", "1"])
    return _with_names(compiled, {_INPUT: url})


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
    how = _SPEECH[format_] | ({} if out is not None else {"flush_packets": 1} | _STREAMED.get(format_, {}))
    target = ffmpeg.output(source, "pipe:1" if out is None else _OUTPUT, map_metadata=-1, **how)
    compiled = ffmpeg.compile(target, cmd=_quiet(program), overwrite_output=True)
    return _with_names(compiled, {} if out is None else {_OUTPUT: file_url(out)})


def _quiet(program: str) -> list[str]:
    return [program, "-hide_banner", "-nostdin", "-v", "error"]


def _with_names(args: list[str], names: dict[str, str]) -> list[str]:
    return [names.get(arg, arg) for arg in args]


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
