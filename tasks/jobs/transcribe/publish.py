"""Publish a transcription: stitch the answers, render every format, store and publish them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from stenoflow.storage.database.cache_keys import translator_of, with_translations
from stenoflow.storage.database.search import IndexedPassage
from stenoflow.storage.database.states import PUBLISHED, JobKind, JobState, SegmentState
from stenoflow.storage.database.tables import Job, Recording, Segment, TranscriptCard
from stenoflow.storage.errors import TakenError
from stenoflow.tasks.artifacts.document import TRANSLATION, Document, SpeakerInfo
from stenoflow.tasks.artifacts.formats import FORMATS, artifact_name, made_with
from stenoflow.tasks.artifacts.manifest import transcription_details
from stenoflow.tasks.artifacts.minutes import MinutesDocument
from stenoflow.tasks.artifacts.publisher import ArtifactFile, publish_files
from stenoflow.tasks.assembly.assemble import (
    ENGLISH,
    are_speakers_told,
    diarize,
    opinions_on,
    region_of,
    translated_answer,
    with_corrections,
)
from stenoflow.tasks.assembly.diarization import (
    DiarizedTranscript,
    TurnsGoneError,
    labels_of,
    with_names,
)
from stenoflow.tasks.assembly.job_settings import JobSettings, is_experimental
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError, SettingsError
from stenoflow.tasks.jobs.minutes.document import newest_minutes
from stenoflow.tasks.transcript.coverage import Integrity
from stenoflow.tasks.transcript.cue_rules import PROFILES
from stenoflow.tasks.transcript.name_suggestions import suggest_names
from stenoflow.tasks.transcript.quality import SuspectAnswer, SuspectReason
from stenoflow.tasks.transcript.search_terms import passages, terms_of
from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Transcript

_log = logging.getLogger(__name__)
_ENDED = {SegmentState.DONE, SegmentState.SILENT}


class IncompleteError(FailedError):
    """Parts of the recording could not be transcribed; the rest is published."""

    kind = "partial"
    lies_in_recording = True


class WordlessError(IncompleteError):
    """Somebody speaks where there are no words, though it was asked for again; the rest is published."""

    kind = "wordless"


class DamagedError(IncompleteError):
    """The recording itself lacks something; what it has is published."""

    kind = "damaged"


class SpeakersUntoldError(IncompleteError):
    """The voices could not be told apart; the transcript is published without speakers."""

    kind = "voices"


class NothingTranscribedError(FailedError):
    """No segment could be transcribed; nothing is published."""

    kind = "failed"


def publish(context: AppContext, job_id: str) -> JobState:
    """Publish what a job has, and set its state by whether that is all.

    Nothing is published where no segment has an answer.

    Returns:
        Complete, partial or failed.

    Raises:
        ObjectStoreError, DiskFullError: the artifacts could not be stored; the manifest is not written.
    """
    with context.database.reading():
        job = context.catalog.job(job_id)
        recording = context.catalog.recording(job.recording_id)
        segments = context.catalog.segments(job_id)
        failed = [segment for segment in segments if segment.state not in _ENDED]
        if failed and not any(segment.state == SegmentState.DONE for segment in segments):
            reason = NothingTranscribedError(failed[0].error_message or "no segment could be transcribed")
        else:
            reason = None
            document = document_of(context, job, segments)
            translation = translation_of(context, job, segments)
            suspects = context.ledger.suspects(
                with_translations((segment.cache_key for segment in segments), translator_of(job.settings))
            )
            keys = (each.cache_key for each in segments)
            by = context.ledger.answered_by(keys) if job.settings.get("others") else {}
            details = transcription_details(job, segments, document, suspects, translation, answered_by=by)
    if reason is not None:
        context.catalog.set_state(job_id, JobState.FAILED, reason, failed[0].error_kind)
        return JobState.FAILED
    files = _files(job, [document] if translation is None else [document, translation])
    publish_files(context, job, files, details)
    put_into_index(context, job, document)
    missing = _missing(recording, document.transcript, failed, Integrity.from_stored(job.lost_ms, job.damage))
    kind = failed[0].error_kind if failed else None
    if missing is None and translation is not None:
        missing, kind = _untranslated(context, recording, job, translation.transcript, segments)
    if missing is None and not are_speakers_told(context, JobSettings.from_dict(job.settings)):
        missing = SpeakersUntoldError(
            f"{recording.name}: its voices could not be told apart; the transcript has no speakers",
            "stenoflow resume tries that again, and sends nothing",
        )
    state = JobState.COMPLETE if missing is None else JobState.PARTIAL
    context.catalog.set_state(job_id, state, missing, kind)
    return state


def put_into_index(context: AppContext, job: Job, document: Document) -> None:
    """Have a transcript found by its words, and listed with its language and speakers."""
    transcript = document.readable
    card = TranscriptCard(
        job_id=job.id,
        language=transcript.language,
        words=sum(len(each.words) for each in transcript.utterances),
        speakers=document.speakers,
        missing_ms=sum(each.end_ms - each.start_ms for each in transcript.missing),
        suspects=len(document.suspect_answers) + len(transcript.suspect),
    )
    context.search.put(
        card,
        (
            IndexedPassage(each.start_ms, each.speaker, each.text, terms_of(each.text))
            for each in passages(transcript)
        ),
    )


def index_missing(context: AppContext) -> int:
    """Put into the index the published transcripts that it lacks, from stored answers; calls nobody."""
    put = 0
    for job_id in context.search.unindexed():
        job = context.catalog.job(job_id)
        if not is_whole(context, job):
            continue
        try:
            put_into_index(context, job, document_of(context, job, context.catalog.segments(job_id)))
            put += 1
        except TurnsGoneError as error:
            _log.warning("job %s is not put into the index: %s", job_id, error)
    return put


def document_of(context: AppContext, job: Job, segments: Sequence[Segment]) -> Document:
    """Build the document of a job from its stored answers; makes no request."""
    recording = context.catalog.recording(job.recording_id)
    diarized = diarize(context, job, segments)
    transcript = with_corrections(context, job, with_names(diarized.transcript, job.speakers or {}))
    minutes = newest_minutes(context, job, transcript)
    return Document(
        transcript,
        recording.name,
        PROFILES[context.settings.subtitles],
        recording.source,
        with_suggestions(_speaking(context, job, diarized), job, diarized, minutes),
        suspect_answers=tuple(_suspect_answers(context, job, segments)),
        differences=opinions_on(context, job, segments, transcript),
        linked_formats=tuple(name for name in made_with(job.formats) if name != "html"),
        minutes=minutes,
    )


def translation_of(context: AppContext, job: Job, segments: Sequence[Segment]) -> Document | None:
    """Build the document of a job's translation; None where none was asked for."""
    settings = JobSettings.from_dict(job.settings)
    if not settings.translate:
        return None
    diarized, names = diarize(context, job, segments, translated_answer), job.speakers or {}
    transcript = replace(
        with_names(diarized.transcript, names), language=ENGLISH, other_languages=(), translated=True
    )
    recording = context.catalog.recording(job.recording_id)
    return Document(
        transcript,
        recording.name,
        PROFILES[context.settings.subtitles],
        recording.source,
        _speaking(context, job, diarized),
        linked_formats=tuple(name for name in made_with(job.formats) if name != "html"),
        stem=TRANSLATION,
    )


