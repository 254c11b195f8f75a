"""Speakers: turns of a diariser (RTTM) on words, and clips by which a model knows a speaker again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from stenoflow.tasks.transcript.stitching import of_words
from stenoflow.tasks.transcript.types import Transcript, Utterance, Word

# Diarisers and engines differ by as much on where speech ends: a word outside all turns is of one so near.
_NEAR_MS = 500


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one person speaks, in ms on the recording's timeline."""

    start_ms: int
    end_ms: int
    speaker: str


def assign(transcript: Transcript, turns: Iterable[Turn]) -> Transcript:
    """Say of each word who speaks it; utterances are split where that changes.

    A word goes to the turn that it shares most time with, else to the nearest within half a second, else to
    nobody. Where two turns share as much with it, whoever spoke before goes on.
    """
    ordered = sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms, turn.speaker))
    speakers = iter(_speakers(transcript.utterances, ordered))
    parts: list[Utterance] = []
    for utterance in transcript.utterances:
        if not utterance.words:
            parts.append(utterance)
            continue
        said = [(next(speakers), word) for word in utterance.words]
        for speaker, words in groupby(said, key=lambda pair: pair[0]):
            part = of_words(utterance, [word for _, word in words])
            parts.append(replace(part, speaker=speaker))
    return replace(transcript, utterances=tuple(parts))


def _speakers(utterances: Iterable[Utterance], turns: Sequence[Turn]) -> list[str | None]:
    """Return who speaks each word, in the order of the words."""
    words = [word for utterance in utterances for word in utterance.words]
    speakers: list[str | None] = [None] * len(words)
    near: list[Turn] = []
    coming = iter([*turns, None])
    turn = next(coming)
    before: str | None = None
    for number in sorted(range(len(words)), key=lambda number: words[number].start_ms):
        word = words[number]
        while turn is not None and turn.start_ms < word.end_ms + _NEAR_MS:
            near.append(turn)
            turn = next(coming)
        near = [each for each in near if each.end_ms > word.start_ms - _NEAR_MS]
        before = _speaker(word, near, before)
        speakers[number] = before
    return speakers


def _speaker(word: Word, near: Sequence[Turn], before: str | None) -> str | None:
    best = max(near, key=lambda turn: (_shared(word, turn), turn.speaker == before), default=None)
    return None if best is None or _shared(word, best) <= -_NEAR_MS else best.speaker


def _shared(word: Word, turn: Turn) -> int:
    """Return how many ms a word and a turn share; below 0, how far they are apart."""
    end_ms = max(word.end_ms, word.start_ms + 1)
    return min(end_ms, turn.end_ms) - max(word.start_ms, turn.start_ms)


def names(turns: Iterable[Turn]) -> Iterator[str]:
    """Yield who speaks, in the order in which they begin to."""
    yield from dict.fromkeys(turn.speaker for turn in sorted(turns, key=lambda turn: turn.start_ms))


# What else NIST's definition knows; nothing of it says who speaks when.
_OTHER_TYPES = frozenset(
    (
        "SEGMENT",
        "NOSCORE",
        "NO_RT_METADATA",
        "LEXEME",
        "NON-LEX",
        "NON-SPEECH",
        "FILLER",
        "EDIT",
        "IP",
        "SU",
        "CB",
        "A/P",
        "SPKR-INFO",
    )
)
_FIELDS = 8
_SECONDS = re.compile(r"\d{1,9}(\.\d+)?(e[+-]?\d{1,2})?", re.IGNORECASE | re.ASCII)
_LONGEST_NAME = 100


