"""What a subtitle may be, by profile, and a count of where cues are otherwise.

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

from tasks.speech.words import Word


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
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
