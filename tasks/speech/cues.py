"""Subtitle cues from timed words.

The rules are those of Netflix's timed text style guide: at most two lines of 42 characters, 5/6 s to
7 s a cue, two frames between cues, near gaps closed. A cue never crosses an utterance with a speaker
change or a long pause, and every word stands in exactly one cue, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tasks.speech.text import ends_sentence, join_words
from tasks.speech.words import Utterance, Word


@dataclass(frozen=True, slots=True)
class CueRules:
    """What a cue may be; times in ms, lengths in characters."""

    line_length: int = 42
    lines: int = 2
    shortest_ms: int = 833
    longest_ms: int = 7_000
    gap_ms: int = 83
    close_gap_ms: int = 500
    pause_ms: int = 1_000


@dataclass(frozen=True, slots=True)
class Cue:
    """One cue, with its lines; times in ms on the recording's timeline."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    speaker: str | None = None


NETFLIX = CueRules()


def make_cues(utterances: Iterable[Utterance], rules: CueRules = NETFLIX) -> list[Cue]:
    """Make the cues of a transcript, in order, never overlapping."""
    cues = [cue for utterance in utterances for cue in _utterance_cues(utterance, rules)]
    return _timed(cues, rules)


def _utterance_cues(utterance: Utterance, rules: CueRules) -> Iterator[Cue]:
    if not utterance.words:
        lines = tuple(_wrap(utterance.text.split(), rules))
        yield Cue(utterance.start_ms, utterance.end_ms, lines, utterance.speaker)
        return
    for words in _split(utterance.words, rules):
        end_ms = max(word.end_ms for word in words)
        lines = tuple(_wrap([word.text for word in words], rules))
        yield Cue(words[0].start_ms, end_ms, lines, utterance.speaker)


def _split(words: Sequence[Word], rules: CueRules) -> Iterator[list[Word]]:
    """Split an utterance into runs of words that fit a cue, breaking after punctuation if possible."""
    run: list[Word] = []
    for word in words:
        while run and not _fits([*run, word], rules):
            head, run = _break(run, word, rules)
            yield head
        run.append(word)
    if run:
        yield run


def _fits(words: Sequence[Word], rules: CueRules) -> bool:
    last, word = words[-2:]
    return (
        word.start_ms - last.end_ms <= rules.pause_ms
        and word.end_ms - words[0].start_ms <= rules.longest_ms
        and len(_wrap([each.text for each in words], rules)) <= rules.lines
    )


def _break(run: list[Word], following: Word, rules: CueRules) -> tuple[list[Word], list[Word]]:
    """Break a full run: where punctuation lies in its second half, else all of it goes."""
    if following.start_ms - run[-1].end_ms <= rules.pause_ms:
        for index in range(len(run) - 1, len(run) // 2, -1):
            if ends_sentence(run[index - 1].text) or run[index - 1].text.endswith((",", ";", ":")):
                return run[:index], run[index:]
    return run, []


def _wrap(words: Sequence[str], rules: CueRules) -> list[str]:
    """Wrap words into lines; two lines are balanced. A word longer than a line stands alone."""
    whole = join_words(words)
    if len(whole) <= rules.line_length:
        return [whole]
    splits = [(join_words(words[:at]), join_words(words[at:])) for at in range(1, len(words))]
    fitting = [pair for pair in splits if max(map(len, pair)) <= rules.line_length]
    if fitting:
        best = min(fitting, key=lambda pair: (not _breaks_well(pair[0]), _imbalance(pair)))
        return [*best]
    lines: list[list[str]] = [[]]
    for word in words:
        if lines[-1] and len(join_words([*lines[-1], word])) > rules.line_length:
            lines.append([])
        lines[-1].append(word)
    return [join_words(line) for line in lines]


def _breaks_well(first_line: str) -> bool:
    return first_line.endswith((",", ".", ";", ":", "?", "!"))


def _imbalance(pair: tuple[str, str]) -> int:
    return abs(len(pair[0]) - len(pair[1]))


def _timed(cues: list[Cue], rules: CueRules) -> list[Cue]:
    """Lengthen what is too short to read and close near gaps, as far as the next cue allows."""
    ordered = _in_order(cues)
    timed = []
    for cue, following in pairwise([*ordered, None]):
        if cue is None:
            break
        end_ms = max(cue.end_ms, cue.start_ms + rules.shortest_ms)
        if following is not None:
            latest_ms = following.start_ms - rules.gap_ms
            if latest_ms - end_ms < rules.close_gap_ms:
                end_ms = latest_ms
            if end_ms <= cue.start_ms:
                end_ms = max(cue.start_ms + 1, min(cue.end_ms, following.start_ms))
        timed.append(replace(cue, end_ms=end_ms))
    return timed


def _in_order(cues: list[Cue]) -> list[Cue]:
    """Make starts strictly increasing, by as little as that needs."""
    ordered: list[Cue] = []
    for cue in cues:
        earliest_ms = ordered[-1].start_ms + 1 if ordered else 0
        start_ms = max(cue.start_ms, earliest_ms)
        ordered.append(replace(cue, start_ms=start_ms, end_ms=max(cue.end_ms, start_ms + 1)))
    return ordered
