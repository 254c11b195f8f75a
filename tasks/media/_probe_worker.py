"""Look into one recording with PyAV and print what is found as JSON, in a fork of the worker server's.

It imports nothing of ours, so that the server starts quickly.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import av
import av.logging
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

# The trial decode of a stream: so much sound is enough; after so much without it, it is given up.
_ENOUGH_S = 1.0
_GIVE_UP_S = 10.0
# Random bytes and ciphertext decode now and then by chance: up to 2 % of them, measured.
_PLAYABLE_SHARE = 0.2
_NOMINAL_PACKET_S = 0.02
# The packets may hold so much padding round the sound.
_PADDING_S = 0.1
# Packets that begin so far behind the stated start tell where it really is.
_LATE_S = 0.5
# A jump in the times of broadcast formats by more than this is closed by ffmpeg: it is none of the sound.
_JUMP_S = 10.0
# Formats whose length, as libavformat tells it, begins at zero and not where the sound does.
_COUNT_FROM_ZERO = {"asf", "ogg"}
# Formats that count time by bytes, where they hold PCM, and formats with an index.
_COUNTED_BY_BYTES = {"wav", "w64", "aiff", "caf", "au"}
_INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2"}
# A file is read through unless it is so long; then its last packets tell how long it really is.
_LONG_S = 600
_LAST_S = 60
# No title or language is longer; in the file it may be of megabytes.
_NAME_LENGTH = 200


@dataclass(slots=True)
class ProbedStream:
    """What is learnt of one stream while its packets go by; times in seconds of the container's clock."""

    stream: Stream
    tick_s: float
    closes_jumps: bool
    start_ticks: int | None = None
    end_ticks: int | None = None
    sound_ticks: int = 0
    first: Packet[Any] | None = None
    last: Packet[Any] | None = None
    tried_s: float = 0.0
    decoded_s: float = 0.0

    @property
    def end_s(self) -> float | None:
        """Where it ends: as the packets' times say, unless these jump or begin again."""
        if self.end_ticks is None or self.start_ticks is None:
            return None
        span_s, sound_s = (self.end_ticks - self.start_ticks) * self.tick_s, self.sound_ticks * self.tick_s
        jumps = self.closes_jumps and sound_s and span_s - sound_s > _JUMP_S
        return self.start_ticks * self.tick_s + (sound_s if jumps or sound_s > span_s + _LATE_S else span_s)

    @property
    def playable(self) -> bool:
        return self.decoded_s > max(0.0, _PLAYABLE_SHARE * (self.tried_s - _PADDING_S))

    @property
    def is_tried(self) -> bool:
        return (
            not isinstance(self.stream, AudioStream)
            or self.decoded_s >= _ENOUGH_S
            or self.tried_s >= _GIVE_UP_S
        )

    def try_out(self, packet: Packet[AudioStream]) -> None:
        if packet.size:
            self.tried_s += (packet.duration or 0) * self.tick_s or _NOMINAL_PACKET_S
        with contextlib.suppress(av.FFmpegError):
            for frame in packet.decode():
                self.decoded_s += frame.samples / (frame.sample_rate or 1)


@dataclass(frozen=True)
class Whole:
    """The file as a whole.

    Attributes:
        container: ffmpeg's name of its format.
        start_s: where its clock starts: zero of the recording's own timeline.
        declared_s: its declared length; None where that is only guessed from the bit rate.
        lost_s: by how much it is shorter than declared.
    """

    container: str
    start_s: float
    declared_s: float | None
    lost_s: float

    def ms(self, clock_s: float) -> int:
        return round((clock_s - self.start_s) * 1000)


def main(url: str, options: str) -> None:
    """Print the facts of the file at ``url``, or why there are none; ``options``: of its demuxer, as JSON."""
    av.logging.set_level(av.logging.WARNING)
    with av.logging.Capture(local=False) as logs:
        try:
            with av.open(url, options=json.loads(options), metadata_errors="replace") as container:
                answer = examine(container, estimated=any("from bitrate" in text for *_, text in logs))
        except (av.FFmpegError, OSError, MemoryError) as error:
            answer = {"failed": str(error), "logs": [text.strip() for *_, text in logs[-5:]]}
    sys.stdout.write(json.dumps(answer))


