"""`stenoflow ingest`: take what comes into a drop folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.app import INTERRUPTED
from stenoflow.flows.cli.console import say
from stenoflow.flows.cli.copies import Copies
from stenoflow.flows.cli.outcomes import finish
from stenoflow.flows.cli.progress import ProgressDisplay
from stenoflow.flows.ingest import Ingest, Moves, Taking
from stenoflow.flows.outcome import Outcome, gravest
from stenoflow.flows.prefect_server import Orchestration
from stenoflow.flows.runner import Runner, run_until_signal
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.artifacts.formats import STANDARD, check_formats, optional
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.request import remark_on_glossary, request_of
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, rules_of
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.inbox import Inbox, open_inbox
from stenoflow.tasks.sources.inbox.entry import StabilityTracker
from stenoflow.tasks.sources.inbox.options import ALLOWABLE, RecordingOptions

if TYPE_CHECKING:
    from stenoflow.tasks.sources.inbox.queue import EventQueue


def ingest(
    inbox: Annotated[
        str, typer.Argument(help="A drop folder: DIR, or s3://bucket/prefix/.", show_default=False)
    ],
    watch: Annotated[bool, typer.Option("--watch", help="Keep on, until Ctrl-C or SIGTERM.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 5.0,
    looks: Annotated[
        int,
        typer.Option(help="Looks in a row that must find a file unchanged; then it is complete.", min=1),
    ] = 2,
    queue: Annotated[
        str | None,
        typer.Option(
            help="The SQS queue of the bucket's events, to hear of objects at once.", show_default=False
        ),
    ] = None,
    reject: Annotated[
        bool, typer.Option("--reject", help="Move what can never be taken to rejected/ beside the inbox.")
    ] = False,
    done_to: Annotated[
        str | None,
        typer.Option(
            help="Move complete recordings there, with what belongs to them: DIR, or s3://bucket/prefix/.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    allow: Annotated[
        str | None,
        typer.Option(
            help=f"What files beside recordings may give, though it can cost more: {', '.join(ALLOWABLE)}.",
            metavar="NAMES",
            show_default=False,
        ),
    ] = None,
    out: options.Out = None,
    formats: options.Formats = ",".join(STANDARD),
    model: options.Model = None,
    providers: options.Providers = None,
    language: options.Language = None,
    languages: options.Languages = None,
    glossary: options.Glossary = None,
    translate: options.Translate = False,
    segment_seconds: options.SegmentSeconds = None,
    speakers: Annotated[
        str | None,
        typer.Option(help="How to tell who speaks.", metavar="none|channels|model", show_default=False),
    ] = None,
    concurrency: options.Concurrency = None,
    budget: options.Budget = None,
    tag: options.Tag = None,
    json: options.Json = False,
) -> None:
    r"""Transcribe what is new and complete in a drop folder, each recording once.

    A NAME.json beside a recording, or \[recordings] in a stenoflow.toml in its folder, gives options: model,
    language, languages, glossary (terms, or the name of a file beside it), translate, segment_seconds,
    stream, speakers (none, channels, model), names, formats, digest, tag, budget, priority (urgent, normal,
    bulk). It may lower a budget, not raise it; what can cost more is refused unless --allow names it. A
    NAME.rttm beside it says who speaks when.

    Example: [bold]stenoflow ingest s3://meetings/inbox/ --watch --reject[/]
    """
    settings = load_settings().with_budget(budget)
    wanted = check_formats(formats.split(","))
    by, rttm = options.speakers_of(speakers)
    if rttm is not None:
        raise SettingsError(
            "an inbox has many recordings", "put the RTTM file of each beside it, as NAME.rttm"
        )
    allowed = _allowed(allow)
    given = _given(
        model=model,
        language=language,
        languages=options.listed(languages) or None,
        glossary=options.terms_of(glossary) or None,
        translate=translate or None,
        providers=options.listed(providers) or None,
        segment_seconds=segment_seconds,
        speakers=by,
        formats=list(optional(wanted)) or None,
        tag=tag,
        budget=budget,
    )
    copies = Copies(out)
    with open_context(settings) as context:
        wish = request_of(context, RecordingOptions.model_validate(given))
        remark = remark_on_glossary(wish.settings, given.get("glossary", ()))
        if remark is not None:
            say(remark)
        box = open_inbox(inbox, context.s3)
        if done_to is not None:
            box.check_place(done_to)
        events = _queue(queue, box)
        context.check()

        def end(outcome: Outcome) -> None:
            copies.name([outcome.source])
            finish(context, outcome, copies, json=json)

        with ProgressDisplay(context, end) as display:
            orchestration = Orchestration(settings.home, say)
            runner = Runner(context, calls_at_once(settings, concurrency), display, orchestration)
            rules = rules_of(context, given, allowed)
            scanner = InboxScanner(context, box, rules, StabilityTracker(looks), is_single=not watch)
            taking = Taking(scanner, runner, wanted, Moves(say, reject, done_to))
            work = Ingest(taking, interval, watch, events, say)
            codes = run_until_signal(runner, runner.follow(work.works()), work.stop)
    if runner.interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(gravest(codes | {StorageError.exit_code} if copies.failed else codes))


def _allowed(names: str | None) -> tuple[str, ...]:
    """Return the options that may be given beside a recording. Raises SettingsError for any other."""
    allowed = options.listed(names)
    for name in allowed:
        if name not in ALLOWABLE:
            raise SettingsError(f"--allow cannot name {name!r}", f"it takes {', '.join(ALLOWABLE)}")
    return allowed


def _given(**said: Any) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


def _queue(url: str | None, inbox: Inbox) -> EventQueue | None:
    if url is None:
        return None
    from stenoflow.tasks.sources.inbox.bucket import BucketInbox  # noqa: PLC0415 - boto3 takes half a second to import
    from stenoflow.tasks.sources.inbox.queue import open_queue  # noqa: PLC0415 - the same

    if not isinstance(inbox, BucketInbox):
        raise SettingsError("--queue is for an inbox in S3", "a folder is looked into at the interval")
    return open_queue(url, inbox)
