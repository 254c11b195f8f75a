"""Make a job's transcript from its stored answers; calls nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from stenoflow.storage.database.cache_keys import second_opinion_key
from stenoflow.storage.database.states import SegmentState
from stenoflow.storage.database.tables import Job, Segment
from stenoflow.tasks.api.answers import Answer, languages_in, parse_answer
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.diarization import (
    DiarizedTranscript,
    by_channels,
    by_model,
    by_turns,
    carried_keys,
    levels_on,
    opening_of,
    stored_turns,
    with_names,
    with_speaker_keys,
    without_speakers,
)
from stenoflow.tasks.assembly.job_settings import JobSettings, Speakers
from stenoflow.tasks.assembly.review import Review, reviewed
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.corrections import SpeakerCorrection, TextCorrection, correct
from stenoflow.tasks.transcript.coverage import Integrity, cover
from stenoflow.tasks.transcript.languages import language_code
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.second_opinion import Difference, Opinion, still_open
from stenoflow.tasks.transcript.stitching import Timeline, TranscribedSegment, stitch
from stenoflow.tasks.transcript.timecode import samples_to_ms
from stenoflow.tasks.transcript.types import Kind, Region, Stretch, Timing, Transcript, Word
from stenoflow.tasks.transcript.word_timing import TimedTranscript

ENGLISH = "en"


_ENDED = {SegmentState.DONE, SegmentState.SILENT}


_AnswerOf = Callable[[AppContext, JobSettings, Segment], Answer | None]


def assemble(context: AppContext, job: Job, segments: Sequence[Segment]) -> Transcript:
    """Make a job's transcript from the stored answers; calls nobody."""
    named = with_names(diarize(context, job, segments).transcript, job.speakers or {})
    return with_corrections(context, job, named)


def with_corrections(context: AppContext, job: Job, transcript: Transcript) -> Transcript:
    """Lay over a job's transcript what people corrected in its recording."""
    made = [
        SpeakerCorrection(Region(each.start_ms, each.end_ms), each.speaker or "", each.before)
        if each.text is None
        else TextCorrection(Region(each.start_ms, each.end_ms), each.text, each.speaker)
        for each in context.corrections.of(job.recording_id)
    ]
    return correct(transcript, made) if made else transcript


def diarize(
    context: AppContext, job: Job, segments: Sequence[Segment], answer_of: _AnswerOf | None = None
) -> DiarizedTranscript:
    """Make a job's transcript, its speakers called as we call them.

    Args:
        context: the tools.
        job: the job.
        segments: its segments, in order.
        answer_of: gives what is taken of a segment; None: what was transcribed in it.

    Raises:
        TurnsGoneError: it rests on a diariser's turns, which are not stored any more.
    """
    settings, answer_of = JobSettings.from_dict(job.settings), answer_of or stored_answer
    heard_ms = samples_to_ms(job.samples or 0)
    timeline = Timeline(
        job.origin_ms,
        job.origin_ms + heard_ms + job.lost_ms,
        job.lost_ms,
        Integrity.from_stored(job.lost_ms, job.damage).stretches,
    )
    if settings.speakers == Speakers.CHANNELS:
        channels = by_channel(segments)
        pieces = {channel: _pieces(context, settings, each, answer_of) for channel, each in channels.items()}
        levels = {channel: levels_on(timeline, each) for channel, each in channels.items()}
        return by_channels(timeline, pieces, levels)
    if settings.speakers == Speakers.MODEL:
        recognised: set[str] = set()
        numbered = zip(
            (each.index for each in segments),
            _pieces(context, settings, segments, answer_of),
            strict=True,
        )
        transcript = stitch(timeline, with_speaker_keys(numbered, recognised))
        opening = [(each.index, stored_answer(context, settings, each)) for each in opening_of(segments)]
        known = carried_keys((index, said.utterances) for index, said in opening if said)
        return by_model(transcript, known, recognised)
    transcript = without_speakers(stitch(timeline, _pieces(context, settings, segments, answer_of)))
    if settings.turns is None or not are_speakers_told(context, settings):
        return DiarizedTranscript(transcript, ())
    return by_turns(transcript, stored_turns(context.ledger, settings.turns))


def are_speakers_told(context: AppContext, settings: JobSettings) -> bool:
    """Tell whether it is known who speaks in a job's recording; False while its voices are not told apart."""
    if settings.speakers != Speakers.VOICES:
        return True
    return settings.turns is not None and bool(context.ledger.answered([settings.turns]))


def still_to_do(origin_ms: int, duration_ms: int, segments: Sequence[Segment]) -> tuple[Stretch, ...]:
    """Return the stretches of a job that was broken off for which there is no answer yet, in some channel."""
    open_ = [
        Region(each.start_ms, each.end_ms)
        for channel in (by_channel(segments) or {0: []}).values()
        for each in _without_answer(origin_ms, duration_ms, channel)
    ]
    return tuple(each for each in cover(duration_ms, [], open_) if each.kind is Kind.MISSING)