class LineError(ValueError):
    """A line that cannot be read; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Rttm:
    """The turns of a file, by the recording that each line names."""

    turns: dict[str, tuple[Turn, ...]]

    def of(self, name: str, *, alone: bool = True) -> tuple[Turn, ...] | None:
        """Return the turns of a recording; None where there are none of it.

        Args:
            name: what the recording is called, without its ending.
            alone: it is the only recording, so turns of a single one are its, whatever they name.
        """
        if name in self.turns:
            return self.turns[name]
        return next(iter(self.turns.values())) if alone and len(self.turns) == 1 else None


def parse_rttm(text: str) -> Rttm:
    """Read a file.

    Raises:
        LineError: a line is no turn, or there is no turn at all.
    """
    found: dict[str, list[Turn]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";") or fields[0] in _OTHER_TYPES:
            continue
        try:
            found.setdefault(fields[1] if len(fields) > 1 else "", []).extend(_turn(fields))
        except ValueError as error:
            raise LineError(f"line {number}: {error}") from None
    if not any(found.values()):
        raise LineError("it holds no turn of a speaker")
    return Rttm({name: tuple(turns) for name, turns in found.items() if turns})


def _turn(fields: list[str]) -> Iterator[Turn]:
    """Yield the turn of a line; one of no length is none."""
    if fields[0] != "SPEAKER":
        raise ValueError(f"{fields[0][:40]!r} is no type of line that RTTM knows")
    if len(fields) < _FIELDS:
        raise ValueError(f"it has {len(fields)} fields; a turn has at least {_FIELDS}")
    start_ms, duration_ms = _ms(fields[3], "start"), _ms(fields[4], "duration")
    name = fields[7]
    if name == "<NA>" or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"{name[:40]!r} names no speaker")
    if duration_ms:
        yield Turn(start_ms, start_ms + duration_ms, name)


def _ms(written: str, what: str) -> int:
    if not _SECONDS.fullmatch(written):
        raise ValueError(f"its {what}, {written[:40]!r}, is no number of seconds")
    return round(float(written) * 1000)


OPENING_SEGMENTS = 2
"""How many segments with speech are asked for in order, before all others are at once."""

MOST_CLIPS = 4
"""Clips that go along with a request at most: more is refused."""

# The API takes 2 to 10 s. Longer ones fill the request; one of 2 s may be a little less to others.
_LONGEST_MS = 5_000
_SHORTEST_MS = 2_100
_KEY = re.compile(r"s(\d{1,9})-(.{1,40})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a segment's sound in which one speaker is alone, in ms from its start."""

    key: str
    start_ms: int
    end_ms: int


def key_of(segment: int, label: str) -> str:
    """Return a speaker's key.

    Args:
        segment: the number of the segment.
        label: the model's label for the speaker there: a key that went along with it, or a name of its own.
    """
    return label if _KEY.fullmatch(label) else f"s{segment}-{label[:40]}"


def choose_clips(segment: int, utterances: Sequence[Utterance]) -> list[Clip]:
    """Choose a clip of each new speaker of a segment, in the order in which they first speak.

    The longest utterance is taken, from its middle; of speakers who say nothing long enough there is none.
    """
    best: dict[str, Utterance] = {}
    for utterance in utterances:
        if utterance.speaker and not _KEY.fullmatch(utterance.speaker):
            longest = best.setdefault(utterance.speaker, utterance)
            if _length(utterance) > _length(longest):
                best[utterance.speaker] = utterance
    return [_clip(segment, each) for each in best.values() if _length(each) >= _SHORTEST_MS]


def _length(utterance: Utterance) -> int:
    return utterance.end_ms - utterance.start_ms


def _clip(segment: int, utterance: Utterance) -> Clip:
    spare_ms = max(0, _length(utterance) - _LONGEST_MS)
    start_ms = utterance.start_ms + spare_ms // 2
    return Clip(
        key_of(segment, utterance.speaker or ""), start_ms, utterance.end_ms - (spare_ms - spare_ms // 2)
    )


def name_speakers(spoken: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Give speakers their names: a letter, with the number of the segment where that is all that is known.

    Args:
        spoken: the keys of all utterances with a speaker, in order of time.
        known: the keys of which clips went along.

    Returns:
        Names by key. A letter alone stands for one person throughout; if all spoke in one segment, every
        name is such a letter.
    """
    keys = list(dict.fromkeys(spoken))
    is_one_segment = len({_segment(key) for key in keys}) == 1
    carried = set(known) | {key for key in keys if is_one_segment}
    everywhere = [key for key in keys if key in carried]
    names = {key: letters(number) for number, key in enumerate(everywhere)}
    for segment in dict.fromkeys(_segment(key) for key in keys):
        others = [key for key in keys if key not in carried and _segment(key) == segment]
        for number, key in enumerate(others, len(everywhere)):
            names[key] = f"{letters(number)} (segment {segment})"
    return names


def are_known_throughout(names: Mapping[str, str]) -> bool:
    """Tell whether each name stands for one person in the whole recording."""
    return not any(name.endswith(")") for name in names.values())


def _segment(key: str) -> int:
    found = _KEY.fullmatch(key)
    return int(found[1]) if found else 0


def letters(number: int) -> str:
    """Return the name of a speaker by number, from 0: A to Z, AA, AB and so on."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
