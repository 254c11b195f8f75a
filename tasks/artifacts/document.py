"""What is rendered: a transcript, with what formats need beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from stenoflow.tasks.artifacts.minutes import MinutesDocument
from stenoflow.tasks.artifacts.sanitize import one_line, readable
from stenoflow.tasks.transcript.cue_rules import NETFLIX, Breach, Cue, CueRules, breaches
from stenoflow.tasks.transcript.cues import labelled, make_cues
from stenoflow.tasks.transcript.quality import (
    SuspectAnswer,
    SuspectReason,
    SuspectUtterance,
    find_suspect_utterances,
)
from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Region, Timing, Transcript

TRANSCRIPT = "transcript"
TRANSLATION = "translation"
BESIDE = ("txt", "srt", "vtt", "json")
"""The formats that lie beside a page, unless others are named."""


@dataclass(frozen=True, slots=True)
class SpeakerInfo:
    """How it is told who speaks.

    Attributes:
        by: channels, model or turns; None: not at all.
        labels: what the speakers are called by us, in order of appearance.
        names: what people call them, by label; those without a name keep their label.
        throughout: each label is one person in the whole recording.
    """

    by: str | None = None
    labels: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    throughout: bool = True

    @property
    def shown(self) -> list[str]:
        """What the speakers are called in the artifacts, each once, in order of appearance."""
        return list(dict.fromkeys(self.names.get(label, label) for label in self.labels))


@dataclass(frozen=True)
class Document:
    """A transcript to be published.

    Attributes:
        name: the recording's, for people.
        rules: which its subtitles keep.
        source: the recording's address (``file:///…``, ``s3://…``).
        speaking: how it is told who speaks.
        doubtful: the answers that it is made of and that are not to be trusted.
        beside: the formats that lie beside a page, which it links.
        stem: how the files are called, their endings apart.
        minutes: of the meeting, for the page; None where there are none.
    """

    transcript: Transcript
    name: str = ""
    rules: CueRules = NETFLIX
    source: str = ""
    speaking: SpeakerInfo = field(default_factory=SpeakerInfo)
    doubtful: tuple[SuspectAnswer, ...] = ()
    beside: tuple[str, ...] = BESIDE
    stem: str = TRANSCRIPT
    minutes: MinutesDocument | None = None

    @cached_property
    def readable(self) -> Transcript:
        """The transcript for people: its texts hold nothing but text."""
        return readable(self.transcript)

    @property
    def title(self) -> str:
        """The recording's name, as text."""
        return one_line(self.name)

    @cached_property
    def suspicions(self) -> tuple[tuple[SuspectUtterance, ...], ...]:
        """Why each utterance may be wrong."""
        return find_suspect_utterances(self.transcript, self.doubtful)

    @property
    def unheard(self) -> list[Region]:
        """Stretches in which somebody speaks, by their levels, and no word was heard."""
        return [each.region for each in self.doubtful if each.doubt is SuspectReason.EMPTY]

    @cached_property
    def speakers(self) -> list[str]:
        """The names of those who speak, in order."""
        return sorted({each.speaker for each in self.readable.utterances if each.speaker})

    @cached_property
    def cues(self) -> list[Cue]:
        """The subtitles, with the names of speakers in their text where several speak."""
        if len(self.speakers) < 2:
            return self.unnamed_cues
        return self._inside(make_cues(labelled(self.readable.utterances, self.rules), self.rules))

    @cached_property
    def unnamed_cues(self) -> list[Cue]:
        """The subtitles for formats that have a place of their own for who speaks."""
        return self._inside(make_cues(self.readable.utterances, self.rules))

    def _inside(self, cues: list[Cue]) -> list[Cue]:
        """Let no cue stand longer than the recording lasts; what was said at its very end may be short."""
        last_ms = self.transcript.duration_ms
        return [
            each if each.end_ms <= last_ms else replace(each, end_ms=max(each.start_ms + 1, last_ms))
            for each in cues
        ]

    @cached_property
    def breaches(self) -> dict[Breach, int]:
        """How often each rule is not kept; those that are kept throughout are left out."""
        return dict(Counter(breach for breach, _ in breaches(self.cues, self.rules)))


_MOST_NAMED = 3


def facts(document: Document) -> list[str]:
    """Return how long the recording is, how many words, in which language, and what is lacking."""
    transcript = document.readable
    words = sum(len(utterance.words) for utterance in transcript.utterances)
    said = [clock(transcript.duration_ms), f"{words:,} words"]
    if transcript.language:
        others = sorted({each.language for each in transcript.other_languages})
        parts = f" (parts: {', '.join(others)})" if others else ""
        said.append(f"language: {transcript.language}{parts}")
    if transcript.timing is Timing.ESTIMATED:
        said.append("times of words are estimated")
    if transcript.missing:
        lost = sum(each.end_ms - each.start_ms for each in transcript.missing)
        said.append(f"{clock(lost + 999)} missing")
    if document.unheard:
        where = ", ".join(map(span, document.unheard[:_MOST_NAMED]))
        more = "" if len(document.unheard) <= _MOST_NAMED else " and elsewhere"
        said.append(f"no word from {where}{more}, though somebody speaks")
    return said


def span(region: Region) -> str:
    """Write from when to when a stretch lasts, in whole seconds outward."""
    return f"{clock(region.start_ms)} to {clock(region.end_ms + 999)}"
