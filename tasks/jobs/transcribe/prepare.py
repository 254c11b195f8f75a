"""Prepare a source: probe and hash it, refuse it before any money is spent, or open its job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.storage.errors import StenoflowError, StorageError, TakenError
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.assemble import untranslated
from stenoflow.tasks.assembly.job_settings import CacheKeys, JobSettings, Speakers, job_id, recording_id
from stenoflow.tasks.assembly.review import realign
from stenoflow.tasks.calls.bills import check_affordable, is_countable, reserve_audio, reserve_tokens
from stenoflow.tasks.calls.failover import Candidate
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import (
    RefusedError,
    SettingsError,
    SourceUnreadableError,
    TooLongError,
    TooShortError,
)
from stenoflow.tasks.jobs.transcribe.publish import rename
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest, check_diarizer, check_engine
from stenoflow.tasks.jobs.translate.plan import most_tokens
from stenoflow.tasks.media.probe import AudioStream, MediaInfo, probe, probing
from stenoflow.tasks.settings import inbox_of
from stenoflow.tasks.sources import Fetched, Source, fetch, local_path, resolve
from stenoflow.tasks.transcript.channels import channel_name
from stenoflow.tasks.transcript.regions import SHORTEST_SENT_MS, Excerpt
from stenoflow.tasks.transcript.timecode import clock

# In place of a hash, where the content could not be read.
_UNREAD = ""


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job that is open, with its recording at hand.

    Attributes:
        fetched: the recording, on this machine.
        stream: which of its audio streams is transcribed; None for a job that was complete before.
        duration_ms: how long it is.
    """

    job: Job
    recording: Recording
    fetched: Fetched
    stream: AudioStream | None
    duration_ms: int

    @property
    def settings(self) -> JobSettings:
        """What the job's result depends on."""
        return JobSettings.from_dict(self.job.settings)


def prepare(
    context: AppContext,
    source: Source,
    request: TranscribeRequest,
    progress: Callable[[int], None] = lambda _: None,
) -> PreparedJob:
    """Read a source, refuse it or open its job.

    A job that is complete, its artifacts in place, is not looked into again.

    Args:
        context: the tools.
        source: where the recording is.
        request: what is asked of the job.
        progress: told how many bytes have been fetched; what it raises ends the fetching.

    Raises:
        RefusedError: it will not be transcribed; where it could be read, its job says so too.
        SettingsError: there is no ffmpeg that can be used.
        StenoflowError: it could not be read or stored.
    """
    with _looking(source) as look:
        fetched = fetch(source, context.settings.work / "sources", context.s3, progress)
        if request.sha256 not in {None, fetched.sha256}:
            raise SourceUnreadableError(
                f"{source.name} is another recording now than the one that was meant",
                "stenoflow transcribe takes it as a new one",
            )
        recording = _recording(source, fetched.sha256, fetched.size)
        request = _as_begun(context, recording, _with_diarization(request, fetched.sha256))
        job = context.catalog.open_job(_job(context, recording, request), recording)
        recording = context.catalog.recording(job.recording_id)
        if job.state == JobState.COMPLETE and not request.realign and context.has_artifacts(job.id):
            if request.names:
                rename(context, job.id, request.names)
            return PreparedJob(job, recording, fetched, None, recording.duration_ms or 0)
        # Before anything is spent, and not before it is known that there is something to do.
        _ = context.ffmpeg
        try:
            check_engine(context.settings, request.settings)
            check_diarizer(context, request.settings)
            info = look(fetched.path)
            stream = choose_stream(info, request.settings.stream, source.name)
            check_length(context, stream, source.name)
            duration_ms = stream.demuxed_end_ms + stream.missing_ms
            check_speakers(request.settings, request.names, stream, source.name)
            sound_ms = (duration_ms - stream.origin_ms) * tracks_of(request.settings, stream)
        except StenoflowError as error:
            error.job_id = job.id
            # A copy of ours has a name that nobody knows.
            error.message = error.message.replace(fetched.path.name, source.name)
            state = JobState.REFUSED if error.exit_code == RefusedError.exit_code else JobState.FAILED
            # A run that is at work on it has prepared it before, and knows better.
            with suppress(TakenError):
                context.catalog.set_state(job.id, state, error)
            raise
        check_affordable(context, job, expected_bills(context, job, fetched.sha256, sound_ms))
    job = context.catalog.describe(job.id, duration_ms, asdict(info), stream.origin_ms, request.names)
    if request.realign:
        done = [each for each in context.catalog.segments(job.id) if each.state == SegmentState.DONE]
        realign(context, request.settings, [each.cache_key for each in done])
    return PreparedJob(job, recording, fetched, stream, duration_ms)


def content_of(recording: Recording) -> str | None:
    """Return the hash of a recording's bytes; None where it could never be read."""
    return None if recording.sha256 == _UNREAD else recording.sha256


