"""Going on where a job stopped, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stenoflow.flows.minutes import MinutesWork
from stenoflow.flows.outcome import ReplyStep
from stenoflow.flows.reply import ReplyWork
from stenoflow.flows.runner import Work
from stenoflow.flows.speak import SpeakWork
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.states import JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.assembly.job_settings import JobSettings
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.prepare import content_of, resolve_again
from stenoflow.tasks.jobs.transcribe.request import SpeakersWanted, TranscribeRequest, translated, with_voices
from stenoflow.tasks.sources.inbox.options import OptionsError


def works_to_resume(
    context: AppContext,
    job: Job,
    formats: Sequence[str],
    *,
    again: bool = True,
    realign: bool = False,
    speakers: SpeakersWanted | None = None,
    more_formats: tuple[str, ...] = (),
    folder: Path | None = None,
    tell: Callable[[ReplyStep], object] = lambda _: None,
) -> list[Work]:
    """Return the work that is left of a job.

    Args:
        context: of the process.
        job: of any kind.
        formats: which artifacts of a transcription the outcome names.
        again: run it even if it was set aside after crashes.
        realign: time the words of a transcription's stored answers by the sound anew.
        speakers: tell the voices of a transcription's recording apart, which makes another job of the same
            answers; None: as its settings say.
        more_formats: artifacts of a transcription that are asked for now.
        folder: where the sound of a text is written, called after its job; None: it stays in the store.
        tell: given the steps of a reply.

    Raises:
        SettingsError: it was refused for options that lie beside its recording; or its voices cannot be told
            apart.
        RefusedError: its recording is gone.
    """
    if job.kind == JobKind.SPEAK:
        return [SpeakWork(job, folder and folder / f"{job.id}.{job.settings['format']}")]
    if job.kind == JobKind.MINUTES:
        return [MinutesWork(job.settings["of"], job=job, again=True)]
    if job.kind == JobKind.REPLY:
        return [ReplyWork(tell, job=job)]
    if job.error_kind == OptionsError.kind:
        raise SettingsError(
            f"job {job.id} was refused for its options, which nobody knows here",
            "mend the file beside the recording, and run ingest again",
        )
    recording = context.catalog.recording(job.recording_id)
    settings = JobSettings.from_dict(job.settings)
    request = TranscribeRequest(
        settings if speakers is None else with_voices(context.settings, settings, speakers),
        job.tag,
        job.budget_micro,
        more_formats,
        digest=context.settings.digest,
        realign=realign,
        sha256=content_of(recording),
    )
    found = resolve_again(context, recording)
    return [TranscribeWork(source, request, formats, again=again) for source in found]


def works_to_translate(context: AppContext, job_id: str, formats: Sequence[str]) -> list[Work]:
    """Return the work of making an English transcript as well; what is transcribed is not asked for again.

    Raises:
        SettingsError: it is no transcription, or nobody translates.
        RefusedError: its recording is gone.
    """
    job = context.catalog.job(job_id)
    recording = context.catalog.recording(job.recording_id)
    request = replace(translated(context, job), sha256=content_of(recording))
    found = resolve_again(context, recording)
    return [TranscribeWork(source, request, formats, again=True) for source in found]
