"""Publishing a job: stitch what was heard, render it, store the artifacts, and the manifest last."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from storage.database.derived_keys import with_translations
from storage.database.states import JobState, SegmentState
from storage.database.tables import Artifact, Job, Recording, Segment
from tasks.artifacts import manifest
from tasks.artifacts.document import TRANSLATION, Document, Speaking
from tasks.artifacts.formats import FORMATS, artifact_name, made_with
from tasks.audio_api.answers import Answer, parse_answer
from tasks.audio_api.exchange import Target
from tasks.damage import Damage
from tasks.digest.shown import newest_minutes
from tasks.errors import FailedError
from tasks.job_settings import JobSettings, Speakers
from tasks.speakers.telling_apart import (
    Told,
    by_channels,
    by_model,
    by_turns,
    called,
    called_nothing,
    carried,
    keyed,
    levels_on,
    opening_of,
    stored_turns,
)
from tasks.speech.coverage import cover
from tasks.speech.cue_rules import PROFILES
from tasks.speech.doubt import Doubt
from tasks.speech.excerpt import Excerpt
from tasks.speech.languages import language_code
from tasks.speech.placing import Heard, Placed, place
from tasks.speech.stitching import Piece, Timeline, stitch
from tasks.speech.suspicion import DoubtfulAnswer
from tasks.speech.timecode import clock, samples_to_ms
from tasks.speech.transcript import Kind, Stretch, Timing, Transcript
from tasks.speech.words import Region
from tasks.translation.translating import ENGLISH, is_to_be_translated
from tasks.workshop import Workshop

MANIFEST = "manifest.json"
_ENDED = {SegmentState.DONE, SegmentState.SILENT}
_AnswerOf = Callable[[Workshop, JobSettings, Segment], Answer | None]


class IncompleteError(FailedError):
    """Parts of the recording could not be transcribed; the rest is published."""

    kind = "partial"


class DamagedError(IncompleteError):
    """The recording itself lacks something; what it has is published."""

    kind = "damaged"


class NothingHeardError(FailedError):
    """No segment could be transcribed; nothing is published."""

    kind = "failed"


def publish(workshop: Workshop, job_id: str) -> JobState:
    """Publish what a job has, and say in its state whether that is all.

    Nothing is published where no segment has an answer.

    Returns:
        Complete, partial or failed.

    Raises:
        ObjectStoreError, DiskFullError: the artifacts could not be stored; the manifest is not written.
    """
    job = workshop.catalog.job(job_id)
    recording = workshop.catalog.recording(job.recording_id)
    segments = workshop.catalog.segments(job_id)
    failed = [segment for segment in segments if segment.state not in _ENDED]
    if failed and not any(segment.state == SegmentState.DONE for segment in segments):
        reason = NothingHeardError(failed[0].error_message or "no segment could be transcribed")
        workshop.catalog.set_state(job_id, JobState.FAILED, reason, failed[0].error_kind)
        return JobState.FAILED
    document = document_of(workshop, job, segments)
    translation = translation_of(workshop, job, segments)
    retract_manifest(workshop, job)
    artifacts = _store(workshop, job, document)
    if translation is not None:
        artifacts += _store(workshop, job, translation)
    published = manifest.Published(
        recording,
        job,
        artifacts,
        segments,
        document,
        workshop.reports.charges(job_id),
        workshop.ledger.suspects(
            with_translations((segment.work_key for segment in segments), job.settings.get("translator"))
        ),
        translation,
    )
    _store_manifest(workshop, published)
    missing = _missing(recording, document.transcript, failed, Damage.of_job(job))
    kind = failed[0].error_kind if failed else None
    if missing is None and translation is not None:
        missing, kind = _untranslated(workshop, recording, job, translation.transcript, segments)
    state = JobState.COMPLETE if missing is None else JobState.PARTIAL
    workshop.catalog.set_state(job_id, state, missing, kind)
    return state


def document_of(workshop: Workshop, job: Job, segments: Sequence[Segment]) -> Document:
    """Make what is rendered of a job from the stored answers; calls nobody."""
    recording = workshop.catalog.recording(job.recording_id)
    told, names = tell_apart(workshop, job, segments), job.speakers or {}
    transcript = called(told.transcript, names)
    return Document(
        transcript,
        recording.name,
        PROFILES[workshop.settings.subtitles],
        recording.source,
        Speaking(job.settings.get("speakers"), told.speakers, names, throughout=told.throughout),
        doubtful=tuple(_doubtful(workshop, job, segments)),
        beside=tuple(name for name in made_with(job.formats) if name != "html"),
        minutes=newest_minutes(workshop, job, transcript),
    )


def translation_of(workshop: Workshop, job: Job, segments: Sequence[Segment]) -> Document | None:
    """Make what is rendered of a job's translation; None where none was asked for."""
    settings = JobSettings.from_dict(job.settings)
    if not settings.translate:
        return None
    told, names = tell_apart(workshop, job, segments, _in_english), job.speakers or {}
    transcript = replace(
        called(told.transcript, names), language=ENGLISH, other_languages=(), translated=True
    )
    recording = workshop.catalog.recording(job.recording_id)
    return Document(
        transcript,
        recording.name,
        PROFILES[workshop.settings.subtitles],
        recording.source,
        Speaking(job.settings.get("speakers"), told.speakers, names, throughout=told.throughout),
        beside=tuple(name for name in made_with(job.formats) if name != "html"),
        stem=TRANSLATION,
    )


