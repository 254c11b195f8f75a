"""Who speaks, where a model tells voices apart in one segment at a time.

What a model calls A in one segment and A in the next may be two people. So the first segments with speech are
asked for in order, and short clips of who is heard in them go along with all later ones: who is known from a
clip is called by the clip's name, which says in which segment the model heard whom. A speaker is thus known
throughout by a key such as ``s0-A``; what cannot be tied to the first segments keeps a key of its own
segment, and a name that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.speech.words import Utterance

OPENING_SEGMENTS = 2
"""How many segments with speech are asked for in order, before all others are at once."""

MOST_CLIPS = 4
"""Clips that go along with a request at most: more is refused."""

# The API takes 2 to 10 s. Longer ones fill the request; one of 2 s may be a little less to others.
_LONGEST_MS = 5_000
_SHORTEST_MS = 2_100
_KEY = re.compile(r"s(\d+)-(.{1,40})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a segment's sound in which one speaker is heard alone, in ms from its start."""

    key: str
    start_ms: int
    end_ms: int


def key_of(segment: int, label: str) -> str:
    """Return a speaker's key.

    Args:
        segment: the number of the segment.
        label: what the model called the speaker there: a key that went along with it, or a name of its own.
    """
    return label if _KEY.fullmatch(label) else f"s{segment}-{label[:40]}"


def choose_clips(segment: int, utterances: Sequence[Utterance]) -> list[Clip]:
    """Choose a clip of each new speaker of a segment, in the order in which they are first heard.

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


def name_speakers(heard: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Give speakers their names: a letter, with the number of the segment where that is all that is known.

    Args:
        heard: the keys of all utterances with a speaker, in order of time.
        known: the keys of which clips went along.

    Returns:
        Names by key. A letter alone stands for one person throughout; if all were heard in one segment, every
        name is such a letter.
    """
    keys = list(dict.fromkeys(heard))
    is_one_segment = len({_segment(key) for key in keys}) == 1
    carried = set(known) | {key for key in keys if is_one_segment}
    everywhere = [key for key in keys if key in carried]
    names = {key: _letters(number) for number, key in enumerate(everywhere)}
    for segment in dict.fromkeys(_segment(key) for key in keys):
        others = [key for key in keys if key not in carried and _segment(key) == segment]
        for number, key in enumerate(others, len(everywhere)):
            names[key] = f"{_letters(number)} (segment {segment})"
    return names


def are_known_throughout(names: Mapping[str, str]) -> bool:
    """Tell whether each name stands for one person in the whole recording."""
    return not any(name.endswith(")") for name in names.values())


def _segment(key: str) -> int:
    found = _KEY.fullmatch(key)
    return int(found[1]) if found else 0


def _letters(number: int) -> str:
    """Count A to Z, AA, AB and so on."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
