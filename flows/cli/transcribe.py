"""`stenoflow transcribe` and `stenoflow resume`: the main job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import say
from stenoflow.flows.cli.copies import Copies
from stenoflow.flows.cli.jobs import find_job
from stenoflow.flows.cli.outcomes import print_outcome, run_works
from stenoflow.flows.outcome import Outcome, TranscriptDetails, exit_code, outcome_of_error
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.reports import JobLine
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.error_body import without_queries
from stenoflow.tasks.artifacts.formats import STANDARD, check_formats, optional
from stenoflow.tasks.assembly.job_settings import Speakers
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import RefusedError, SettingsError
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest, remarks_on, request_of
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources import Source, local_path, resolve
from stenoflow.tasks.sources.attendees import invited_to
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from stenoflow.tasks.transcript.speakers import Rttm


def transcribe(
    sources: options.Sources,
    out: options.Out = None,
    formats: options.Formats = ",".join(STANDARD),
    model: options.Model = None,
    providers: options.Providers = None,
    language: options.Language = None,
    languages: options.Languages = None,
    glossary: options.Glossary = None,
    translate: options.Translate = False,
    segment_seconds: options.SegmentSeconds = None,
    align: options.Align = None,
    stream: options.Stream = None,
    speakers: options.Speakers = None,
    speaker: options.SpeakerNames = None,
    min_speakers: options.MinSpeakers = None,
    max_speakers: options.MaxSpeakers = None,
    concurrency: options.Concurrency = None,
    check: options.Check = False,
    budget: options.Budget = None,
    tag: options.Tag = None,
    digest: options.Digest = None,
    json: options.Json = False,
) -> None:
    """Transcribe recordings: text, subtitles and JSON, with what each cost.

    --speakers voices promises nothing: with the model that is built in, of talks made of clear clips 0 to 3 %
    of the speech had the wrong speaker, in noise up to a quarter, of turns under 2 s a tenth, and of two who
    speak at once one is not heard. Real meetings have voices that are alike, far away, or in noise.

    Example: [bold]stenoflow transcribe board-meeting.m4a recordings/ --out transcripts/[/]
    """
    settings = load_settings().with_budget(budget).with_check(wanted=check)
    wanted = check_formats(formats.split(","))
    copies = Copies(out)
    by, rttm = options.speakers_of(speakers)
    names = options.names_of(speaker or [])
    asked = RecordingOptions(
        model=model,
        providers=options.listed(providers) or None,
        language=language,
        segment_seconds=segment_seconds,
        align=align,
        stream=stream,
        languages=options.listed(languages) or None,
        glossary=options.terms_of(glossary) or None,
        translate=translate,
        speakers=by,
        min_speakers=min_speakers,
        max_speakers=max_speakers,
        names=names,
        tag=tag,
        budget=budget,
        formats=list(optional(wanted)),
        digest=digest,
    )
    with open_context(settings) as context:
        request = request_of(context, asked)
        for remark in remarks_on(settings, request.settings, asked):
            say(remark)
        if names and rttm is None and request.settings.speakers == Speakers.NONE:
            raise SettingsError(
                "--speaker gives a name to nobody", "say how to tell who speaks by --speakers"
            )
        found, outcomes = find_sources(context, sources)
        for outcome in outcomes:
            print_outcome(context, outcome, json=json)
        works = [TranscribeWork(source, _with_attendees(request, source), wanted) for source in found]
        if rttm is not None:
            works = [_with_turns(context, work, rttm, alone=len(found) == 1) for work in works]
        calls = calls_at_once(settings, concurrency)
        outcomes += run_works(context, works, calls, copies=copies, json=json)
    raise typer.Exit(exit_code(outcomes))


def _with_attendees(request: TranscribeRequest, source: Source) -> TranscribeRequest:
    """Add who was invited, where an invitation lies beside a recording of this machine."""
    path = local_path(source)
    people = () if path is None else invited_to(path)
    if not people:
        return request
    return replace(request, settings=replace(request.settings, attendees=people))


def _with_turns(context: AppContext, work: TranscribeWork, rttm: Rttm, *, alone: bool) -> TranscribeWork:
    """Add a recording's turns; one that the file says nothing of is refused, the others go on."""
    from stenoflow.tasks.jobs.transcribe.speakers import with_turns  # noqa: PLC0415 - with it comes numpy

    try:
        return replace(work, request=with_turns(context, work.request, rttm, work.name, alone=alone))
    except RefusedError as error:
        return replace(work, refused=error)


def find_sources(context: AppContext, given: Sequence[str]) -> tuple[list[Source], list[Outcome]]:
    """Find what was named, each once; what cannot be found is an outcome, and the others go on."""
    found: dict[str, Source] = {}
    refused = []
    for name in given:
        try:
            found |= {source.uri: source for source in resolve(name, context.s3, say)}
        except StenoflowError as error:
            refused.append(outcome_of_error(error, TranscriptDetails(), source=without_queries(name)))
    return list(found.values()), refused


def resume(
    jobs: Annotated[
        list[str], typer.Argument(help="Jobs, or the beginnings of their ids.", show_default=False)
    ],
    out: options.Out = None,
    formats: options.Formats = ",".join(STANDARD),
    concurrency: options.Concurrency = None,
    check: options.Check = False,
    budget: options.Budget = None,
    realign: Annotated[
        bool,
        typer.Option("--realign", help="Time the words of stored answers by the sound anew; buys nothing."),
    ] = False,
    speakers: options.ByVoices = None,
    min_speakers: options.MinSpeakers = None,
    max_speakers: options.MaxSpeakers = None,
    json: options.Json = False,
) -> None:
    """Go on where jobs stopped: only what has no answer yet is sent.

    With --speakers voices, the job's answers become another job with speakers; nothing is sent.

    Example: [bold]stenoflow resume 3f9a2c[/]
    """
    # With it come jobs of every kind, and numpy.
    from stenoflow.flows.resume import works_to_resume  # noqa: PLC0415

    settings = load_settings().with_budget(budget).with_check(wanted=check)
    wanted = check_formats(formats.split(","))
    voices = options.by_voices(speakers, min_speakers, max_speakers)
    micro = options.budget_micro(budget)
    copies = Copies(out)
    with open_context(settings) as context:
        works = [
            work
            for line in [find_job(context, job) for job in jobs]
            for work in works_to_resume(
                context,
                _job(context, line, micro),
                wanted,
                realign=realign,
                speakers=voices,
                more_formats=optional(wanted),
                folder=out,
                tell=lambda step: say(step.to_text()),
            )
        ]
        calls = calls_at_once(settings, concurrency)
        outcomes = run_works(context, works, calls, copies=copies, json=json)
    raise typer.Exit(exit_code(outcomes))


def _job(context: AppContext, line: JobLine, budget_micro: int | None) -> Job:
    """Return a job, with another budget if one is given."""
    return line.job if budget_micro is None else context.catalog.set_budget(line.job.id, budget_micro)