def _speaking(context: AppContext, job: Job, diarized: DiarizedTranscript) -> SpeakerInfo:
    """Return the speakers of a job, and how they are told apart."""
    settings = JobSettings.from_dict(job.settings)
    is_told = settings.diarizer is not None and are_speakers_told(context, settings)
    return SpeakerInfo(
        job.settings.get("speakers"),
        diarized.speakers,
        job.speakers or {},
        throughout=diarized.throughout,
        model=settings.diarizer if is_told else None,
        experimental=is_told and is_experimental(settings),
    )


def with_suggestions(
    speaking: SpeakerInfo, job: Job, diarized: DiarizedTranscript, minutes: MinutesDocument | None
) -> SpeakerInfo:
    """Add who was invited, and names that speakers may have."""
    attendees = JobSettings.from_dict(job.settings).attendees
    points = () if minutes is None else minutes.minutes.action_items
    found = suggest_names(diarized.transcript.utterances, speaking.names, attendees, points)
    return replace(speaking, attendees=attendees, suggestions=found)


def lacks_formats(context: AppContext, job: Job) -> bool:
    """Tell whether a job that was published lacks a format that it was asked for since."""
    published = {artifact.name for artifact in context.catalog.artifacts(job.id)}
    return any(artifact_name(name) not in published for name in job.formats or ())


def _suspect_answers(context: AppContext, job: Job, segments: Sequence[Segment]) -> Iterator[SuspectAnswer]:
    suspects = context.ledger.suspects(segment.cache_key for segment in segments)
    for segment in segments:
        if segment.state == SegmentState.DONE and segment.cache_key in suspects:
            yield SuspectAnswer(region_of(segment, job.origin_ms), SuspectReason(suspects[segment.cache_key]))


def _files(job: Job, documents: Sequence[Document]) -> Iterator[ArtifactFile]:
    """Render the files one by one: a day's recording makes tens of megabytes."""
    for document in documents:
        for name in made_with(job.formats):
            file_format = FORMATS[name]
            yield ArtifactFile(
                artifact_name(name, document.stem), file_format.render(document), file_format.content_type
            )


