"""Putting the segments of a recording together on the recording's own timeline.

A word's time is the segment's place (its first sample, counted in one linear decode) plus its time in
the segment. Lengths of segments are never summed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tasks.speech.coverage import cover, missing_mark
from tasks.speech.placing import Placed
from tasks.speech.timecode import samples_to_ms
from tasks.speech.transcript import Kind, Stretch, Timing, Transcript
from tasks.speech.words import Region, Utterance, Word


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment of the recording and what was heard in it.

    Attributes:
        start_sample: its first sample in the linear decode.
        end_sample: one past its last.
        speech: regions of speech, ms from the segment's start.
        placed: what was heard; None where the segment could not be transcribed.
        language: as the API said it, normalised; None where it did not.
    """

    start_sample: int
    end_sample: int
    speech: tuple[Region, ...]
    placed: Placed | None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The recording's own timeline, in ms.

    Attributes:
        origin_ms: where the first decoded sample lies on it (a video's sound may start late).
        duration_ms: its whole length.
        lost_ms: how much at its end was declared and could not be read.
    """

    origin_ms: int
    duration_ms: int
    lost_ms: int = 0


def stitch(timeline: Timeline, pieces: Sequence[Piece]) -> Transcript:
    """Put pieces together, in order; stretches without a result stand as missing."""
    placed = [piece.placed for piece in pieces if piece.placed is not None]
    coverage = cover(timeline.duration_ms, _speech(timeline, pieces), _missing(timeline, pieces))
    spoken = [
        utterance
        for piece in pieces
        if piece.placed is not None
        for utterance in shift(piece.placed.utterances, _start_ms(timeline, piece))
    ]
    marks = [_mark(stretch) for stretch in coverage if stretch.kind is Kind.MISSING]
    return Transcript(
        timeline.duration_ms,
        _language(pieces),
        tuple(sorted([*spoken, *marks], key=lambda utterance: utterance.start_ms)),
        coverage,
        _weakest(each.timing for each in placed),
    )


def shift(utterances: Iterable[Utterance], by_ms: int) -> list[Utterance]:
    """Move utterances and their words by a number of ms."""
    return [
        replace(
            utterance,
            start_ms=utterance.start_ms + by_ms,
            end_ms=utterance.end_ms + by_ms,
            words=tuple(
                Word(word.text, word.start_ms + by_ms, word.end_ms + by_ms, word.confidence)
                for word in utterance.words
            ),
        )
        for utterance in utterances
    ]


def _start_ms(timeline: Timeline, piece: Piece) -> int:
    return timeline.origin_ms + samples_to_ms(piece.start_sample)


def _speech(timeline: Timeline, pieces: Sequence[Piece]) -> list[Region]:
    return [
        Region(region.start_ms + start_ms, region.end_ms + start_ms)
        for piece in pieces
        for start_ms in [_start_ms(timeline, piece)]
        for region in piece.speech
    ]


def _missing(timeline: Timeline, pieces: Sequence[Piece]) -> list[Region]:
    lost = [Region(timeline.duration_ms - timeline.lost_ms, timeline.duration_ms)]
    return lost + [
        Region(_start_ms(timeline, piece), timeline.origin_ms + samples_to_ms(piece.end_sample))
        for piece in pieces
        if piece.placed is None
    ]


def _mark(stretch: Stretch) -> Utterance:
    return Utterance(missing_mark(stretch), stretch.start_ms, stretch.end_ms)


def _language(pieces: Sequence[Piece]) -> str | None:
    votes: Counter[str] = Counter()
    for piece in pieces:
        if piece.language and piece.placed and piece.placed.utterances:
            votes[piece.language] += sum(region.duration_ms for region in piece.speech) or 1
    return votes.most_common(1)[0][0] if votes else None


def _weakest(timings: Iterable[Timing]) -> Timing:
    order = list(Timing)
    return max(timings, key=order.index, default=Timing.WORD)
