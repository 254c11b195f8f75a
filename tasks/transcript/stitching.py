"""Stitch the segments of a recording together, on the recording's own timeline.

A word's time is the place of its span (a sample position, counted in one linear
decode) plus its time in that span. Lengths of segments are never summed. Where a cut could not go into
silence, the segments overlap, and each word is taken from one of them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from stenoflow.tasks.transcript.coverage import cover, missing_mark, subtract
from stenoflow.tasks.transcript.languages import STRONG_MS
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.seams import match_seam
from stenoflow.tasks.transcript.text import join_words
from stenoflow.tasks.transcript.timecode import samples_to_ms
from stenoflow.tasks.transcript.types import (
    Kind,
    OtherLanguage,
    Region,
    Seam,
    Stretch,
    Timing,
    Transcript,
    Utterance,
    Word,
)
from stenoflow.tasks.transcript.word_timing import TimedTranscript


@dataclass(frozen=True, slots=True)
class TranscribedSegment:
    """A segment of the recording and its transcript.

    Attributes:
        start_sample: its first sample in the linear decode; it is the end of the one before.
        end_sample: one past its last.
        speech: regions of speech, ms from the segment's start; may reach into its neighbours.
        transcript: in the time of what was sent; None where it could not be transcribed.
        language: ISO 639-1, as the API gave it; None where it gave none.
        sent: what of the recording was sent; None: all of the segment.
        forced: its end may run through speech, and the next one overlaps it.
        missing: stretches of what was sent that have no words though somebody speaks, in ms.
        suspect: the same where it is not sure that somebody does.
        unvoiced: stretches of what was sent in which nobody speaks, though the levels say so, in ms.
    """

    start_sample: int
    end_sample: int
    speech: tuple[Region, ...]
    transcript: TimedTranscript | None
    language: str | None = None
    sent: Excerpt | None = None
    forced: bool = False
    missing: tuple[Region, ...] = ()
    suspect: tuple[Region, ...] = ()
    unvoiced: tuple[Region, ...] = ()

    @property
    def excerpt(self) -> Excerpt:
        """What of the recording was sent."""
        return self.sent or Excerpt(((self.start_sample, self.end_sample),))


@dataclass(frozen=True, slots=True)
class Timeline:
    """The recording's own timeline, in ms.

    Attributes:
        origin_ms: where the first decoded sample lies on it (a video's sound may start late).
        duration_ms: its whole length.
        lost_ms: how much at its end was declared and could not be read.
        damaged: what before that could not be decoded.
    """

    origin_ms: int
    duration_ms: int
    lost_ms: int = 0
    damaged: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class _Join:
    """A seam, and what it leaves of both sides: words kept of the one before, left out of the one after."""

    seam: Seam
    kept: int
    left_out: int


def stitch(timeline: Timeline, transcribed: Iterable[TranscribedSegment]) -> Transcript:
    """Put pieces together, in order; stretches without a result stand as missing.

    They may come one by one: of each, the words are kept on the recording's timeline only.
    """
    by_piece: list[list[Utterance]] = []
    pieces: list[TranscribedSegment] = []
    for piece in transcribed:
        by_piece.append(_on_timeline(timeline, piece))
        pieces.append(_without_words(piece))
    joins = [
        _join(timeline, before, after, _words(by_piece[index]), _words(by_piece[index + 1]))
        for index, (before, after) in enumerate(pairwise(pieces))
    ]
    starts = [0, *(join.left_out for join in joins)]
    ends = [*(join.kept for join in joins), sys.maxsize]
    timing = weakest(piece.transcript.timing for piece in pieces if piece.transcript is not None)
    spoken = [
        _with_timing(utterance, piece, timing)
        for piece, utterances, start, end in zip(pieces, by_piece, starts, ends, strict=False)
        for utterance in _part(utterances, start, end)
    ]
    coverage = cover(
        timeline.duration_ms,
        _speech(timeline, pieces),
        _missing(timeline, pieces),
        [region for piece in pieces for region in _located(timeline, piece, piece.suspect)],
    )
    language = _language(pieces, by_piece)
    return Transcript(
        timeline.duration_ms,
        language,
        tuple(sorted([*spoken, *marks_of(coverage)], key=lambda utterance: utterance.start_ms)),
        coverage,
        timing,
        tuple(join.seam for join in joins),
        tuple(_other_languages(timeline, pieces, by_piece, language)),
        aligner=next((said.aligner for piece in pieces if (said := piece.transcript) and said.aligner), None),
    )


def _with_timing(utterance: Utterance, piece: TranscribedSegment, timing: Timing) -> Utterance:
    """Say how an utterance is timed, where the whole is not timed so."""
    if piece.transcript is None or piece.transcript.timing is timing:
        return utterance
    return replace(utterance, timing=piece.transcript.timing)


def _on_timeline(timeline: Timeline, piece: TranscribedSegment) -> list[Utterance]:
    if piece.transcript is None:
        return []
    return [
        of_words(utterance, piece.excerpt.on_timeline(utterance.words, timeline.origin_ms))
        for utterance in piece.transcript.utterances
        if utterance.words
    ]


def of_words(like: Utterance, words: Sequence[Word]) -> Utterance:
    """Return an utterance of some of its words, at least one."""
    return replace(
        like,
        text=join_words(word.text for word in words),
        start_ms=words[0].start_ms,
        end_ms=max(word.end_ms for word in words),
        words=tuple(words),
    )


def _words(utterances: Iterable[Utterance]) -> list[Word]:
    return [word for utterance in utterances for word in utterance.words]


def _join(
    timeline: Timeline,
    before: TranscribedSegment,
    after: TranscribedSegment,
    left: Sequence[Word],
    right: Sequence[Word],
) -> _Join:
    at_ms = timeline.origin_ms + samples_to_ms(before.end_sample)
    overlap = _overlap(timeline, before, after)
    if overlap is None:
        return _Join(Seam(at_ms), len(left), 0)
    timed = all(
        piece.transcript is None or piece.transcript.timing in {Timing.WORD, Timing.ALIGNED}
        for piece in (before, after)
    )
    match = match_seam(left, right, at_ms, overlap, timed=timed)
    dropped = tuple(word.text for word in (*left[match.left :], *right[: match.right]))
    return _Join(Seam(at_ms, overlap, match.agreed, dropped), match.left, match.right)


def _overlap(timeline: Timeline, before: TranscribedSegment, after: TranscribedSegment) -> Region | None:
    """Return what both were sent; None where nothing was sent twice."""
    if not (before.forced and before.excerpt.spans and after.excerpt.spans):
        return None
    first, end = after.excerpt.spans[0][0], before.excerpt.spans[-1][1]
    if first >= end:
        return None
    return Region(timeline.origin_ms + samples_to_ms(first), timeline.origin_ms + samples_to_ms(end))


def _part(utterances: Iterable[Utterance], start: int, end: int) -> Iterator[Utterance]:
    """Keep the words from number ``start`` to before ``end``."""
    position = 0
    for utterance in utterances:
        words = utterance.words[max(0, start - position) : max(0, end - position)]
        position += len(utterance.words)
        if len(words) == len(utterance.words):
            yield utterance
        elif words:
            yield of_words(utterance, words)


def _speech(timeline: Timeline, pieces: Sequence[TranscribedSegment]) -> list[Region]:
    return [
        region
        for piece in pieces
        for start_ms in [timeline.origin_ms + samples_to_ms(piece.start_sample)]
        for region in subtract(
            (Region(each.start_ms + start_ms, each.end_ms + start_ms) for each in piece.speech),
            _located(timeline, piece, piece.unvoiced),
        )
    ]


def _missing(timeline: Timeline, pieces: Sequence[TranscribedSegment]) -> list[Region]:
    lost = Region(timeline.duration_ms - timeline.lost_ms, timeline.duration_ms)
    return [
        lost,
        *timeline.damaged,
        *(
            Region(
                timeline.origin_ms + samples_to_ms(piece.start_sample),
                timeline.origin_ms + samples_to_ms(piece.end_sample),
            )
            for piece in pieces
            if piece.transcript is None
        ),
        *(region for piece in pieces for region in _located(timeline, piece, piece.missing)),
    ]


def _located(timeline: Timeline, piece: TranscribedSegment, regions: Iterable[Region]) -> Iterator[Region]:
    """Yield where on the timeline stretches of what was sent are, between the segment's own cuts."""
    for region in regions:
        for first, end in piece.excerpt.part(region):
            start, stop = max(first, piece.start_sample), min(end, piece.end_sample)
            if start < stop:
                yield Region(
                    timeline.origin_ms + samples_to_ms(start), timeline.origin_ms + samples_to_ms(stop)
                )


def marks_of(coverage: Iterable[Stretch]) -> list[Utterance]:
    """Return the utterances that mark stretches without words."""
    return [
        Utterance(missing_mark(stretch), stretch.start_ms, stretch.end_ms)
        for stretch in coverage
        if stretch.kind in {Kind.MISSING, Kind.SUSPECT}
    ]


def _without_words(piece: TranscribedSegment) -> TranscribedSegment:
    return (
        piece
        if piece.transcript is None
        else replace(piece, transcript=replace(piece.transcript, utterances=()))
    )


def _language(pieces: Sequence[TranscribedSegment], spoken: Sequence[Sequence[Utterance]]) -> str | None:
    votes: Counter[str] = Counter()
    for piece, utterances in zip(pieces, spoken, strict=True):
        if piece.language and utterances:
            votes[piece.language] += sum(region.duration_ms for region in piece.speech) or 1
    return votes.most_common(1)[0][0] if votes else None


def _other_languages(
    timeline: Timeline,
    pieces: Sequence[TranscribedSegment],
    spoken: Sequence[Sequence[Utterance]],
    language: str | None,
) -> Iterator[OtherLanguage]:
    """Yield the segments in another language; a guess from little speech does not count."""
    for index, (piece, utterances) in enumerate(zip(pieces, spoken, strict=True)):
        speech_ms = sum(region.duration_ms for region in piece.speech)
        if utterances and piece.language not in {None, language} and speech_ms >= STRONG_MS:
            start_ms, end_ms = (samples_to_ms(each) for each in (piece.start_sample, piece.end_sample))
            yield OtherLanguage(
                timeline.origin_ms + start_ms, timeline.origin_ms + end_ms, index, piece.language or ""
            )


def weakest(timings: Iterable[Timing]) -> Timing:
    """Return the least exact of some timings."""
    order = list(Timing)
    return max(timings, key=order.index, default=Timing.WORD)