def resolve_again(context: AppContext, recording: Recording) -> list[Source]:
    """Find a recording of before at its address; one of an inbox only in there.

    Raises:
        RefusedError: it is gone, or cannot be read.
    """
    return resolve(recording.source, context.s3, within=inboxes_around(context, recording.source))


def inboxes_around(context: AppContext, source: str) -> list[str]:
    """Return how the addresses of inboxes begin: of the settings', and of those that were emptied by hand."""
    return [*(each.prefix for each in context.settings.inboxes), *context.inboxes.around(source)]


def refuse_unread(
    context: AppContext,
    source: Source,
    request: TranscribeRequest,
    status: str,
    error: Mapping[str, str],
) -> str:
    """Open a job for a source that ended before it could be read, so that `jobs` shows it; its id.

    ``error``: its kind and message.
    """
    recording = _recording(source, _UNREAD, source.size)
    job = context.catalog.open_job(_job(context, recording, request), recording)
    why = StenoflowError(error.get("message", ""))
    context.catalog.set_state(job.id, JobState(status), why, error.get("kind"))
    return job.id


@contextmanager
def _looking(source: Source) -> Iterator[Callable[[Path], MediaInfo]]:
    """Begin to look into a file that is here already, while it is hashed: both read the whole of it."""
    with ExitStack() as stack:
        path = local_path(source)
        found = None
        if path is not None:
            # What cannot be opened, fetching explains.
            with suppress(RefusedError):
                found = stack.enter_context(probing(path))
        yield probe if found is None else lambda _: found()


def choose_stream(info: MediaInfo, wanted: int | None, name: str) -> AudioStream:
    """Return the wanted audio stream, or the container's default. Raises SettingsError if there is none."""
    if wanted is None:
        return info.default_stream
    if not 0 <= wanted < len(info.streams):
        number = len(info.streams)
        has = "one audio stream, number 0" if number == 1 else f"{number} audio streams, 0 to {number - 1}"
        raise SettingsError(f"{name} has {has}; there is none with the number {wanted}")
    return info.streams[wanted]


def check_length(context: AppContext, stream: AudioStream, name: str) -> None:
    """Refuse a recording that is too short to be sent, or longer than the settings allow.

    Raises:
        TooShortError: it is shorter than the API takes.
        TooLongError: it is above the settings' cap.
    """
    length_ms = stream.demuxed_end_ms - stream.origin_ms
    if length_ms < SHORTEST_SENT_MS:
        raise TooShortError(
            f"{name} lasts {length_ms / 1000:g} s; less than {SHORTEST_SENT_MS / 1000:g} s is not sent"
        )
    if stream.demuxed_end_ms > context.settings.max_hours * 3_600_000:
        raise TooLongError(
            f"{name} lasts {clock(stream.demuxed_end_ms)}, more than {context.settings.max_hours:g} hours",
            "raise STENOFLOW_MAX_HOURS to take it",
        )


def _with_diarization(request: TranscribeRequest, sha256: str) -> TranscribeRequest:
    """Return the request with the hash under which the recording's turns are stored once they are told."""
    before = None if request.before is None else request.before.with_diarization(sha256)
    return replace(request, settings=request.settings.with_diarization(sha256), before=before)


def _as_begun(context: AppContext, recording: Recording, request: TranscribeRequest) -> TranscribeRequest:
    """Return the request as its job was begun, if that was before its server was given limits.

    Of a job that is new, its provider is asked first what it offers, where nobody named a model.
    """
    if request.before is not None:
        with suppress(StorageError):
            _ = context.catalog.job(job_id(recording.id, request.before))
            return replace(request, settings=replace(request.before, attendees=request.settings.attendees))
    if request.settled is not None:
        try:
            _ = context.catalog.job(job_id(recording.id, request.settings))
        except StorageError:
            settled, of = request.settled(), request.settings
            told = replace(settled.settings, attendees=of.attendees)
            if of.turns is not None:
                told = replace(told, speakers=of.speakers, turns=of.turns)
            return replace(settled, settings=told)
    return request


def _recording(source: Source, sha256: str, size: int) -> Recording:
    return Recording(
        id=recording_id(source.uri, sha256),
        source=source.uri,
        name=source.name,
        version=source.version,
        sha256=sha256,
        bytes=size,
    )


def _job(context: AppContext, recording: Recording, request: TranscribeRequest) -> Job:
    return Job(
        id=job_id(recording.id, request.settings),
        recording_id=recording.id,
        settings_hash=request.settings.settings_hash,
        settings=request.settings.to_dict(),
        plan_hash=request.settings.plan_hash,
        tag=request.tag,
        inbox=inbox_of(context.settings, recording.source),
        budget_micro=request.budget_micro,
        formats=list(request.formats) or None,
    )


# Of each channel a segment is held in memory, 20 MB.
_MOST_CHANNELS = 16


class ChannelsError(RefusedError):
    """A recording's channels cannot be taken for its speakers."""

    kind = "channels"
    lies_in_recording = True