def _without_answer(origin_ms: int, duration_ms: int, segments: Sequence[Segment]) -> Iterator[Stretch]:
    done = [region_of(each, origin_ms) for each in segments if each.state in _ENDED]
    return (each for each in cover(duration_ms, done, []) if each.kind is not Kind.SPEECH)


def by_channel(segments: Iterable[Segment]) -> dict[int, list[Segment]]:
    """Group segments by channel, in order; those of all channels mixed are of the first."""
    channels: dict[int, list[Segment]] = {}
    for segment in segments:
        channels.setdefault(segment.channel or 0, []).append(segment)
    return channels


def region_of(segment: Segment, origin_ms: int) -> Region:
    """Return where a segment lies on the recording's timeline, in ms."""
    return Region(
        origin_ms + samples_to_ms(segment.start_sample), origin_ms + samples_to_ms(segment.end_sample)
    )


def opinions_on(
    context: AppContext, job: Job, segments: Sequence[Segment], transcript: Transcript
) -> tuple[Difference, ...] | None:
    """Return where second opinions differ from a job's transcript; None where there are none."""
    keys = {second_opinion_key(segment.cache_key): segment for segment in segments}
    stored = context.ledger.answers(list(keys))
    if not stored:
        return None
    found = [
        replace(each, region=_on_timeline(each.region, keys[key], job.origin_ms))
        for key, opinion in stored.items()
        for each in Opinion.from_json(opinion).differences
    ]
    words = [word for utterance in transcript.utterances for word in utterance.words]
    return still_open(sorted(found, key=lambda each: each.region.start_ms), words)


def _on_timeline(region: Region, segment: Segment, origin_ms: int) -> Region:
    """Bring a region of a segment's sound, as it was sent, to the recording's timeline."""
    edges = [Word("", edge, edge) for edge in (region.start_ms, region.end_ms)]
    start, end = Excerpt(segment.spans).on_timeline(edges, origin_ms)
    return Region(start.start_ms, max(start.start_ms, end.end_ms))


def stored_answer(context: AppContext, settings: JobSettings, segment: Segment) -> Answer | None:
    """Return what was transcribed of a segment; None where it has no answer."""
    return _read(context, settings, segment, segment.cache_key)


def _read(context: AppContext, settings: JobSettings, segment: Segment, cache_key: str) -> Answer | None:
    if segment.state != SegmentState.DONE:
        return None
    answer = context.ledger.answers([cache_key]).get(cache_key)
    if answer is None:
        return None
    target = Target(settings.provider, settings.model)
    return parse_answer(answer.encode(), target, Excerpt(segment.spans).duration_ms)


def translated_answer(context: AppContext, settings: JobSettings, segment: Segment) -> Answer | None:
    """Return a segment's translation, or what was transcribed where that is English already."""
    said = stored_answer(context, settings, segment)
    if said is None or not is_to_be_translated(said.raw, settings):
        return said
    return _read(context, settings, segment, settings.translation_key(segment.cache_key))


def _pieces(
    context: AppContext, settings: JobSettings, segments: Iterable[Segment], answer_of: _AnswerOf
) -> Iterator[TranscribedSegment]:
    """Yield the transcripts of segments, one at a time: a day's answers together take much memory."""
    return (_piece(context, settings, segment, answer_of(context, settings, segment)) for segment in segments)


def _piece(
    context: AppContext, settings: JobSettings, segment: Segment, said: Answer | None
) -> TranscribedSegment:
    placed: TimedTranscript | None = None
    language: str | None = None
    found = Review()
    if segment.state == SegmentState.SILENT:
        placed = TimedTranscript((), Timing.WORD)
    elif said is not None:
        placed, found = reviewed(context, settings, segment, said)
        language = language_code(said.language)
    return TranscribedSegment(
        segment.start_sample,
        segment.end_sample,
        tuple(Region(start, end) for start, end in segment.regions),
        placed,
        language,
        Excerpt(segment.spans),
        forced=segment.forced,
        missing=tuple(hole.region for hole in found.holes if hole.sure),
        suspect=tuple(hole.region for hole in found.holes if not hole.sure),
        unvoiced=found.unvoiced,
    )


def is_to_be_translated(answer: str, settings: JobSettings) -> bool:
    """Tell by a segment's answer whether there is anything to translate: words, and not English."""
    said = json.loads(answer)
    languages = {language_code(each) for each in languages_in(said)} - {None} or {settings.language}
    return bool(str(said.get("text", "")).strip()) and languages != {ENGLISH}


def untranslated(context: AppContext, settings: JobSettings, cache_keys: Iterable[str]) -> set[str]:
    """Return the cache keys of segments that were transcribed, and whose translation is yet to be had."""
    if not settings.translate:
        return set()
    keys = set(cache_keys)
    there = context.ledger.answered(map(settings.translation_key, keys))
    return {
        key
        for key in keys
        if settings.translation_key(key) not in there
        # One answer at a time: together those of a day take much memory.
        for answer in context.ledger.answers([key]).values()
        if is_to_be_translated(answer, settings)
    }