def examine(container: InputContainer, *, estimated: bool) -> dict[str, Any]:
    """Read through the container once, and say what is in it."""
    tracks = [
        _track(stream, closes_jumps=_closes_jumps(container))
        for stream in container.streams
        if _is_followed(stream, container)
    ]
    _read_through(container, tracks)
    whole = _whole(container, tracks, estimated=estimated)
    return {
        "container": container.format.name,
        "duration_ms": None if whole.declared_s is None else round(whole.declared_s * 1000),
        "bit_rate": container.bit_rate or None,
        "has_video": any(_moves(stream) for stream in container.streams),
        "default_index": _default_index(container),
        "streams": [_facts(track, whole) for track in tracks if isinstance(track.stream, AudioStream)],
    }


def _is_followed(stream: Stream, container: InputContainer) -> bool:
    """Pictures are read through only where the sound's length is not declared apart from theirs."""
    if stream.type == "audio":
        return True
    undeclared = any(voice.duration is None for voice in container.streams.audio)
    return _moves(stream) and (undeclared or _is_matroska(container.format.name))


def _is_matroska(container: str) -> bool:
    return "matroska" in container


def _moves(stream: Stream) -> bool:
    return stream.type == "video" and not stream.disposition & Disposition.attached_pic


def _closes_jumps(container: InputContainer) -> bool:
    """Tell whether times may jump in this format (broadcast, Ogg) and ffmpeg closes the gap."""
    return bool(container.format.flags & cast("int", Flags.ts_discont.value))


def _track(stream: Stream, *, closes_jumps: bool) -> ProbedStream:
    if (context := _decoder(stream)) is not None:
        context.thread_count = 1
    return ProbedStream(stream, float(stream.time_base or 0), closes_jumps)


def _decoder(stream: Stream) -> AudioCodecContext | None:
    """Return the decoder of sound; None for pictures, and for codecs that PyAV does not know."""
    return cast("AudioCodecContext | None", stream.codec_context) if isinstance(stream, AudioStream) else None


def _read_through(container: InputContainer, tracks: list[ProbedStream]) -> None:
    followed = {track.stream.index for track in tracks}
    for stream in container.streams:
        if stream.index not in followed:
            stream.discard = Discard.all
    if tracks and _tells_times(container, tracks) and _follow_ends(container, tracks):
        return
    _follow(container, tracks)


def _tells_times(container: InputContainer, tracks: list[ProbedStream]) -> bool:
    """Tell whether the last packets of a long file have their times without those before them.

    So they have in PCM, and where an index lists all packets.
    """
    if (container.duration or 0) < _LONG_S * av.time_base:
        return False
    if container.format.name in _COUNTED_BY_BYTES:
        decoders = [_decoder(track.stream) for track in tracks]
        return all(decoder is not None and decoder.name.startswith("pcm_") for decoder in decoders)
    streams = [track.stream for track in tracks]
    return container.format.name in _INDEXED and all(
        0 < len(stream.index_entries) == stream.frames for stream in streams
    )


def _follow_ends(container: InputContainer, tracks: list[ProbedStream]) -> bool:
    """Follow the first packets and the last; where the last are not to be found, be ready to go on."""
    _follow(container, tracks, until_tried=True)
    begun = [track.end_ticks for track in tracks]
    end = (container.start_time or 0) + (container.duration or 0)
    try:
        container.seek(end - _LAST_S * av.time_base)
    except av.FFmpegError:
        # It stands where it stood.
        return False
    _follow(container, tracks)
    if all(track.end_ticks != before for track, before in zip(tracks, begun, strict=True)):
        return True
    container.seek(container.start_time or 0)
    for track in tracks:
        track.sound_ticks = 0
    return False


def _follow(container: InputContainer, tracks: list[ProbedStream], *, until_tried: bool = False) -> None:
    by_index = {track.stream.index: track for track in tracks}
    untried = {track.stream.index for track in tracks if not track.is_tried}
    # A day has millions of packets: what is asked of each is asked here, and little.
    for packet in _packets(container, tracks):
        if until_tried and not untried:
            return
        index = packet.stream.index
        track = by_index[index]
        if untried and index in untried:
            track.try_out(cast("Packet[AudioStream]", packet))
            if track.is_tried:
                untried.remove(index)
        start = packet.pts
        if start is None:
            start = packet.dts
        if start is None or packet.is_discard:
            continue
        if track.start_ticks is None or start < track.start_ticks:
            track.start_ticks = start
            track.first = track.first or packet
        duration = packet.duration or 0
        track.sound_ticks += duration
        track.last = packet
        end = start + duration
        if track.end_ticks is None or end > track.end_ticks:
            track.end_ticks = end


def _packets(container: InputContainer, tracks: list[ProbedStream]) -> Iterator[Packet[Any]]:
    # What cannot be read any further is missing, which the declared length shows.
    with contextlib.suppress(av.FFmpegError, OSError):
        if tracks:
            yield from container.demux(*(track.stream for track in tracks))