def assemble(workshop: Workshop, job: Job, segments: Sequence[Segment]) -> Transcript:
    """Make a job's transcript from the stored answers; calls nobody."""
    return called(tell_apart(workshop, job, segments).transcript, job.speakers or {})


def tell_apart(
    workshop: Workshop, job: Job, segments: Sequence[Segment], answer_of: _AnswerOf | None = None
) -> Told:
    """Make a job's transcript, its speakers called as we call them.

    Args:
        workshop: the tools.
        job: the job.
        segments: its segments, in order.
        answer_of: gives what is taken of a segment; None: what was heard in it.

    Raises:
        TurnsGoneError: it rests on a diariser's turns, which are not stored any more.
    """
    settings, answer_of = JobSettings.from_dict(job.settings), answer_of or _said
    heard_ms = samples_to_ms(job.samples or 0)
    timeline = Timeline(
        job.origin_ms, job.origin_ms + heard_ms + job.lost_ms, job.lost_ms, Damage.of_job(job).stretches
    )
    if settings.speakers == Speakers.CHANNELS:
        channels = _by_channel(segments)
        pieces = {channel: _pieces(workshop, settings, each, answer_of) for channel, each in channels.items()}
        levels = {channel: levels_on(timeline, each) for channel, each in channels.items()}
        return by_channels(timeline, pieces, levels)
    if settings.speakers == Speakers.MODEL:
        recognised: set[str] = set()
        numbered = ((each.index, _piece(each, answer_of(workshop, settings, each))) for each in segments)
        transcript = stitch(timeline, keyed(numbered, recognised))
        opening = [(each.index, _said(workshop, settings, each)) for each in opening_of(segments)]
        known = carried((index, said.utterances) for index, said in opening if said)
        return by_model(transcript, known, recognised)
    transcript = called_nothing(stitch(timeline, _pieces(workshop, settings, segments, answer_of)))
    if settings.turns is not None:
        return by_turns(transcript, stored_turns(workshop.ledger, settings.turns))
    return Told(transcript, ())


def still_to_do(origin_ms: int, duration_ms: int, segments: Sequence[Segment]) -> tuple[Stretch, ...]:
    """Return the stretches of a job that was broken off for which there is no answer yet, in some channel."""
    open_ = [
        Region(each.start_ms, each.end_ms)
        for channel in (_by_channel(segments) or {0: []}).values()
        for each in _without_answer(origin_ms, duration_ms, channel)
    ]
    return tuple(each for each in cover(duration_ms, [], open_) if each.kind is Kind.MISSING)


def _without_answer(origin_ms: int, duration_ms: int, segments: Sequence[Segment]) -> Iterator[Stretch]:
    done = [_region(each, origin_ms) for each in segments if each.state in _ENDED]
    return (each for each in cover(duration_ms, done, []) if each.kind is not Kind.SPEECH)


def _by_channel(segments: Iterable[Segment]) -> dict[int, list[Segment]]:
    """Group segments by channel, in order; those of all channels mixed are of the first."""
    channels: dict[int, list[Segment]] = {}
    for segment in segments:
        channels.setdefault(segment.channel or 0, []).append(segment)
    return channels


def lacks_formats(workshop: Workshop, job: Job) -> bool:
    """Tell whether a job that was published lacks a format that it was asked for since."""
    published = {artifact.name for artifact in workshop.catalog.artifacts(job.id)}
    return any(artifact_name(name) not in published for name in job.formats or ())


def artifact_key(job: Job, name: str) -> str:
    """Return where an artifact lies in the store."""
    return f"{job.recording_id}/{job.id}/{name}"


def _doubtful(workshop: Workshop, job: Job, segments: Sequence[Segment]) -> Iterator[DoubtfulAnswer]:
    suspects = workshop.ledger.suspects(segment.work_key for segment in segments)
    for segment in segments:
        if segment.state == SegmentState.DONE and segment.work_key in suspects:
            yield DoubtfulAnswer(_region(segment, job.origin_ms), Doubt(suspects[segment.work_key]))


def _region(segment: Segment, origin_ms: int) -> Region:
    return Region(
        origin_ms + samples_to_ms(segment.start_sample), origin_ms + samples_to_ms(segment.end_sample)
    )


