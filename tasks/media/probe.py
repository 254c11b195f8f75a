"""Looking into a recording before anything is spent on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from stenoflow.tasks.errors import NotAudioError, SourceUnreadableError
from stenoflow.tasks.media.running import OverdueError, Running
from stenoflow.tasks.media.safe_open import COPY_AGAIN, Opened, opened, shown
from stenoflow.tasks.media.truncation import Extent, breaks_off, lost_ms
from stenoflow.tasks.media.worker import PATIENCE, reading

__all__ = ["AudioStream", "MediaInfo", "probe", "probing"]

_ANSWER_BYTES = 1 << 20
# Reading through a large file takes the time that its disk takes.
_BYTES_PER_S = 10_000_000


def probe(path: Path, *, cpu_s: float = 30.0) -> MediaInfo:
    """Look into a recording, in a process of its own that is killed if that takes too long.

    It is read through once, and the first second of each audio stream is decoded. A file that is cut
    off but can be read is not refused: ``missing_ms`` tells.

    Args:
        path: a regular file.
        cpu_s: the longest that it may take of processor time, beside a second for every 10 MB.

    Raises:
        SourceNotFoundError: there is no such file.
        SourceUnreadableError: it may not be read, is no regular file, or does not answer.
        NotAudioError: it holds no sound that can be decoded.
        MediaError: the process that looks into it could not do its work.
    """
    with probing(path, cpu_s=cpu_s) as found:
        return found()


@contextmanager
def probing(path: Path, *, cpu_s: float = 30.0) -> Iterator[Callable[[], MediaInfo]]:
    """Look into a recording while something else is done; leaving the block ends it.

    The function that is yielded waits for what `probe` returns. Arguments and errors are as there.
    """
    with opened(path) as file:
        size, _ = file.stamp
        cpu_s += size / _BYTES_PER_S
        with reading("probe", file, cpu_s=cpu_s) as run:
            yield lambda: _understood(file, _answer(run, file.name, cpu_s))


def _answer(run: Running, name: str, cpu_s: float) -> dict[str, Any]:
    try:
        raw = run.read(_ANSWER_BYTES)
        finished = run.finish()
    except OverdueError as error:
        raise SourceUnreadableError(
            f"{name} could not be read through in {PATIENCE * cpu_s:.0f} s"
        ) from error
    try:
        answer: dict[str, Any] = json.loads(raw)
    except ValueError as error:
        failure = run.error("that examines it failed", finished)
        # A signal means that the file crashed it or used up its limits; a status, that our setup is broken.
        raise NotAudioError(failure.message) if finished.code < 0 else failure from error
    return answer


def _understood(file: Opened, answer: dict[str, Any]) -> MediaInfo:
    if "failed" in answer:
        raise _unopened(file.path, answer)
    if not answer["streams"]:
        raise NotAudioError(f"{file.name} holds no sound{' (video only)' if answer['has_video'] else ''}")
    voice = answer["streams"][answer["default_index"]]
    if not (voice["playable"] and voice["sample_rate"] and voice["channels"]):
        raise NotAudioError(
            f"no sound in {file.name} can be decoded: it is encrypted, damaged, or not sound at all"
        )
    return _info(file, answer)


def _unopened(path: Path, answer: dict[str, Any]) -> NotAudioError:
    said = f"{answer['failed']} {' '.join(answer['logs'])}"
    if "moov atom not found" in said:
        return NotAudioError(f"{shown(path)} is incomplete: its index is missing", COPY_AGAIN)
    if "not on whitelist" in said:
        return NotAudioError(f"{shown(path)} is a playlist, or of another format that is not taken")
    return NotAudioError(f"{shown(path)} is not sound or video that can be read")


def _info(file: Opened, answer: dict[str, Any]) -> MediaInfo:
    return MediaInfo(
        container=answer["container"],
        duration_ms=answer["duration_ms"],
        streams=tuple(_stream(file, index, answer) for index in range(len(answer["streams"]))),
        default_index=answer["default_index"],
        has_video=answer["has_video"],
        bit_rate=answer["bit_rate"],
    )


def _stream(file: Opened, index: int, answer: dict[str, Any]) -> AudioStream:
    facts = answer["streams"][index]
    names = {field.name for field in fields(AudioStream)} & facts.keys()
    stream = AudioStream(index=index, cut_off=False, **{name: facts[name] for name in names})
    first, last = facts["bytes"]
    extent = Extent(first, last, stream.demuxed_end_ms - stream.origin_ms)
    lost = lost_ms(file, extent)
    if lost:
        stream = replace(stream, declared_end_ms=stream.demuxed_end_ms + lost)
    cut_off = breaks_off(file, answer["container"], extent, has_video=answer["has_video"])
    return replace(stream, cut_off=cut_off and not stream.missing_ms)


# Declared and measured ends differ by a packet or two in sound files.
# A header that claims more than a day beyond what is there lies.
_BELIEVABLE_MS = 24 * 3_600_000
_AGREE_MS = 250


@dataclass(frozen=True, slots=True)
class AudioStream:
    """One audio stream; times in ms on the recording's own timeline, whose zero is the container's start.

    Attributes:
        index: its number among the audio streams, from 0.
        codec: such as ``mp3``.
        sample_rate: in Hz.
        channels: how many.
        layout: how they are laid out, such as ``stereo`` or ``5.1``; None where it does not say.
        language: as the file says it, often ISO 639-2; None where it does not.
        title: as the file says it.
        is_default: the container marks it so.
        origin_ms: where its first sample lies; above 0 where a video's sound starts late.
        demuxed_end_ms: where its last packet ends: measured by reading through it.
        declared_end_ms: where the file says that it ends; None where it does not.
        cut_off: it breaks off somewhere before its own end, and does not say by how much.
    """

    index: int
    codec: str
    sample_rate: int
    channels: int
    layout: str | None
    language: str | None
    title: str | None
    is_default: bool
    origin_ms: int
    demuxed_end_ms: int
    declared_end_ms: int | None
    cut_off: bool = False

    @property
    def missing_ms(self) -> int:
        """How much at the end is declared and not there; 0 where both agree within a few packets."""
        missing = 0 if self.declared_end_ms is None else self.declared_end_ms - self.demuxed_end_ms
        return missing if _AGREE_MS < missing < _BELIEVABLE_MS else 0


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a recording is.

    Attributes:
        container: ffmpeg's name of its format, such as ``mov,mp4,m4a,3gp,3g2,mj2``.
        duration_ms: of the whole, as declared; None where it is not.
        streams: its audio streams, at least one.
        default_index: number of the one that is heard by default.
        has_video: a picture that moves; a cover does not count.
        bit_rate: of the whole, in bits a second; None where it is unknown.
    """

    container: str
    duration_ms: int | None
    streams: tuple[AudioStream, ...]
    default_index: int
    has_video: bool
    bit_rate: int | None

    @property
    def default_stream(self) -> AudioStream:
        """The audio stream that the container means to be heard."""
        return self.streams[self.default_index]

    @property
    def origin_ms(self) -> int:
        """Where the default stream's first sample lies."""
        return self.default_stream.origin_ms

    @property
    def demuxed_end_ms(self) -> int:
        """Where the default stream's last packet ends."""
        return self.default_stream.demuxed_end_ms

    @property
    def missing_ms(self) -> int:
        """How much of the default stream is declared and not there."""
        return self.default_stream.missing_ms
