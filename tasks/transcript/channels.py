"""Merge the transcripts of a recording's channels, with one speaker a channel, by time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from stenoflow.tasks.transcript.coverage import cover
from stenoflow.tasks.transcript.crosstalk import Levels, echoes
from stenoflow.tasks.transcript.stitching import marks_of, of_words, weakest
from stenoflow.tasks.transcript.types import Kind, Region, Stretch, Transcript, Utterance

# Someone who goes on while another speaks is continued after this at the latest.
_LONGEST_INTERRUPTION_MS = 2_000


@dataclass(frozen=True, slots=True)
class ChannelTranscript:
    """The transcript of one channel.

    Attributes:
        speaker: the name of its speaker.
        transcript: of this channel alone.
        levels: how loud it is.
    """

    speaker: str
    transcript: Transcript
    levels: Levels


def channel_name(channel: int) -> str:
    """Return the name of the speaker of a channel, numbered from 0."""
    return f"Channel {channel + 1}"


def interleave(tracks: Sequence[ChannelTranscript]) -> Transcript:
    """Make one transcript of those of a recording's channels, which have the same timeline.

    A word that is in two channels is kept once. A stretch that is missing in any of them is missing.

    Args:
        tracks: at least one.
    """
    spoken = [_spoken(track) for track in tracks]
    left_out = echoes(spoken, [track.levels for track in tracks])
    kept = [
        utterance
        for utterances, places in zip(spoken, left_out, strict=True)
        for utterance in _without(utterances, places)
    ]
    transcripts = [track.transcript for track in tracks]
    duration_ms = transcripts[0].duration_ms
    coverage = cover(
        duration_ms, *(_of_kind(transcripts, kind) for kind in (Kind.SPEECH, Kind.MISSING, Kind.SUSPECT))
    )
    return Transcript(
        duration_ms,
        _language(transcripts),
        _with_marks(_in_turns(kept), coverage),
        coverage,
        weakest(each.timing for each in transcripts),
        tuple(sorted((seam for each in transcripts for seam in each.seams), key=lambda seam: seam.at_ms)),
        aligner=next((each.aligner for each in transcripts if each.aligner), None),
    )


def _spoken(track: ChannelTranscript) -> list[Utterance]:
    return [replace(each, speaker=track.speaker) for each in track.transcript.utterances if each.words]


def _without(utterances: Sequence[Utterance], places: set[tuple[int, int]]) -> Iterator[Utterance]:
    touched = {number for number, _ in places}
    for number, utterance in enumerate(utterances):
        if number not in touched:
            yield utterance
            continue
        words = [word for index, word in enumerate(utterance.words) if (number, index) not in places]
        if words:
            yield of_words(utterance, words)


def _in_turns(utterances: Iterable[Utterance]) -> list[Utterance]:
    """Order utterances by time; one in the midst of which another begins goes on after that one.

    Where two speak at once for long they take turns, so that no word stands far from its time.
    """
    heap = [(each.start_ms, number, each) for number, each in enumerate(utterances)]
    heapq.heapify(heap)
    number = len(heap)
    ordered = []
    while heap:
        _, _, utterance = heapq.heappop(heap)
        split = _split(utterance, _speaks_until(utterance, heap[0][0])) if heap else None
        if split is None:
            ordered.append(utterance)
            continue
        head, tail = split
        ordered.append(head)
        number += 1
        goes_on_ms = max(tail.start_ms, min(heap[0][2].end_ms, tail.start_ms + _LONGEST_INTERRUPTION_MS))
        heapq.heappush(heap, (goes_on_ms, number, tail))
    return ordered


def _speaks_until(utterance: Utterance, next_ms: int) -> int:
    """Return when another takes over; of two that begin at once, the first speaks for a while."""
    return next_ms if next_ms > utterance.start_ms else utterance.start_ms + _LONGEST_INTERRUPTION_MS


def _split(utterance: Utterance, at_ms: int) -> tuple[Utterance, Utterance] | None:
    """Split before the first word that begins at a moment or later; None where either side has no word."""
    words = utterance.words
    first = next((index for index, word in enumerate(words) if word.start_ms >= at_ms), 0)
    return (of_words(utterance, words[:first]), of_words(utterance, words[first:])) if first else None


def _with_marks(utterances: list[Utterance], coverage: Iterable[Stretch]) -> tuple[Utterance, ...]:
    """Put the marks of missing stretches among utterances; these keep their order."""
    marks = marks_of(coverage)
    return (
        tuple(heapq.merge(utterances, marks, key=lambda each: each.start_ms)) if marks else tuple(utterances)
    )


def _of_kind(transcripts: Iterable[Transcript], kind: Kind) -> list[Region]:
    return [
        Region(each.start_ms, each.end_ms)
        for transcript in transcripts
        for each in transcript.coverage
        if each.kind is kind
    ]


def _language(transcripts: Iterable[Transcript]) -> str | None:
    votes: Counter[str] = Counter()
    for transcript in transcripts:
        if transcript.language:
            votes[transcript.language] += sum(len(each.words) for each in transcript.utterances)
    return votes.most_common(1)[0][0] if votes else None