def _said(workshop: Workshop, settings: JobSettings, segment: Segment) -> Answer | None:
    return _read(workshop, settings, segment, segment.work_key)


def _read(workshop: Workshop, settings: JobSettings, segment: Segment, work_key: str) -> Answer | None:
    if segment.state != SegmentState.DONE:
        return None
    answer = workshop.ledger.answers([work_key]).get(work_key)
    if answer is None:
        return None
    target = Target(settings.provider, settings.model)
    return parse_answer(answer.encode(), target, Excerpt(segment.spans).duration_ms)


def _in_english(workshop: Workshop, settings: JobSettings, segment: Segment) -> Answer | None:
    """Return a segment's translation, or what was heard where that is English already."""
    said = _said(workshop, settings, segment)
    if said is None or not is_to_be_translated(said.raw, settings):
        return said
    return _read(workshop, settings, segment, settings.translation_key(segment.work_key))


def _pieces(
    workshop: Workshop, settings: JobSettings, segments: Iterable[Segment], answer_of: _AnswerOf
) -> Iterator[Piece]:
    """Yield what was heard; one answer at a time: a day's together take as much memory as what they make."""
    return (_piece(segment, answer_of(workshop, settings, segment)) for segment in segments)


def _piece(segment: Segment, said: Answer | None) -> Piece:
    speech = tuple(Region(start, end) for start, end in segment.regions)
    sent = Excerpt(segment.spans)
    placed: Placed | None = None
    language = None
    if segment.state == SegmentState.SILENT:
        placed = Placed((), Timing.WORD)
    elif said is not None:
        heard = Heard(said.text, said.utterances, said.words)
        placed = place(heard, sent.duration_ms, sent.joined(speech, segment.start_sample))
        language = language_code(said.language)
    return Piece(
        segment.start_sample, segment.end_sample, speech, placed, language, sent, forced=segment.forced
    )


def _store(workshop: Workshop, job: Job, document: Document) -> list[Artifact]:
    artifacts = []
    for name in made_with(job.formats):
        format_ = FORMATS[name]
        file_name = artifact_name(name, document.stem)
        data = format_.render(document)
        key = artifact_key(job, file_name)
        workshop.store.put_bytes(key, data, content_type=format_.content_type)
        artifacts.append(artifact_of(workshop, job, file_name, key, data))
    return artifacts


def retract_manifest(workshop: Workshop, job: Job) -> None:
    """Remove the manifest of an earlier run, which must not name what is being replaced."""
    key = artifact_key(job, MANIFEST)
    # Looked for first: whoever publishes a job once need not be allowed to delete.
    if workshop.store.exists(key):
        workshop.store.delete(key)


def _store_manifest(workshop: Workshop, published: manifest.Published) -> None:
    job = published.job
    data = manifest.render(published).encode()
    key = artifact_key(job, MANIFEST)
    workshop.store.put_bytes(key, data, content_type="application/json")
    artifacts = [*published.artifacts, artifact_of(workshop, job, MANIFEST, key, data)]
    workshop.catalog.record_artifacts(job.id, artifacts, published.document.transcript.duration_ms)


def artifact_of(workshop: Workshop, job: Job, name: str, key: str, data: bytes) -> Artifact:
    """Describe an artifact for the record."""
    return Artifact(
        job_id=job.id,
        name=name,
        key=key,
        uri=workshop.store.uri(key),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )


def _missing(
    recording: Recording, transcript: Transcript, failed: Sequence[Segment], damage: Damage
) -> IncompleteError | None:
    """Say what the transcript lacks, and why; None where it lacks nothing."""
    if not transcript.missing and not damage:
        return None
    where = f"missing {_spans(transcript)}: " if transcript.missing else ""
    if failed:
        why = failed[0].error_message or "not transcribed"
        return IncompleteError(
            f"{recording.name}: {where}{why}", "stenoflow resume tries just those parts again"
        )
    return DamagedError(f"{recording.name} is damaged: {where}{damage.reason}")


def _untranslated(
    workshop: Workshop, recording: Recording, job: Job, translation: Transcript, segments: Sequence[Segment]
) -> tuple[IncompleteError | None, str | None]:
    """Say what the translation lacks and why, with the kind of that; all was heard."""
    if not translation.missing:
        return None, None
    settings = JobSettings.from_dict(job.settings)
    keys = [settings.translation_key(segment.work_key) for segment in segments]
    lacking = set(keys) - workshop.ledger.answered(keys)
    kind, why = next(iter(workshop.ledger.complaints(lacking).values()), (None, "not translated"))
    message = f"{recording.name}: the translation lacks {_spans(translation)}: {why}"
    return IncompleteError(message, "stenoflow resume tries just those parts again"), kind


def _spans(transcript: Transcript) -> str:
    return ", ".join(f"{clock(each.start_ms)}-{clock(each.end_ms + 999)}" for each in transcript.missing[:5])
