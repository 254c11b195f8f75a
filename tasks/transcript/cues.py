"""Subtitle cues from timed words.

The words of one speaker without a long pause between them are a run. A run is cut into cues such that all of
them together disturb the reader least: that breaks a rule of `cue_rules` where speech is too fast to keep it,
and nowhere else. Every word stands in exactly one cue, in order, and a cue begins with its first word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from operator import add, sub

from stenoflow.tasks.transcript.cue_rules import AFTER_SENTENCE, NETFLIX, Cue, CueRules, break_cost, columns
from stenoflow.tasks.transcript.text import join_words, space_between
from stenoflow.tasks.transcript.types import Utterance, Word

_FAR_MS = 1 << 60
# What disturbs how much, beside the breaks of `line_breaks`.
_A_CUE = 6.0
_A_SENTENCE_INSIDE = 8.0
_PAUSE_INSIDE_MS = 150.0
_TOO_SHORT = 60.0
_TOO_FAST = 40.0
_IMBALANCE = 0.25
_TOP_HEAVY = 2.0


def make_cues(utterances: Iterable[Utterance], rules: CueRules = NETFLIX) -> list[Cue]:
    """Make the cues of a transcript, in order, never overlapping."""
    cues: list[Cue] = []
    runs = list(_runs(utterances, rules))
    for run, following in pairwise([*runs, None]):
        if run is None:
            break
        if isinstance(run, Cue):
            cues.append(run)
        else:
            cues += _cues(run, _begins(following), rules)
    return _timed(cues, rules)


class _WordRun:
    """Words of one speaker, none of them far from the next; with what is asked of them again and again."""

    def __init__(self, words: Sequence[Word], speaker: str | None) -> None:
        self.words = words
        self.speaker = speaker
        texts = [word.text for word in words]
        spaces = [0, *(len(space_between(*pair)) for pair in pairwise(texts))]
        # The width of words i to j is ends[j] - begins[i].
        widths = [columns(text) for text in texts]
        self.ends: list[int] = list(accumulate(map(add, widths, spaces)))
        self.begins: list[int] = list(map(sub, self.ends, widths))
        self.breaks = [break_cost(*pair) for pair in pairwise(texts)] + [AFTER_SENTENCE]

    def width(self, first: int, last: int) -> int:
        """Return how wide words are on one line."""
        return self.ends[last] - self.begins[first]

    def line(self, first: int, last: int) -> str:
        """Return words as a line."""
        return join_words(word.text for word in self.words[first : last + 1])

    def cue(self, first: int, lasts: Sequence[int], end_ms: int) -> Cue:
        """Return a cue whose lines end with these words."""
        edges = [first, *(last + 1 for last in lasts)]
        lines = tuple(self.line(start, end - 1) for start, end in pairwise(edges))
        words = tuple(tuple(self.words[start:end]) for start, end in pairwise(edges))
        return Cue(self.words[first].start_ms, end_ms, lines, self.speaker, words=words)

    def line_ends(self, length: int) -> list[int]:
        """Return for each word the last one that fits on a line with it; itself, if it is too wide."""
        found, last = [], 0
        for first in range(len(self.words)):
            last = max(last, first)
            while last + 1 < len(self.words) and self.width(first, last + 1) <= length:
                last += 1
            found.append(last)
        return found


def _runs(utterances: Iterable[Utterance], rules: CueRules) -> Iterator[_WordRun | Cue]:
    words: list[Word] = []
    speaker: str | None = None
    for utterance in utterances:
        if not utterance.words:
            if words:
                yield _WordRun(words, speaker)
                words = []
            yield Cue(
                utterance.start_ms, utterance.end_ms, (utterance.text,), utterance.speaker, is_mark=True
            )
        for word in utterance.words:
            if words and (utterance.speaker != speaker or word.start_ms - words[-1].end_ms > rules.pause_ms):
                yield _WordRun(words, speaker)
                words = []
            words.append(word)
            speaker = utterance.speaker
    if words:
        yield _WordRun(words, speaker)


def _begins(run: _WordRun | Cue | None) -> int:
    if run is None:
        return _FAR_MS
    return run.start_ms if isinstance(run, Cue) else run.words[0].start_ms


def _cues(run: _WordRun, next_ms: int, rules: CueRules) -> list[Cue]:
    """Cut a run where that disturbs least, by looking at all its cuts from the end (dynamic programming)."""
    count = len(run.words)
    line_ends = run.line_ends(rules.line_length)
    least = [0.0] * (count + 1)
    ends = [0] * count
    for first in reversed(range(count)):
        least[first], ends[first] = min(
            (cost + least[last + 1], last) for last, cost in _choices(run, first, line_ends, next_ms, rules)
        )
    cues, first = [], 0
    while first < count:
        last = ends[first]
        end_ms = max(word.end_ms for word in run.words[first : last + 1])
        ends_of_lines = _lines(run, first, last, line_ends, rules)
        cues.append(run.cue(first, ends_of_lines, end_ms))
        first = last + 1
    return cues


def _choices(
    run: _WordRun, first: int, line_ends: Sequence[int], next_ms: int, rules: CueRules
) -> Iterator[tuple[int, float]]:
    """Yield where a cue that begins with a word may end, and how much that cue disturbs."""
    words, start_ms = run.words, run.words[first].start_ms
    furthest = _furthest(first, line_ends, rules.lines)
    speech_end_ms, inside = 0, 0.0
    for last in range(first, furthest + 1):
        word = words[last]
        speech_end_ms = max(speech_end_ms, word.end_ms)
        if last > first:
            if speech_end_ms - start_ms > rules.longest_ms:
                return
            inside += max(0, word.start_ms - words[last - 1].end_ms) / _PAUSE_INSIDE_MS
            inside += _A_SENTENCE_INSIDE * (run.breaks[last - 1] == AFTER_SENTENCE)
        following_ms = words[last + 1].start_ms if last + 1 < len(words) else next_ms
        shown_ms = _end(start_ms, speech_end_ms, run.width(first, last), following_ms, rules) - start_ms
        yield last, _A_CUE + run.breaks[last] + inside + _haste(shown_ms, run.width(first, last), rules)


def _furthest(first: int, line_ends: Sequence[int], lines: int) -> int:
    last = line_ends[first]
    for _ in range(lines - 1):
        if last + 1 < len(line_ends):
            last = line_ends[last + 1]
    return last


def _end(start_ms: int, speech_end_ms: int, width: int, following_ms: int, rules: CueRules) -> int:
    """Return when a cue goes: with its words, later where it could not be read, before the next one comes."""
    wanted_ms = start_ms + min(rules.longest_ms, max(rules.shortest_ms, -(-width * 1000 // rules.per_second)))
    return max(start_ms + 1, min(max(speech_end_ms, wanted_ms), following_ms - rules.gap_ms))


def _haste(shown_ms: int, width: int, rules: CueRules) -> float:
    """Return how much it disturbs that a cue is gone too soon."""
    cost = _TOO_SHORT if shown_ms < rules.shortest_ms else 0.0
    needed_ms = width * 1000 / rules.per_second
    return cost + (_TOO_FAST * min(2.0, needed_ms / shown_ms - 1.0) if shown_ms < needed_ms else 0.0)


def _lines(
    run: _WordRun, first: int, last: int, line_ends: Sequence[int], rules: CueRules
) -> tuple[int, ...]:
    """Break a cue's words into as few lines as hold them, where it disturbs least; rather longer downwards.

    Returns:
        The last word of each line.
    """
    count = 1
    while count < rules.lines and _furthest(first, line_ends, count) < last:
        count += 1
    return min(_breakings(first, last, line_ends, count), key=lambda ends: _uneasiness(run, first, ends))


def _breakings(first: int, last: int, line_ends: Sequence[int], count: int) -> Iterator[tuple[int, ...]]:
    """Yield all ways to break words into so many lines that hold them."""
    if count == 1:
        yield (last,)
        return
    for at in range(first, min(line_ends[first], last - 1) + 1):
        if _furthest(at + 1, line_ends, count - 1) >= last:
            yield from ((at, *ends) for ends in _breakings(at + 1, last, line_ends, count - 1))


def _uneasiness(run: _WordRun, first: int, ends: Sequence[int]) -> float:
    """Return how much breaks between lines disturb."""
    starts = [first, *(end + 1 for end in ends)]
    widths = [run.width(start, end) for start, end in zip(starts, ends, strict=False)]
    return sum(
        run.breaks[end] + _IMBALANCE * abs(upper - lower) + _TOP_HEAVY * (upper > lower)
        for end, (upper, lower) in zip(ends, pairwise(widths), strict=False)
    )


def _timed(cues: list[Cue], rules: CueRules) -> list[Cue]:
    """Give cues their ends: long enough to be read, near gaps closed, as far as the next cue allows."""
    ordered = _in_order(cues)
    timed = []
    for cue, following in pairwise([*ordered, None]):
        if cue is None:
            break
        following_ms = _FAR_MS if following is None else following.start_ms
        end_ms = min(cue.end_ms, following_ms) if cue.is_mark else _readable_end(cue, following_ms, rules)
        timed.append(replace(cue, end_ms=max(cue.start_ms + 1, end_ms)))
    return timed


def _readable_end(cue: Cue, following_ms: int, rules: CueRules) -> int:
    width = sum(map(columns, cue.lines))
    end_ms = _end(cue.start_ms, cue.end_ms, width, following_ms, rules)
    latest_ms = following_ms - rules.gap_ms
    is_near = 0 < latest_ms - end_ms < rules.close_gap_ms - rules.gap_ms
    return latest_ms if is_near and latest_ms - cue.start_ms <= rules.longest_ms else end_ms


def _in_order(cues: list[Cue]) -> list[Cue]:
    """Make starts strictly increasing, by as little as that needs."""
    ordered: list[Cue] = []
    for cue in cues:
        earliest_ms = ordered[-1].start_ms + 1 if ordered else 0
        start_ms = max(cue.start_ms, earliest_ms)
        ordered.append(replace(cue, start_ms=start_ms, end_ms=max(cue.end_ms, start_ms + 1)))
    return ordered


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
