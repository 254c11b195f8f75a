"""The arguments that ffmpeg is run with for recordings: ffmpeg-python compiles them, and nothing here runs.

Those for speech are in `speech_arguments`.

Whatever a file holds, ffmpeg may open that file alone: ``file:`` before each name, so that none is
taken for an option, a pattern or a protocol; no protocol but files and pipes; no format that names
other files (a playlist called ``talk.mp3`` reads its neighbours otherwise).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

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

# ffmpeg-python hashes every name as UTF-8, which a name of other bytes is not: the names are put in
# after it has compiled.
INPUT = "INPUT"
OUTPUT = "OUTPUT"


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
        INPUT,
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
    compiled = ffmpeg.compile(target, cmd=[*quiet(program), "-max_error_rate", "1", "-threads", "1"])
    return with_names(compiled, {INPUT: url})


def encode_args(program: str, out: Path) -> list[str]:
    """Build the arguments that encode 16 kHz mono 16-bit PCM on standard input to the MP3 that is sent.

    The Xing header stays in: without it every decoder is 69 ms late. Level 7 costs a fifteenth of
    level 0 and loses nothing that can be measured at 16 kHz.
    """
    source = ffmpeg.input("pipe:0", format="s16le", ar=SAMPLE_RATE, ac=1)
    target = ffmpeg.output(
        source,
        OUTPUT,
        acodec="libmp3lame",
        audio_bitrate=f"{SEGMENT_BITS_PER_S // 1000}k",
        compression_level=7,
        map_metadata=-1,
        id3v2_version=0,
        format="mp3",
    )
    compiled = ffmpeg.compile(target, cmd=quiet(program), overwrite_output=True)
    return with_names(compiled, {OUTPUT: file_url(out)})


def opus_args(program: str, out: Path) -> list[str]:
    """Build the arguments that encode the same to 24 kbps Opus, in a WebM that browsers play and seek in."""
    source = ffmpeg.input("pipe:0", format="s16le", ar=SAMPLE_RATE, ac=1)
    target = ffmpeg.output(
        source,
        OUTPUT,
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
    compiled = ffmpeg.compile(target, cmd=quiet(program), overwrite_output=True)
    return with_names(compiled, {OUTPUT: file_url(out)})


def quiet(program: str) -> list[str]:
    """Return how ffmpeg is called, so that it says errors only."""
    return [program, "-hide_banner", "-nostdin", "-v", "error"]


def with_names(args: list[str], names: dict[str, str]) -> list[str]:
    """Put names in where their placeholders stand."""
    return [names.get(arg, arg) for arg in args]
