"""The document that every format renders: a transcript, with the names and quality of what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from stenoflow.tasks.artifacts.minutes import MinutesDocument
from stenoflow.tasks.artifacts.sanitize import one_line, readable
from stenoflow.tasks.transcript.cue_rules import NETFLIX, Breach, Cue, CueRules, breaches
from stenoflow.tasks.transcript.cues import labelled, make_cues
from stenoflow.tasks.transcript.name_suggestions import NameSource, NameSuggestion
from stenoflow.tasks.transcript.quality import (
    SuspectAnswer,
    SuspectReason,
    SuspectUtterance,
    find_suspect_utterances,
)
from stenoflow.tasks.transcript.second_opinion import Difference, DifferenceKind
from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Region, Timing, Transcript

TRANSCRIPT = "transcript"
TRANSLATION = "translation"
LINKED_FORMATS = ("txt", "srt", "vtt", "json")
"""The formats to which a page links, unless others are named."""


@dataclass(frozen=True, slots=True)
class SpeakerInfo:
    """Speakers, and the method by which they are told apart.

    Attributes:
        by: channels, model, turns or voices; None: not at all.
        labels: our own labels of the speakers, in order of appearance.
        names: given names by label; a speaker without one keeps the label.
        throughout: each label stands for one person in the whole recording.
        model: what told voices apart on this machine; None: they were told otherwise, or not yet.
        experimental: that is the encoder that is built in, whose errors are many where voices are alike.
        attendees: who was invited.
        suggestions: names that speakers may have, confirmed by nobody.
    """

    by: str | None = None
    labels: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    throughout: bool = True
    model: str | None = None
    experimental: bool = False
    attendees: tuple[str, ...] = ()
    suggestions: tuple[NameSuggestion, ...] = ()

    @property
    def shown(self) -> list[str]:
        """The names of the speakers in the artifacts, each once, in order of appearance."""
        return list(dict.fromkeys(self.names.get(label, label) for label in self.labels))


@dataclass(frozen=True)
class Document:
    """A transcript to be published.

    Attributes:
        name: the recording's, for people.
        rules: the rules of its subtitles.
        source: the recording's address (``file:///…``, ``s3://…``).
        speaking: the speakers, and how they are told apart.
        suspect_answers: the answers in it that may be wrong as a whole.
        differences: where a second opinion differs; None: nobody was asked for one.
        linked_formats: the formats in the page's folder to which the page links.
        stem: the name of the files, without their endings.
        minutes: of the meeting, for the page; None where there are none.
    """

    transcript: Transcript
    name: str = ""
    rules: CueRules = NETFLIX
    source: str = ""
    speaking: SpeakerInfo = field(default_factory=SpeakerInfo)
    suspect_answers: tuple[SuspectAnswer, ...] = ()
    differences: tuple[Difference, ...] | None = None
    linked_formats: tuple[str, ...] = LINKED_FORMATS
    stem: str = TRANSCRIPT
    minutes: MinutesDocument | None = None

    @cached_property
    def readable(self) -> Transcript:
        """The transcript without control characters and the like, for people to read."""
        return readable(self.transcript)

    @property
    def title(self) -> str:
        """The recording's name, as text."""
        return one_line(self.name)

    @cached_property
    def suspect_reasons(self) -> tuple[tuple[SuspectUtterance, ...], ...]:
        """The reasons why each utterance may be wrong; mostly none."""
        disputed = [each.region for each in self.differences or () if each.kind != DifferenceKind.OMISSION]
        return find_suspect_utterances(self.transcript, self.suspect_answers, disputed)

    @property
    def wordless_speech(self) -> list[Region]:
        """Stretches with speech, by their levels, in which no word was recognised."""
        return [each.region for each in self.suspect_answers if each.reason is SuspectReason.EMPTY]

    @property
    def omissions(self) -> list[Region]:
        """Stretches in which a second opinion has words that are not here."""
        return [each.region for each in self.differences or () if each.kind == DifferenceKind.OMISSION]

    @cached_property
    def speakers(self) -> list[str]:
        """The names of the speakers, sorted."""
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
        """End every cue within the recording; a cue at its very end may become short."""
        last_ms = self.transcript.duration_ms
        return [
            each if each.end_ms <= last_ms else replace(each, end_ms=max(each.start_ms + 1, last_ms))
            for each in cues
        ]

    @cached_property
    def breaches(self) -> dict[Breach, int]:
        """Number of breaches of each rule; rules without a breach are left out."""
        return dict(Counter(breach for breach, _ in breaches(self.cues, self.rules)))


MEASURED: Final = (
    "of talks made of clear clips 0 to 3 % of the speech had the wrong speaker, in noise up to a quarter, of"
    " turns under 2 s a tenth, and of two who speak at once one is not heard"
)
"""What was measured of the encoder that is built in, see the README of `tasks/`."""

REASONS: Final = {
    NameSource.VOICE: "the voice is like it",
    NameSource.SPOKEN: "says",
    NameSource.MINUTES: "the minutes have",
    NameSource.ATTENDEES: "of those who were invited, nobody else is left, from",
}
"""Why a name is suggested, before the words that suggest it."""

_MOST_NAMED = 3


def facts(document: Document) -> list[str]:
    """Return the facts printed above a transcript: duration, words, language, and what is missing."""
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
    if transcript.suspect:
        where = ", ".join(span(Region(each.start_ms, each.end_ms)) for each in transcript.suspect)
        said.append(f"perhaps words missing from {where}")
    if document.speaking.experimental:
        said.append(
            f"speakers are told by their voices, which is experimental ({MEASURED}): check who says what"
        )
    if document.wordless_speech:
        where = ", ".join(map(span, document.wordless_speech[:_MOST_NAMED]))
        more = "" if len(document.wordless_speech) <= _MOST_NAMED else " and elsewhere"
        said.append(f"no word from {where}{more}, though somebody speaks")
    return said


def span(region: Region) -> str:
    """Write from when to when a stretch lasts, in whole seconds outward."""
    return f"{clock(region.start_ms)} to {clock(region.end_ms + 999)}"
