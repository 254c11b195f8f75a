"""Who speaks, written before what is said: for subtitles that know no speakers of their own.

The field's convention is a name and a colon at each change of speaker, on the line of the words. So a label
counts when lines are broken and reading is timed, as everything does that stands on the screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tasks.speech.cue_rules import CueRules, columns
from tasks.speech.words import Utterance

_LEAST_COLUMNS = 4


def labelled(utterances: Sequence[Utterance], rules: CueRules) -> Iterator[Utterance]:
    """Yield utterances, a name before the first word of each turn; as they are, where only one speaks."""
    speakers = {each.speaker for each in utterances if each.words}
    before: str | None = None
    for utterance in utterances:
        is_turn = utterance.speaker is not None and utterance.speaker != before
        yield _labelled(utterance, rules) if is_turn and len(speakers) > 1 else utterance
        # Behind a stretch that is missing, nobody knows who went on.
        before = utterance.speaker if utterance.words else None


def _labelled(utterance: Utterance, rules: CueRules) -> Utterance:
    if not utterance.words or utterance.speaker is None:
        return utterance
    first = utterance.words[0]
    name = _fitting(utterance.speaker, rules.line_length, columns(first.text))
    if name is None:
        return utterance
    word = replace(first, text=f"{name}: {first.text}")
    return replace(utterance, words=(word, *utterance.words[1:]))


def _fitting(name: str, line_length: int, word_columns: int) -> str | None:
    """Return a name, cut so that it takes no more than half a line, and leaves room for the first word.

    None where there is no room for any of it.
    """
    room = min(line_length // 2, line_length - word_columns - len(": "))
    if room < _LEAST_COLUMNS:
        return None
    if columns(name) <= room:
        return name
    kept = name
    while columns(kept) > room - 1:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"
