"""Speakers of a job's transcript, by channel, by the model or by a diariser's turns, and their names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.states import SegmentState
from stenoflow.storage.database.tables import Segment
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.sources.inbox.options import unknown_speaker
from stenoflow.tasks.transcript.channels import ChannelTranscript, channel_name, interleave
from stenoflow.tasks.transcript.crosstalk import Levels
from stenoflow.tasks.transcript.speakers import (
    MOST_CLIPS,
    OPENING_SEGMENTS,
    Turn,
    are_known_throughout,
    assign,
    choose_clips,
    key_of,
    name_speakers,
)
from stenoflow.tasks.transcript.stitching import Timeline, TranscribedSegment, stitch
from stenoflow.tasks.transcript.timecode import samples_to_ms
from stenoflow.tasks.transcript.types import Transcript, Utterance
from stenoflow.tasks.transcript.voice_turns import ScoredTurn


class TurnsGoneError(FailedError):
    """The diariser's turns that a job was made of are not stored any more."""

    kind = "turns"
    lies_in_recording = True


@dataclass(frozen=True, slots=True)
class DiarizedTranscript:
    """A transcript of which it is told who speaks.

    Attributes:
        speakers: what each speaker is called by us, in order of appearance.
        throughout: each of them is one person in the whole recording.
    """

    transcript: Transcript
    speakers: tuple[str, ...]
    throughout: bool = True


def by_channels(
    timeline: Timeline, pieces: Mapping[int, Iterable[TranscribedSegment]], levels: Mapping[int, Levels]
) -> DiarizedTranscript:
    """Make one transcript of the pieces of each channel."""
    tracks = [
        ChannelTranscript(channel_name(channel), stitch(timeline, pieces[channel]), levels[channel])
        for channel in sorted(pieces)
    ]
    return DiarizedTranscript(interleave(tracks), tuple(track.speaker for track in tracks))


def by_model(transcript: Transcript, known: Iterable[str], recognised: Iterable[str]) -> DiarizedTranscript:
    """Name the speakers that the model told apart.

    Args:
        transcript: its speakers called by their keys.
        known: the keys of those whose voices may have gone along.
        recognised: the keys of those who were known by them; if nobody was, perhaps no voice was listened to.
    """
    heard = (each.speaker for each in transcript.utterances if each.speaker)
    named = name_speakers(heard, known if any(recognised) else ())
    return DiarizedTranscript(
        with_names(transcript, named), tuple(named.values()), are_known_throughout(named)
    )


def by_turns(transcript: Transcript, turns: Iterable[Turn]) -> DiarizedTranscript:
    """Say of each word who speaks it."""
    assigned = assign(transcript, turns)
    return DiarizedTranscript(
        assigned, tuple(dict.fromkeys(each.speaker for each in assigned.utterances if each.speaker))
    )


def with_names(transcript: Transcript, names: Mapping[str, str]) -> Transcript:
    """Call speakers by the names given to them; those without one as before."""
    if not names:
        return transcript
    return replace(
        transcript,
        utterances=tuple(
            replace(each, speaker=names.get(each.speaker, each.speaker)) if each.speaker else each
            for each in transcript.utterances
        ),
    )


def without_speakers(transcript: Transcript) -> Transcript:
    """Leave out whom a model told apart in each segment by itself, where nobody asked for that."""
    if not any(each.speaker for each in transcript.utterances):
        return transcript
    return replace(
        transcript, utterances=tuple(replace(each, speaker=None) for each in transcript.utterances)
    )


def levels_on(timeline: Timeline, segments: Iterable[Segment]) -> Levels:
    """Return how loud a channel is, from its segments in order."""
    levels = Levels()
    for segment in segments:
        start_ms = timeline.origin_ms + samples_to_ms(segment.start_sample)
        for first_ms, _, *heard in segment.speech:
            levels.add(start_ms + first_ms, heard)
    return levels


def with_speaker_keys(
    pieces: Iterable[tuple[int, TranscribedSegment]], recognised: set[str]
) -> Iterator[TranscribedSegment]:
    """Call each speaker of a segment by a key that is another one in another segment.

    Args:
        pieces: with the numbers of their segments.
        recognised: gets the keys of those who were known from another segment.
    """
    for segment, piece in pieces:
        if piece.transcript is None:
            yield piece
            continue
        utterances = tuple(
            replace(each, speaker=key_of(segment, each.speaker)) if each.speaker else each
            for each in piece.transcript.utterances
        )
        keys = {each.speaker for each in utterances if each.speaker}
        recognised |= {key for key in keys if not key.startswith(f"s{segment}-")}
        yield replace(piece, transcript=replace(piece.transcript, utterances=utterances))


def carried_keys(opening: Iterable[tuple[int, Sequence[Utterance]]]) -> set[str]:
    """Return the keys of speakers of the first segments whose clips may have gone along."""
    clips = [clip for segment, utterances in opening for clip in choose_clips(segment, utterances)]
    return {clip.key for clip in clips[:MOST_CLIPS]}


def store_turns(ledger: Ledger, turns: Sequence[Turn]) -> str:
    """Store a recording's turns for good, and return the hash under which they are."""
    written = _written(turns)
    key = hashlib.sha256(f"turns/1 {written}".encode()).hexdigest()
    ledger.put_result(key, written)
    return key


def store_diarization(ledger: Ledger, key: str, turns: Sequence[ScoredTurn]) -> None:
    """Store the turns that were told by voices under the hash of what they were told by."""
    ledger.put_result(key, _written([each.turn for each in turns], [each.score for each in turns]))


def _written(turns: Sequence[Turn], scores: Sequence[float] | None = None) -> str:
    entries: list[list[object]] = [[turn.start_ms, turn.end_ms, turn.speaker] for turn in turns]
    for entry, score in zip(entries, scores or (), strict=False):
        entry.append(score)
    return json.dumps(entries, ensure_ascii=False)


def stored_turns(ledger: Ledger, key: str) -> list[Turn]:
    """Return stored turns. Raises TurnsGoneError where they are not there any more."""
    written = ledger.answers([key]).get(key)
    if written is None:
        raise TurnsGoneError("who speaks when is not stored any more", "transcribe again with the RTTM file")
    return [Turn(start_ms, end_ms, speaker) for start_ms, end_ms, speaker, *_ in json.loads(written)]


def opening_of(segments: Sequence[Segment]) -> list[Segment]:
    """Return a job's first segments with speech, in order, whose voices go along with the others."""
    return [each for each in segments if each.state != SegmentState.SILENT][:OPENING_SEGMENTS]


def labels_of(
    told: DiarizedTranscript, names: Mapping[str, str], wanted: Mapping[str, str]
) -> dict[str, str]:
    """Return new names by what we call the speakers; they may be given by the names that they have now.

    Raises:
        SettingsError: one is neither.
    """
    found: dict[str, str] = {}
    for said, name in wanted.items():
        labels = (
            [said] if said in told.speakers else [each for each in told.speakers if names.get(each) == said]
        )
        if not labels:
            raise unknown_speaker(said, [names.get(each, each) for each in told.speakers])
        found |= dict.fromkeys(labels, name)
    return found
