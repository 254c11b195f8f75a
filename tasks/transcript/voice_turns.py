"""Turns of speakers out of windows of sound: who is most likely in each, without jumping to and fro.

A window is what an encoder listens to at once. It is longer than what it answers for, so that each stretch of
speech is answered for by the window whose middle is nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from stenoflow.tasks.transcript.speakers import Turn
from stenoflow.tasks.transcript.types import Region


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of sound that is listened to, and the part of it that the answer is for."""

    heard: Region
    part: Region


def windows_over(region: Region, length_ms: int, hop_ms: int) -> list[Window]:
    """Lay windows over a stretch in which somebody speaks; together their parts are all of it.

    Args:
        region: where somebody speaks.
        length_ms: of a window; a region that is shorter has one window of its own length.
        hop_ms: from one window to the next at most.
    """
    spare_ms = region.duration_ms - length_ms
    if spare_ms <= 0:
        return [Window(region, region)]
    steps = -(-spare_ms // hop_ms)
    starts = [region.start_ms + spare_ms * number // steps for number in range(steps + 1)]
    middles = [start + length_ms // 2 for start in starts]
    edges = [region.start_ms, *((one + other) // 2 for one, other in pairwise(middles)), region.end_ms]
    return [
        Window(Region(start, start + length_ms), Region(*edge))
        for start, edge in zip(starts, pairwise(edges), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class SmoothingRule:
    """What a change of speakers costs, in the unit of the scores, and what is too short to be a turn.

    Attributes:
        change: the cost inside a stretch of speech.
        pause_ms: after a pause of this length a change costs nothing; less, where the pause is shorter.
        shortest_ms: a turn that is shorter, between two of one other speaker, is that one's.
        join_ms: turns of one speaker with no more than this between them are one.
    """

    change: float
    pause_ms: int = 1_500
    shortest_ms: int = 500
    join_ms: int = 500


def most_likely(parts: Sequence[Region], scores: Sequence[Sequence[float]], rule: SmoothingRule) -> list[int]:
    """Say who speaks in each of the parts: the path with the highest score, less what changes cost (Viterbi).

    Args:
        parts: where they are, in order.
        scores: how much each speaks for each speaker.
        rule: what a change costs.
    """
    if not parts:
        return []
    speakers = range(len(scores[0]))
    sums = list(scores[0])
    came_from: list[list[int]] = []
    for (before, part), row in zip(pairwise(parts), scores[1:], strict=True):
        pause_ms = max(0, part.start_ms - before.end_ms)
        cost = rule.change * max(0.0, 1 - pause_ms / rule.pause_ms)
        best = max(speakers, key=sums.__getitem__)
        origins = [each if sums[each] >= sums[best] - cost else best for each in speakers]
        sums = [row[each] + (sums[each] if origins[each] == each else sums[best] - cost) for each in speakers]
        came_from.append(origins)
    path = [max(speakers, key=sums.__getitem__)]
    for origins in reversed(came_from):
        path.append(origins[path[-1]])
    return path[::-1]


@dataclass(frozen=True, slots=True)
class ScoredTurn:
    """A turn with how sure it is: from 0 to 1, the mean likeness to the speaker's voice.

    ``members``: the numbers of the windows that it is made of.
    """

    turn: Turn
    score: float
    members: tuple[int, ...] = ()


def turns_of(
    parts: Sequence[Region], speakers: Sequence[str], scores: Sequence[float], rule: SmoothingRule
) -> list[ScoredTurn]:
    """Make turns of parts, in order and apart.

    Args:
        parts: where they are, in order.
        speakers: who speaks in each.
        scores: how alike each is to the speaker's voice.
        rule: what is too short to be a turn.
    """
    single = (
        _SpeakerRun(part, speaker, (number,))
        for number, (part, speaker) in enumerate(zip(parts, speakers, strict=True))
    )
    runs = _joined(single, rule.join_ms)
    return [_turn(run, parts, scores) for run in _joined(_without_short(runs, rule), rule.join_ms)]


@dataclass(frozen=True, slots=True)
class _SpeakerRun:
    """Parts of one speaker, one behind the other."""

    region: Region
    speaker: str
    members: tuple[int, ...]


def _joined(runs: Iterable[_SpeakerRun], join_ms: int) -> list[_SpeakerRun]:
    """Make one of neighbours of one speaker."""
    groups: list[list[_SpeakerRun]] = []
    for run in runs:
        last = groups[-1][-1] if groups else None
        if last and last.speaker == run.speaker and run.region.start_ms - last.region.end_ms <= join_ms:
            groups[-1].append(run)
        else:
            groups.append([run])
    return [
        _SpeakerRun(
            Region(group[0].region.start_ms, group[-1].region.end_ms),
            group[0].speaker,
            tuple(member for run in group for member in run.members),
        )
        for group in groups
    ]


def _without_short(runs: Sequence[_SpeakerRun], rule: SmoothingRule) -> Iterator[_SpeakerRun]:
    """Give what is too short for a turn to whoever speaks right before and after it."""
    for before, run, after in zip([None, *runs], runs, [*runs[1:], None], strict=False):
        if (
            before is not None
            and after is not None
            and run.region.duration_ms < rule.shortest_ms
            and before.speaker == after.speaker
            and run.region.start_ms - before.region.end_ms <= rule.join_ms
            and after.region.start_ms - run.region.end_ms <= rule.join_ms
        ):
            yield replace(run, speaker=before.speaker)
        else:
            yield run


def _turn(run: _SpeakerRun, parts: Sequence[Region], scores: Sequence[float]) -> ScoredTurn:
    lengths = [max(1, parts[member].duration_ms) for member in run.members]
    score = sum(scores[member] * ms for member, ms in zip(run.members, lengths, strict=True)) / sum(lengths)
    turn = Turn(run.region.start_ms, run.region.end_ms, run.speaker)
    return ScoredTurn(turn, round(min(1.0, max(0.0, score)), 3), run.members)
