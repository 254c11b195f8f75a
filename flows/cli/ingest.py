"""`stenoflow ingest`: take what comes into a drop folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.app import INTERRUPTED
from stenoflow.flows.cli.console import say, warn
from stenoflow.flows.cli.copies import Copies
from stenoflow.flows.cli.outcomes import finish
from stenoflow.flows.cli.progress import ProgressDisplay
from stenoflow.flows.ingest import Claims, Ingest, Moves
from stenoflow.flows.orchestration import Orchestration
from stenoflow.flows.outcome import Outcome, gravest
from stenoflow.flows.runner import Runner, run_until_signal
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.artifacts.formats import STANDARD, check_formats, optional
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.request import remarks_on, request_of
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, rules_of
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.inbox import Inbox, open_inbox
from stenoflow.tasks.sources.inbox.entry import INTERVAL_S, LOOKS, StabilityTracker
from stenoflow.tasks.sources.inbox.options import ALLOWABLE, RecordingOptions

if TYPE_CHECKING:
    from stenoflow.tasks.sources.inbox.queue import EventQueue


def ingest(
    inbox: Annotated[
        str, typer.Argument(help="A drop folder: DIR, or s3://bucket/prefix/.", show_default=False)
    ],
    watch: Annotated[bool, typer.Option("--watch", help="Keep on, until Ctrl-C or SIGTERM.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = INTERVAL_S,
    looks: Annotated[
        int,
        typer.Option(help="Looks in a row that must find a file unchanged.", min=1),
    ] = LOOKS,
    queue: Annotated[
        str | None,
        typer.Option(
            help="The SQS queue of the bucket's events, to hear of objects at once.", show_default=False
        ),
    ] = None,
    reject: Annotated[
        bool, typer.Option("--reject", help="Move what can never be taken to rejected/.")
    ] = False,
    done_to: Annotated[
        str | None,
        typer.Option(
            help="Move complete recordings there: DIR, or s3://bucket/prefix/.",
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
    align: options.Align = None,
    speakers: Annotated[
        str | None,
        typer.Option(
            help="How to tell who speaks: none, channels, model, voices.", metavar="HOW", show_default=False
        ),
    ] = None,
    min_speakers: options.MinSpeakers = None,
    max_speakers: options.MaxSpeakers = None,
    concurrency: options.Concurrency = None,
    budget: options.Budget = None,
    tag: options.Tag = None,
    json: options.Json = False,
) -> None:
    r"""Transcribe what is new and complete in a drop folder, each recording once.

    A NAME.json beside a recording, or \[recordings] in a stenoflow.toml in its folder, gives options: model,
    language, languages, glossary (terms, or the name of a file beside it), translate, align,
    segment_seconds, stream, speakers (none, channels, model, voices), min_speakers, max_speakers, names,
    attendees, formats, digest, tag, budget, priority (urgent, normal, bulk). It may lower a budget, not raise
    it; what can cost more is refused unless --allow names it. A NAME.rttm beside it says who speaks when, a
    NAME.ics who was invited.

    Example: [bold]stenoflow ingest s3://meetings/inbox/ --watch --reject[/]
    """
    settings = load_settings().with_budget(budget)
    wanted = check_formats(formats.split(","))
    given = _given(
        model=model,
        language=language,
        languages=options.listed(languages) or None,
        glossary=options.terms_of(glossary) or None,
        translate=translate or None,
        providers=options.listed(providers) or None,
        segment_seconds=segment_seconds,
        align=align,
        speakers=_speakers(speakers),
        min_speakers=min_speakers,
        max_speakers=max_speakers,
        formats=list(optional(wanted)) or None,
        tag=tag,
        budget=budget,
    )
    look = _Looks(watch, interval, looks, queue, _allowed(allow), Moves(say, reject, done_to))
    with open_context(settings) as context:
        calls = calls_at_once(settings, concurrency)
        code = _empty(context, inbox, look, given, wanted, _Printing(Copies(out), json, calls))
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Looks:
    """How a drop folder is looked into."""

    watch: bool
    interval_s: float
    looks: int
    queue: str | None
    allowed: tuple[str, ...]
    moves: Moves


@dataclass(frozen=True, slots=True)
class _Printing:
    """How outcomes are printed and copied, and how many calls are made at once."""

    copies: Copies
    json: bool
    calls: int


def _empty(
    context: AppContext,
    address: str,
    look: _Looks,
    given: dict[str, Any],
    formats: tuple[str, ...],
    printing: _Printing,
) -> int:
    """Take what is in a drop folder, and what comes while it is watched; returns the exit code.

    Raises:
        typer.Exit: with 130, if the user stopped it.
    """
    asked = RecordingOptions.model_validate(given)
    for remark in remarks_on(context.settings, request_of(context, asked).settings, asked):
        say(remark)
    inbox = open_inbox(address, context.s3)
    if look.moves.done_to is not None:
        inbox.check_place(look.moves.done_to)
    events = _queue(look.queue, inbox)
    context.check()
    copies = printing.copies

    def end(outcome: Outcome) -> None:
        copies.name([outcome.source])
        finish(context, outcome, copies, json=printing.json)

    with ProgressDisplay(context, end) as display:
        orchestration = Orchestration(context.settings.home, say)
        runner = Runner(context, printing.calls, display, orchestration, say=warn)
        display.explain_waits_by(runner.waits_for)
        tracker = StabilityTracker(look.looks)
        scanner = InboxScanner(
            context, inbox, rules_of(context, given, look.allowed), tracker, is_single=not look.watch
        )
        claims = Claims(scanner, runner, formats, look.moves)
        work = Ingest(claims, look.interval_s, look.watch, events, say)
        codes: set[int] = set()

        async def follow() -> None:
            # A flow run of all that ever comes would never end.
            found = 0 if look.watch else await work.look()
            await orchestration.run(
                context.run_id,
                found,
                lambda: runner.follow(work.works(), lambda outcome: codes.add(outcome.exit_code)),
            )

        run_until_signal(runner, follow(), work.stop)
    if runner.interrupted:
        raise typer.Exit(INTERRUPTED)
    return gravest(codes | {StorageError.exit_code} if copies.failed else codes)


def _speakers(speakers: str | None) -> str | None:
    """Return how speakers are told apart. Raises SettingsError for a file of turns."""
    by, rttm = options.speakers_of(speakers)
    if rttm is not None:
        raise SettingsError(
            "an inbox has many recordings", "put the RTTM file of each beside it, as NAME.rttm"
        )
    return by


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
    from stenoflow.tasks.sources.inbox.queue import open_queue  # noqa: PLC0415 - boto3 takes half a second to import

    return open_queue(url, inbox)
