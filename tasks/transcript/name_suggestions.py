"""Names that speakers may have: suggestions, which name nobody until somebody confirms one."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from stenoflow.tasks.transcript.introductions import introductions
from stenoflow.tasks.transcript.minutes import Point
from stenoflow.tasks.transcript.types import Region, Utterance
from stenoflow.tasks.transcript.voice_names import UNSURE

# Of one speaker, and of a recording.
_MOST_NAMES, _MOST = 3, 50
# Who says who they are in a phrase that may mean anything does so when they begin to speak.
_OPENING_TURNS = 3
_LONGEST_QUOTE = 80
_SELF = re.compile(r"\b(?:I|I'll|I'm|I've|I'd|ich|je|yo|io|ik|eu)\b|\bj'", re.IGNORECASE)


class NameSource(StrEnum):
    """What suggests a name."""

    VOICE = "voice"
    """A voice that is kept is like it, and not clearly so."""
    SPOKEN = "spoken"
    """The speaker says so."""
    MINUTES = "minutes"
    """The minutes have somebody do what the speaker takes on."""
    ATTENDEES = "attendees"
    """Of those who were invited, nobody else is left."""


@dataclass(frozen=True, slots=True)
class NameSuggestion:
    """A name that a speaker may have.

    Attributes:
        speaker: what we call the speaker.
        region: the passage that suggests it, or the speaker's first.
        quote: the words that suggest it; empty: none do.
    """

    speaker: str
    name: str
    source: NameSource
    region: Region
    quote: str = ""


def suggest_names(
    utterances: Sequence[Utterance],
    names: Mapping[str, str],
    attendees: Sequence[str] = (),
    points: Iterable[Point] = (),
) -> tuple[NameSuggestion, ...]:
    """Suggest names for speakers who have none, or one that nobody has confirmed.

    Args:
        utterances: of the whole recording, in order; their speakers as we call them.
        names: given to speakers, by what we call them.
        attendees: who was invited.
        points: of the minutes.
    """
    passages: dict[str, Region] = {}
    for each in utterances:
        if each.speaker is not None and each.words:
            passages.setdefault(each.speaker, Region(each.start_ms, each.end_ms))
    unnamed = [each for each in passages if names.get(each, UNSURE).endswith(UNSURE)]
    found: dict[str, dict[str, NameSuggestion]] = {each: {} for each in unnamed}
    suggestions = [
        *_by_voices(names, passages),
        *_spoken(utterances, attendees),
        *_by_minutes(points, utterances, {*passages, *names.values()}),
    ]
    for one in suggestions:
        if one.speaker in found:
            known = one.source is NameSource.VOICE
            full = one if known else replace(one, name=_full_name(one.name, attendees))
            found[one.speaker].setdefault(full.name.casefold(), full)
    for last in _left_over(attendees, names, passages, found):
        found[last.speaker][last.name.casefold()] = last
    kept = [each for of in found.values() for each in list(of.values())[:_MOST_NAMES]]
    return tuple(kept[:_MOST])


def _by_voices(names: Mapping[str, str], passages: Mapping[str, Region]) -> Iterator[NameSuggestion]:
    for speaker, region in passages.items():
        name = names.get(speaker, "")
        if name.endswith(UNSURE) and name != UNSURE:
            yield NameSuggestion(speaker, name.removesuffix(UNSURE), NameSource.VOICE, region)


def _spoken(utterances: Sequence[Utterance], attendees: Sequence[str]) -> list[NameSuggestion]:
    """Return the names that speakers say to have, what can hardly mean anything else first."""
    sure: list[NameSuggestion] = []
    others: list[NameSuggestion] = []
    turns: dict[str, int] = {}
    for speaker, said in groupby((each for each in utterances if each.words), key=lambda each: each.speaker):
        if speaker is None:
            continue
        turns[speaker] = turns.get(speaker, 0) + 1
        words = [(token, each) for each in said for word in each.words for token in word.text.split()]
        text = " ".join(written for written, _ in words)
        for each in sorted(introductions(text), key=lambda each: each.start):
            is_known = _full_name(each.name, attendees) in attendees
            if not (each.sure or is_known or turns[speaker] <= _OPENING_TURNS):
                continue
            of = words[text.count(" ", 0, each.start)][1]
            suggestion = NameSuggestion(
                speaker,
                each.name,
                NameSource.SPOKEN,
                Region(of.start_ms, of.end_ms),
                each.quote[:_LONGEST_QUOTE],
            )
            (sure if each.sure or is_known else others).append(suggestion)
    return [*sure, *others]


def _by_minutes(
    points: Iterable[Point], utterances: Sequence[Utterance], known: set[str]
) -> Iterator[NameSuggestion]:
    """Yield who is to do what a speaker takes on, and is not spoken to by name.

    Whoever wrote the minutes has it from elsewhere in the transcript.
    """
    spoken = [each for each in utterances if each.words]
    starts = [each.start_ms for each in spoken]
    for point in points:
        owner, at_ms = point.owner, point.at_ms
        if owner is None or at_ms is None or owner in known or not _is_like_a_name(owner):
            continue
        of = spoken[max(0, bisect_right(starts, at_ms) - 1)] if spoken else None
        if (
            of is None
            or of.end_ms <= at_ms
            or of.speaker is None
            or not _SELF.search(of.text.replace("\u2019", "'"))
        ):
            continue
        if set(_parts(owner)) & set(_parts(of.text)):
            continue
        region, quote = Region(of.start_ms, of.end_ms), point.text[:_LONGEST_QUOTE]
        yield NameSuggestion(of.speaker, owner, NameSource.MINUTES, region, quote)


def _left_over(
    attendees: Sequence[str],
    names: Mapping[str, str],
    passages: Mapping[str, Region],
    found: Mapping[str, Mapping[str, NameSuggestion]],
) -> Iterator[NameSuggestion]:
    """Yield the last attendee for the last speaker, where there are as many of the one as of the other."""
    if len(attendees) != len(passages):
        return
    taken = {each.casefold() for each in names.values()} | {name for of in found.values() for name in of}
    left = [each for each in attendees if each.casefold() not in taken]
    nameless = [speaker for speaker, of in found.items() if not of]
    if len(left) == len(nameless) == 1:
        (speaker,), (name,) = nameless, left
        yield NameSuggestion(speaker, name, NameSource.ATTENDEES, passages[speaker])


def _full_name(name: str, attendees: Sequence[str]) -> str:
    """Return the attendee whom a name means; itself where it means none, or several."""
    parts = set(_parts(name))
    meant = [each for each in attendees if parts and parts <= set(_parts(each))]
    return meant[0] if len(meant) == 1 else name


def _is_like_a_name(text: str) -> bool:
    parts = text.split()
    return 0 < len(parts) <= _MOST_NAMES and all(part[:1].isupper() for part in parts)


def _parts(text: str) -> list[str]:
    """Return the words of a text as they are compared: without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W\d_]+", "".join(sign for sign in plain if not unicodedata.combining(sign)))