def _whole(container: InputContainer, tracks: list[ProbedStream], *, estimated: bool) -> Whole:
    name, start_s = container.format.name, (container.start_time or 0) / av.time_base
    end_s = max((track.end_s for track in tracks if track.end_s is not None), default=start_s)
    if estimated or container.duration is None:
        return Whole(name, start_s, None, 0.0)
    declared_s = container.duration / av.time_base
    if _closes_jumps(container) and declared_s - end_s > _LATE_S:
        # Nobody said so: it is the time of the last packet, which is wrong where times jump.
        return Whole(name, start_s, None, 0.0)
    return Whole(name, start_s, declared_s, max(0.0, declared_s - end_s))


def _default_index(container: InputContainer) -> int:
    voices = container.streams.audio
    marked = [k for k, stream in enumerate(voices) if stream.disposition & Disposition.default]
    best = container.streams.best("audio")
    return marked[0] if marked else next((k for k, s in enumerate(voices) if s is best), 0)


def _facts(track: ProbedStream, whole: Whole) -> dict[str, Any]:
    stream = track.stream
    start_s = _start_s(track, whole)
    end_s = start_s if track.end_s is None else track.end_s
    declared_s = _declared_end_s(track, start_s, end_s, whole)
    if declared_s is not None and 0 < end_s - declared_s < _PADDING_S:
        end_s = declared_s
    context = _decoder(stream)
    return {
        "codec": context.codec.canonical_name if context is not None else "unknown",
        "sample_rate": context.sample_rate if context is not None else 0,
        "channels": context.channels if context is not None else 0,
        "layout": None if context is None else _stated_layout(context),
        "language": stream.language and stream.language[:_NAME_LENGTH],
        "title": stream.metadata.get("title", "")[:_NAME_LENGTH] or None,
        "is_default": bool(stream.disposition & Disposition.default),
        "origin_ms": whole.ms(start_s),
        "demuxed_end_ms": whole.ms(end_s),
        "declared_end_ms": None if declared_s is None else whole.ms(declared_s),
        "bytes": _bytes(track),
        "playable": track.playable,
    }


def _stated_layout(context: AudioCodecContext) -> str | None:
    """Return how the channels are laid out; None where nothing says so, and ffmpeg would guess."""
    name = context.layout.name
    is_counted = name == f"{context.channels} channels" or name.startswith("ambisonic")
    return None if is_counted else name[:_NAME_LENGTH]


def _bytes(track: ProbedStream) -> tuple[int, int]:
    """Return where in the file the first packet begins and the last one ends."""
    if track.first is None or track.last is None:
        return 0, 0
    return track.first.pos or 0, (track.last.pos or 0) + track.last.size


def _start_s(track: ProbedStream, whole: Whole) -> float:
    """Return where a stream starts: as it says, or where its packets do if that is well behind.

    Matroska does not say; libavformat looks into the first seconds and takes 0 where it finds none.
    """
    said = track.stream.start_time
    start_s = whole.start_s if said is None else said * track.tick_s
    if track.start_ticks is None or track.start_ticks * track.tick_s - start_s < _LATE_S:
        return start_s
    return track.start_ticks * track.tick_s


def _declared_end_s(track: ProbedStream, start_s: float, end_s: float, whole: Whole) -> float | None:
    if whole.declared_s is None:
        return None
    # Fragmented MP4 says 0.
    duration = track.stream.duration or None
    # WAV's is its file's; Matroska has none, but all its streams are cut off together.
    # ... which libavformat gives as the stream's own where it found no packet to measure.
    if duration is None or whole.container == "wav" or _is_matroska(whole.container):
        return end_s + whole.lost_s
    length_s = duration * track.tick_s
    if start_s <= 0:
        return start_s + length_s
    # Of sound that starts late, libavformat takes the delay into the length, or part of it.
    if whole.container in _COUNT_FROM_ZERO:
        return min(start_s + length_s, max(end_s, length_s))
    indexed_s = _indexed_end_s(track)
    return start_s + length_s if indexed_s is None else min(start_s + length_s, indexed_s)


def _indexed_end_s(track: ProbedStream) -> float | None:
    """Return where the last packet of an MP4's index ends; None of a file whose index is not the whole."""
    index = track.stream.index_entries
    if not track.last or not 0 < len(index) <= track.stream.frames:
        return None
    return (index[-1].timestamp + (track.last.duration or 0)) * track.tick_s
