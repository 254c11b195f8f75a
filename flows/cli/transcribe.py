"""`stenoflow transcribe`: the main job."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from stenoflow.flows.batch import Batch, Order, run_to_its_end
from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import say
from stenoflow.flows.cli.outcomes import INTERRUPTED, Copies, finish, print_outcome
from stenoflow.flows.cli.progress import BatchDisplay
from stenoflow.flows.outcome import Outcome, exit_code, of_error
from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.tasks.api.error_body import without_queries
from stenoflow.tasks.artifacts.formats import STANDARD, check_formats, optional
from stenoflow.tasks.assembly.settings import Speakers
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import RefusedError, SettingsError
from stenoflow.tasks.jobs.transcribe.prepare import TranscribeRequest
from stenoflow.tasks.jobs.transcribe.request import Wanted, job_settings, remark_on_glossary
from stenoflow.tasks.jobs.transcribe.speakers import with_turns
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources import Source, resolve
from stenoflow.tasks.transcript.speakers import Rttm


def transcribe(
    sources: options.Sources,
    out: options.Out = None,
    formats: options.Formats = ",".join(STANDARD),
    model: options.Model = None,
    language: options.Language = None,
    languages: options.Languages = None,
    glossary: options.Glossary = None,
    translate: options.Translate = False,
    segment_seconds: options.SegmentSeconds = None,
    stream: options.Stream = None,
    speakers: options.Speakers = None,
    speaker: options.SpeakerNames = None,
    concurrency: options.Concurrency = None,
    budget: options.Budget = None,
    tag: options.Tag = None,
    digest: options.Digest = None,
    json: options.Json = False,
) -> None:
    """Transcribe recordings: text, subtitles and JSON, with what each cost.

    Example: [bold]stenoflow transcribe board-meeting.m4a recordings/ --out transcripts/[/]
    """
    settings = load_settings().with_budget(budget)
    wanted = check_formats(formats.split(","))
    copies = Copies(out)
    by, rttm = options.speakers_of(speakers)
    names = options.names_of(speaker or [])
    asked = Wanted(
        model,
        language=language,
        segment_seconds=segment_seconds,
        stream=stream,
        languages=options.listed(languages),
        glossary=options.terms_of(glossary),
        translate=translate,
        speakers=by,
    )
    with open_context(settings) as context:
        of_job = job_settings(settings, context.models, asked)
        remark = remark_on_glossary(of_job, asked.glossary)
        if remark is not None:
            say(remark)
        wish = TranscribeRequest(
            of_job,
            tag=tag,
            budget_micro=options.budget_micro(budget),
            names=names,
            formats=optional(wanted),
            digest=settings.digest if digest is None else digest,
        )
        if names and rttm is None and wish.settings.speakers == Speakers.NONE:
            raise SettingsError(
                "--speaker gives a name to nobody", "say how to tell who speaks by --speakers"
            )
        found, outcomes = find_sources(context, sources)
        for outcome in outcomes:
            print_outcome(outcome, json=json)
        alone = len(found) == 1
        orders = [
            Order(source, wish)
            if rttm is None
            else _order_with_turns(context, source, wish, rttm, alone=alone)
            for source in found
        ]
        calls = calls_at_once(settings, concurrency)
        outcomes += run_batch(context, orders, wanted, calls, copies, json=json)
    raise typer.Exit(exit_code(outcomes))


def _order_with_turns(
    context: AppContext, source: Source, wish: TranscribeRequest, rttm: Rttm, *, alone: bool
) -> Order:
    """Order a recording with its speaker turns; refuse it alone where the file has none of it."""
    try:
        return Order(source, with_turns(context, wish, rttm, source.name, alone=alone))
    except RefusedError as error:
        return Order(source, wish, refused=error)


def find_sources(context: AppContext, given: Sequence[str]) -> tuple[list[Source], list[Outcome]]:
    """Find the named sources, each once; one that cannot be found becomes an outcome."""
    found: dict[str, Source] = {}
    refused = []
    for name in given:
        try:
            found |= {source.uri: source for source in resolve(name, context.s3)}
        except StenoflowError as error:
            refused.append(of_error(without_queries(name), error))
    return list(found.values()), refused


def run_batch(
    context: AppContext,
    orders: Sequence[Order],
    formats: Sequence[str],
    concurrency: int,
    copies: Copies,
    *,
    json: bool,
) -> list[Outcome]:
    """Run a batch with its display, and print each outcome as it comes.

    Raises:
        typer.Exit: with 130, if the user stopped it.
    """
    if not orders:
        return []
    context.check()
    copies.name([order.source.uri for order in orders])
    with BatchDisplay(context, lambda outcome: finish(context, outcome, copies, json=json)) as display:
        batch = Batch(context, formats, concurrency, display)
        outcomes = run_to_its_end(batch, batch.run(orders))
    if batch.interrupted:
        raise typer.Exit(INTERRUPTED)
    if copies.failed:
        raise typer.Exit(StorageError.exit_code)
    return outcomes