def _missing(
    recording: Recording, transcript: Transcript, failed: Sequence[Segment], damage: Integrity
) -> IncompleteError | None:
    """Return what the transcript lacks, and why; None where it lacks nothing."""
    if not transcript.missing and not transcript.suspect and not damage:
        return None
    where = f"missing {_spans(transcript)}: " if transcript.missing else ""
    if not failed and not damage:
        return WordlessError(
            f"{recording.name}: no word from {_spans(transcript)}, though somebody speaks",
            "listen there; another model may hear it",
        )
    if failed:
        why = failed[0].error_message or "not transcribed"
        hint = "" if "resume" in why else "stenoflow resume tries just those parts again"
        return IncompleteError(f"{recording.name}: {where}{why}", hint)
    return DamagedError(f"{recording.name} is damaged: {where}{damage.reason}")


def _untranslated(
    context: AppContext, recording: Recording, job: Job, translation: Transcript, segments: Sequence[Segment]
) -> tuple[IncompleteError | None, str | None]:
    """Return what the translation lacks, with the kind of error; nothing where it is whole."""
    if not translation.missing:
        return None, None
    settings = JobSettings.from_dict(job.settings)
    keys = [settings.translation_key(segment.cache_key) for segment in segments]
    lacking = set(keys) - context.ledger.answered(keys)
    kind, why = next(iter(context.ledger.complaints(lacking).values()), (None, "not translated"))
    message = f"{recording.name}: the translation lacks {_spans(translation)}: {why}"
    hint = "" if why and "resume" in why else "stenoflow resume tries just those parts again"
    return IncompleteError(message, hint), kind


_MOST_SPANS = 5


def _spans(transcript: Transcript) -> str:
    """Write where there are no words, in whole seconds outward; what then touches is one."""
    spans: list[tuple[int, int]] = []
    for each in sorted(transcript.missing + transcript.suspect, key=lambda each: each.start_ms):
        start, end = each.start_ms // 1_000, (each.end_ms + 999) // 1_000
        if spans and start <= spans[-1][1]:
            start, end = spans[-1][0], max(end, spans.pop()[1])
        spans.append((start, end))
    more = ", …" if len(spans) > _MOST_SPANS else ""
    return ", ".join(f"{clock(s * 1_000)}-{clock(e * 1_000)}" for s, e in spans[:_MOST_SPANS]) + more


def republish_page(context: AppContext, of: str) -> None:
    """Publish a transcript again, so that its page shows its newest minutes."""
    segments = context.catalog.segments(of)
    done = {each.cache_key for each in segments if each.state == SegmentState.DONE}
    if done - context.ledger.answered(done):
        # The new page would have less than the present one.
        _log.warning("answers of job %s are gone; its page is left as it is", of)
        return
    try:
        publish(context, of)
    except TakenError:
        _log.warning("another run is at work on job %s, and will publish its page", of)


def is_whole(context: AppContext, job: Job) -> bool:
    """Tell whether a published transcript can be made again as it is: all its answers are still stored."""
    if job.kind != JobKind.TRANSCRIBE or job.state not in PUBLISHED:
        return False
    segments = context.catalog.segments(job.id)
    done = {each.cache_key for each in segments if each.state == SegmentState.DONE}
    return not done - context.ledger.answered(done)


def publish_recording(context: AppContext, recording_id: str) -> None:
    """Publish all transcripts of a recording again, as after a correction; calls nobody.

    Raises:
        ObjectStoreError, DiskFullError: the artifacts could not be stored.
    """
    for job in context.catalog.transcriptions(recording_id):
        if is_whole(context, job):
            try:
                publish(context, job.id)
            except TakenError:
                _log.info("another run is at work on job %s, and will publish it", job.id)


def rename(context: AppContext, job_id: str, wanted: Mapping[str, str], *, republish: bool = True) -> None:
    """Call speakers otherwise, and publish again; calls nobody.

    Args:
        context: the tools.
        job_id: the job.
        wanted: names, by what the speakers are called now or were called by us.
        republish: False: whoever calls this will.

    Raises:
        SettingsError: nobody is called so, or the job is not published.
        TakenError: a run is at work on it.
    """
    job = context.catalog.job(job_id)
    if job.state not in PUBLISHED:
        raise SettingsError(f"job {job_id} is {job.state}: nothing of it is published", "resume it first")
    told = diarize(context, job, context.catalog.segments(job_id))
    names = labels_of(told, job.speakers or {}, wanted)
    context.catalog.name_speakers(job_id, names)
    if context.settings.voices.keep:
        # With it come the libraries of sound.
        from stenoflow.tasks.jobs.transcribe.known_voices import remember_names  # noqa: PLC0415

        remember_names(context, job, names)
    if republish:
        publish(context, job_id)