class NamesError(RefusedError):
    """A name is given to a speaker that there is not."""

    kind = "speakers"
    lies_in_recording = True


def tracks_of(settings: JobSettings, stream: AudioStream) -> int:
    """Return how many tracks of a stream are transcribed."""
    return stream.channels if settings.speakers == Speakers.CHANNELS else 1


def check_speakers(settings: JobSettings, names: Iterable[str], stream: AudioStream, recording: str) -> None:
    """Refuse what cannot be had, before anything is spent on it.

    Raises:
        ChannelsError: a speaker a channel is asked for, and there is one channel, or there are too many.
        NamesError: one of the names is given to a channel that there is not.
    """
    if settings.speakers != Speakers.CHANNELS:
        return
    if stream.channels < 2:
        raise ChannelsError(
            f"{recording} has one channel, so its speakers cannot be told apart by channels",
            "leave out --speakers channels; a model or an RTTM file can tell them apart",
        )
    if stream.channels > _MOST_CHANNELS:
        raise ChannelsError(
            f"{recording} has {stream.channels} channels; {_MOST_CHANNELS} at most can be told apart",
            "extract those with speakers into a file of their own",
        )
    known = [channel_name(channel) for channel in range(stream.channels)]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise NamesError(f"{recording}: no speaker is called {unknown!r}", f"there are {', '.join(known)}")


def expected_bills(
    context: AppContext, job: Job, sha256: str, duration_ms: int
) -> Iterator[tuple[Target, Bill]]:
    """Yield who is to be paid for a job, and what at most, for each call that sends sound.

    Of several who can be asked, the cheapest counts: what the others would cost, each of their calls is held
    against the budget for.

    Args:
        context: the tools.
        job: the job.
        sha256: of its recording.
        duration_ms: how much of it is transcribed, where nobody has cut it yet.
    """
    settings = JobSettings.from_dict(job.settings)
    due = _due(context, job, settings, sha256) or _Due.of_all(settings, duration_ms)
    yield from min((_sound_bills(context, each, due.sound_ms) for each in _asked(settings)), key=_cost)
    if settings.translator is not None and due.chat_ms:
        target = Target(settings.chat_provider, settings.translator)
        tokens = most_tokens(due.chat_ms, due.chat_segments, context.chat_models.get(target.model))
        yield target, reserve_tokens(context.prices.find(target.provider, target.model), tokens)


def _asked(settings: JobSettings) -> list[Candidate]:
    return Candidate.chain(settings.provider, settings.model, settings.others)


def _sound_bills(context: AppContext, asked: Candidate, sound_ms: Iterable[int]) -> list[tuple[Target, Bill]]:
    target = Target(asked.provider, asked.model)
    price = context.prices.find(asked.provider, asked.model)
    return [(target, reserve_audio(price, ms)) for ms in sound_ms]


def _cost(bills: Iterable[tuple[Target, Bill]]) -> float:
    """Return what bills come to; what no budget can count comes to more than anything."""
    return sum((each.amount_micro or 0) if is_countable(each) else float("inf") for _, each in bills)


@dataclass(frozen=True, slots=True)
class _Due:
    """What is yet to be bought.

    Attributes:
        sound_ms: how much sound each call sends: to be transcribed, and by a model that translates, again.
        chat_ms: how much speech is translated by chat.
        chat_segments: in how many segments.
    """

    sound_ms: tuple[int, ...]
    chat_ms: int = 0
    chat_segments: int = 0

    @classmethod
    def of_all(cls, settings: JobSettings, duration_ms: int) -> _Due:
        """Return it for a recording that nobody has cut yet: it is taken to be cut evenly."""
        segments = max(1, round(duration_ms / settings.target_ms))
        sound_ms = (-(-duration_ms // segments),) * (segments * settings.calls_a_segment)
        if settings.translator is None:
            return cls(sound_ms)
        return cls(sound_ms, duration_ms, segments)


def _due(context: AppContext, job: Job, settings: JobSettings, sha256: str) -> _Due | None:
    """Return what of a recording has no answer yet; None where nobody has cut it so before."""
    plan = context.catalog.find_plan(sha256, job.plan_hash)
    if plan is None:
        return None
    keys = CacheKeys(settings, sha256)
    keyed = [(keys.of(cut), cut) for cut in plan.segments]
    sent = {cache_key: Excerpt(cut.spans).duration_ms for cache_key, cut in keyed if cut.speech}
    answered = context.ledger.answered(sent)
    untranslated_ms = [sent[cache_key] for cache_key in untranslated(context, settings, answered)]
    unanswered_ms = [ms for cache_key, ms in sent.items() if cache_key not in answered]
    if settings.translator is None:
        return _Due((*unanswered_ms * settings.calls_a_segment, *untranslated_ms))
    return _Due(
        tuple(unanswered_ms),
        sum(unanswered_ms) + sum(untranslated_ms),
        len(unanswered_ms) + len(untranslated_ms),
    )
