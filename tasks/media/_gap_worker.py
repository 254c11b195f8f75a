"""Print which stretches of one stream cannot be decoded, as JSON, in a fork of the worker server's.

Only the packets round the stretches in question are decoded. Like the other worker, it imports nothing of
ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TypeAlias

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard

Span: TypeAlias = tuple[float, float]
"""[start, end) in seconds."""

# A decoder needs a few packets before it is right again (MP3's bit reservoir, the overlap of AAC).
_RUN_UP_S = 0.5


def main(url: str, options: str, index: str, asked: str) -> None:
    """Print the parts of the ``asked`` stretches (JSON, seconds) that no packet can be decoded to.

    ``options``: of the demuxer, as JSON.
    """
    av.logging.set_level(None)
    spans: list[Span] = [(start, end) for start, end in json.loads(asked)]
    with av.open(url, options=json.loads(options), metadata_errors="replace") as container:
        heard = sorted(_heard(container, container.streams.audio[int(index)], spans))
    sys.stdout.write(json.dumps([part for span in spans for part in _without(span, heard)]))


def _heard(container: InputContainer, stream: AudioStream, spans: list[Span]) -> Iterator[Span]:
    """Yield the stretches near the spans that can be decoded."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    start_s, tick_s = (container.start_time or 0) / av.time_base, float(stream.time_base or 0)
    upcoming = iter([*spans, (float("inf"), float("inf"))])
    span = next(upcoming)
    for packet in _packets(container, stream):
        at_s = (packet.pts if packet.pts is not None else packet.dts or 0) * tick_s - start_s
        while at_s > span[1] + _RUN_UP_S:
            span = next(upcoming)
        if at_s >= span[0] - _RUN_UP_S:
            for length_s in _decoded(packet):
                yield at_s, at_s + length_s
                at_s += length_s


def _packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    try:
        yield from container.demux(stream)
    except (av.FFmpegError, OSError):
        return


def _decoded(packet: Packet[AudioStream]) -> Iterator[float]:
    """Yield the seconds of each frame that a packet holds."""
    try:
        for frame in packet.decode():
            yield frame.samples / (frame.sample_rate or 1)
    except av.FFmpegError:
        return


def _without(span: Span, heard: list[Span]) -> Iterator[Span]:
    position, end = span
    for first, last in heard:
        if first > position:
            yield position, min(first, end)
        position = max(position, last)
        if position >= end:
            return
    yield position, end
