"""Rules of subtitles by profile (characters, lines, times, breaks), and a count of where cues break them.

Sources: Netflix, Timed Text Style Guide (General Requirements; English (USA)): 42 characters a line, two
lines, 20 characters a second, 5/6 s to 7 s, two frames between cues, gaps below half a second closed. BBC,
Subtitle Guidelines: 37 characters a line, two lines, 160 to 180 words a minute (a word is five characters
and a space, so about 18 characters a second), about 0.3 s a word and so at least a second.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from stenoflow.tasks.transcript.text import ends_sentence, spoken_form
from stenoflow.tasks.transcript.types import Word


@dataclass(frozen=True, slots=True)
class CueRules:
    """What a cue may be; times in ms, lengths in columns (a wide character of CJK takes two).

    Attributes:
        per_second: columns a second that can be read.
        gap_ms: between two cues, at least.
        close_gap_ms: a gap smaller than this is closed to ``gap_ms``.
        pause_ms: a longer pause ends a cue.
    """

    name: str
    line_length: int
    lines: int
    per_second: int
    shortest_ms: int
    longest_ms: int
    gap_ms: int
    close_gap_ms: int
    pause_ms: int = 1_000


NETFLIX = CueRules("netflix", 42, 2, 20, 833, 7_000, 83, 500)
BBC = CueRules("bbc", 37, 2, 18, 1_000, 7_000, 40, 1_500)
FREE = CueRules("free", 80, 2, 1_000, 1, 15_000, 0, 0, 2_000)
PROFILES = {rules.name: rules for rules in (NETFLIX, BBC, FREE)}


@dataclass(frozen=True, slots=True)
class Cue:
    """One cue, with its lines; times in ms on the recording's timeline.

    Attributes:
        is_mark: it stands for a stretch without words, and is as long as that.
        words: those of each line; none in a mark.
    """

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    speaker: str | None = None
    is_mark: bool = False
    words: tuple[tuple[Word, ...], ...] = ()

    @property
    def duration_ms(self) -> int:
        """How long it is shown."""
        return self.end_ms - self.start_ms


class Breach(StrEnum):
    """A rule that a cue does not keep."""

    SHORT = "short"
    LONG = "long"
    FAST = "fast"
    WIDE = "wide"
    LINES = "lines"
    GAP = "gap"
    OPEN_GAP = "open_gap"


def columns(text: str) -> int:
    """Return how wide a text is."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def breaches(cues: Sequence[Cue], rules: CueRules) -> Iterator[tuple[Breach, Cue]]:
    """Yield where cues do not keep the rules; marks of missing stretches are not held to them."""
    for cue, following in pairwise([*cues, None]):
        if cue is None:
            return
        if not cue.is_mark:
            yield from ((breach, cue) for breach in _of_cue(cue, rules))
        if following is not None:
            yield from ((breach, cue) for breach in _between(cue, following, rules))


def _between(cue: Cue, following: Cue, rules: CueRules) -> Iterator[Breach]:
    gap_ms = following.start_ms - cue.end_ms
    if gap_ms < rules.gap_ms:
        yield Breach.GAP
    could_close = following.start_ms - rules.gap_ms - cue.start_ms <= rules.longest_ms
    if could_close and rules.gap_ms < gap_ms < rules.close_gap_ms:
        yield Breach.OPEN_GAP


def _of_cue(cue: Cue, rules: CueRules) -> list[Breach]:
    widths = [columns(line) for line in cue.lines]
    kept = {
        Breach.SHORT: cue.duration_ms >= rules.shortest_ms,
        Breach.LONG: cue.duration_ms <= rules.longest_ms,
        Breach.FAST: sum(widths) * 1000 <= rules.per_second * cue.duration_ms,
        Breach.WIDE: max(widths) <= rules.line_length,
        Breach.LINES: len(widths) <= rules.lines,
    }
    return [breach for breach, is_kept in kept.items() if not is_kept]


def _columns(character: str) -> int:
    # Not every mark above or below has a combining class: those of Thai have none.
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


AFTER_SENTENCE = 0
AFTER_CLAUSE = 3
BEFORE_JOINT = 5
ANYWHERE = 12
TORN = 18

_CLAUSE_ENDS = (",", ";", ":", "\u2014", "\u2013", "\u3001", "\uff0c", "\uff1b", "\uff1a")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Conjunctions and prepositions, before which a line may begin: en, de, fr, es, it, pt, nl.
_JOINTS = _words("""
    and but or nor so yet because although though while when where which who that if unless until since
    after before as than for of to in on at by with from into about over under between through during
    und oder aber denn weil dass ob wenn als während bevor nachdem damit sondern für von zu im am an auf
    bei mit nach aus über unter zwischen durch gegen ohne um
    et ou mais donc car que qui quand si parce comme de du des à au aux en dans sur sous avec pour par sans
    y e o u pero porque cuando como del al con por para sin sobre entre hasta desde
    ma perché quando se di da su tra fra mas em no na com sem maar omdat dat als van op met voor door
""")
# Articles and the like, after which one may not end.
_TIED = _words("""
    the a an of to in on at by with from for my your his her its our their this that these those very
    der die das den dem des ein eine einen einem einer von zu im am mit für
    le la les un une du de au aux mon ma mes ton sa ses el los las una unos unas del al il lo gli i uno
    o os as um uma het een van
""")


def break_cost(word: str, following: str) -> int:
    """Return how much a break between two words disturbs: from `AFTER_SENTENCE` to `TORN`."""
    if ends_sentence(word):
        return AFTER_SENTENCE
    if word.endswith((*_CLAUSE_ENDS, " ")):
        return AFTER_CLAUSE
    if spoken_form(word) in _TIED:
        return TORN
    return BEFORE_JOINT if spoken_form(following) in _JOINTS else ANYWHERE
