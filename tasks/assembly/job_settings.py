"""A job's settings: all that its result depends on; its hashes, and the cache key of each segment.

The cache key of a segment hashes everything that its answer depends on, and nothing else: not file
names, not encoded bytes, not timeouts or concurrency. So the same audio under another name, a rerun or
a second job with the same settings find the answer that is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from stenoflow.storage.database.cache_keys import AlignMode, translation_key, translator_of
from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.tasks.media.ffmpeg_arguments import SEGMENT_BITS_PER_S
from stenoflow.tasks.transcript.planning import CutRule
from stenoflow.tasks.transcript.speakers import OPENING_SEGMENTS

# Raised by hand when decoding, planning or encoding changes what a segment holds.
_SOUND = "16 kHz mono/1"
_ENCODING = f"mp3 {SEGMENT_BITS_PER_S // 1000} kbps mono 16 kHz/1"
# What every job's settings have said from the beginning.
_FIRST = {"provider", "model", "format", "target_ms", "window_ms", "language", "prompt", "stream"}


class Speakers(StrEnum):
    """How it is told who speaks."""

    NONE = "none"
    """Not at all."""
    CHANNELS = "channels"
    """Each channel is one speaker, and transcribed apart."""
    MODEL = "model"
    """The model tells voices apart."""
    TURNS = "turns"
    """A diariser's turns say it."""
    VOICES = "voices"
    """A diarizer of this machine tells the voices of the whole recording apart."""


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Everything about a job that its transcript depends on, besides the audio.

    Attributes:
        provider: whose API; its name, not its address.
        format: the response format asked for.
        stream: number of the audio stream; None: the container's default.
        speakers: how it is told who speaks.
        turns: the hash under which a diariser's turns are stored, or will be.
        target_ms: the length of segment aimed at.
        window_ms: how far from the target a cut may lie.
        language: ISO 639-1; None: the model finds out, and the segments agree on one.
        languages: those that may be spoken, where there are several.
        keywords: names and terms that are likely to be said; as many as the model takes.
        translate: an English transcript is made as well.
        translator: the chat model that makes it; None: the model that transcribes makes it.
        engine: what the embedded engine's text depends on, where the model's name does not say so: its
            weights by their hash, and how it computes.
        align: when words are timed by the sound itself: auto, always or never.
        others: who transcribes what the provider cannot, in order: ``PROVIDER:MODEL``.
        translator_provider: who offers it; None: who transcribes.
        diarizer: what tells voices apart on this machine: its weights by their hashes, and what runs them.
        min_speakers: so many speak at least; None: as many as are heard.
        max_speakers: no more than so many speak.
        attendees: who was invited; names are suggested from these, and the result does not depend on it.
    """

    provider: str
    model: str
    format: str
    target_ms: int
    window_ms: int
    language: str | None = None
    prompt: str | None = None
    stream: int | None = None
    languages: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    translate: bool = False
    speakers: str = Speakers.NONE.value
    turns: str | None = None
    translator: str | None = None
    engine: str | None = None
    align: str = AlignMode.AUTO.value
    translator_provider: str | None = None
    others: tuple[str, ...] = ()
    diarizer: str | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    attendees: tuple[str, ...] = ()

    @property
    def chat_provider(self) -> str:
        """Who is asked for the translation by chat."""
        return self.translator_provider or self.provider

    @property
    def rule(self) -> CutRule:
        """How to cut."""
        return CutRule(self.target_ms, self.window_ms)

    @property
    def calls_a_segment(self) -> int:
        """How often a segment's sound is sent at most, if all goes well."""
        return 2 if self.translate and self.translator is None else 1

    @property
    def settings_hash(self) -> str:
        """Hash of all of it: a job is a recording with these."""
        said = self._said()
        said.pop("attendees", None)
        return _hash([_ENCODING, _SOUND, said])

    @property
    def plan_hash(self) -> str:
        """Hash of what the cuts depend on."""
        apart = [Speakers.CHANNELS.value] if self.speakers == Speakers.CHANNELS else []
        return _hash([_SOUND, self.target_ms, self.window_ms, self.stream, *apart])

    def cache_key(
        self,
        sha256: str,
        spans: Iterable[tuple[int, int]],
        *,
        channel: int | None = None,
        after: Sequence[str] = (),
        gain_db: int = 0,
    ) -> str:
        """Hash what the answer for one segment of some audio depends on.

        Args:
            sha256: of the source.
            spans: what of it is sent, as [first, end) samples.
            channel: the one that is sent; None: all, mixed.
            after: cache keys of the segments whose voices go along.
            gain_db: how much louder it is sent than it is.
        """
        asked: list[Any] = [self.provider, self.model, self.format, self.language, self.prompt]
        if self.languages:
            asked.append({"languages": self.languages})
        if self.keywords:
            asked.append({"keywords": self.keywords})
        asked += [{"engine": self.engine}] if self.engine else []
        asked += [["or", *self.others]] if self.others else []
        asked += [["channel", channel]] if channel is not None else []
        asked += [["voices", *after]] if after else []
        asked += [["gain", gain_db]] if gain_db else []
        return _hash(
            [sha256, self.stream, *(edge for span in spans for edge in span), _SOUND, _ENCODING, *asked]
        )

    def with_diarization(self, sha256: str) -> JobSettings:
        """Return the settings with the hash under which a recording's turns are stored once they are told.

        Args:
            sha256: of the recording.
        """
        if self.speakers != Speakers.VOICES:
            return self
        asked = [self.diarizer, self.min_speakers, self.max_speakers]
        return replace(self, turns=_hash(["diarization/1", sha256, self.stream, _SOUND, *asked]))

    def translation_key(self, cache_key: str) -> str:
        """Return the cache key of a segment's translation, made of that of its transcription."""
        return translation_key(cache_key, translator_of(asdict(self)))

    def to_dict(self) -> dict[str, Any]:
        """Return it for storing."""
        return self._said()

    def _said(self) -> dict[str, Any]:
        """Return all but what came later and was not asked for: jobs of before keep their ids."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name in _FIRST or value != self.__dataclass_fields__[name].default
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Return what `to_dict` gave."""
        listed = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
        return cls(**stored | listed)


def is_experimental(settings: JobSettings) -> bool:
    """Tell whether the voices of a job's recording are told apart by the encoder that is built in."""
    return settings.diarizer is not None and settings.diarizer.startswith("ge2e ")


def recording_id(source: str, sha256: str) -> str:
    """Name a source at one content; the same everywhere, so that two workers mean the same row."""
    return _hash([source, sha256])[:16]


def job_id(recording: str, settings: JobSettings) -> str:
    """Name a recording with settings."""
    return _hash([recording, settings.settings_hash])[:12]


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(slots=True)
class CacheKeys:
    """Gives each segment its key; they must come in the order of their numbers, from the first.

    Where the model tells voices apart, clips of who speaks in the first segments go along with the others.
    Which clips these are follows from the first segments' answers, and those are never asked for again: so
    the keys of the first ones stand for them, and a rerun finds all answers.
    """

    settings: JobSettings
    sha256: str
    _opening: list[str] = field(default_factory=list)

    def of(self, cut: SegmentPlan) -> str:
        """Return the key of the next segment."""
        key = self.settings.cache_key(
            self.sha256, cut.spans, channel=cut.channel, after=tuple(self._opening), gain_db=cut.gain_db
        )
        if (
            self.settings.speakers == Speakers.MODEL
            and not cut.is_silent
            and len(self._opening) < OPENING_SEGMENTS
        ):
            self._opening.append(key)
        return key
