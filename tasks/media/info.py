"""What a recording is: its container and its audio streams."""

from __future__ import annotations

from dataclasses import dataclass

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
