"""`stenoflow reply`: the round trip from voice to voice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import say
from stenoflow.flows.cli.outcomes import run_works
from stenoflow.flows.reply import ReplyWork
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.reply.plan import ReplyRequest, check_request
from stenoflow.tasks.jobs.speak.output_file import check_spares, check_target, format_of_name
from stenoflow.tasks.jobs.speak.settings import VoiceOptions
from stenoflow.tasks.jobs.transcribe.request import remarks_on, request_of
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources import resolve
from stenoflow.tasks.sources.inbox.options import RecordingOptions

STREAM = Path("-")


def reply(
    audio: Annotated[str, typer.Argument(help="A recording of what is said.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file; - streams to stdout.", show_default=False)
    ],
    session: Annotated[
        str | None,
        typer.Option(
            help="The conversation that it goes on with; a new name begins one.", show_default=False
        ),
    ] = None,
    instructions: Annotated[
        str | None, typer.Option(help="What the chat model is told to be and do.", show_default=False)
    ] = None,
    voice: Annotated[
        str | None, typer.Option(help="The voice. Default: the model's.", show_default=False)
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="Of the sound. Default: by the file's name, or mp3.", show_default=False
        ),
    ] = None,
    model: options.Model = None,
    chat_model: Annotated[
        str | None,
        typer.Option(help="What answers. Default: as stenoflow models marks it.", show_default=False),
    ] = None,
    speech_model: Annotated[
        str | None,
        typer.Option(help="What speaks. Default: as stenoflow models marks it.", show_default=False),
    ] = None,
    language: options.Language = None,
    budget: options.Budget = None,
    tag: options.Tag = None,
    json: options.Json = False,
) -> None:
    """Answer what is said in a recording, in voice. Each step's time and cost go to stderr.

    Example: [bold]stenoflow reply question.m4a -o answer.mp3 --session kitchen[/]
    or: [bold]stenoflow reply question.m4a -o - | mpv -[/]
    """
    settings = load_settings().with_budget(budget)
    micro = options.budget_micro(budget)
    check_spares(out, Path(audio))
    voicing = VoiceOptions(speech_model, voice, _format(out, format_, json=json))
    request = ReplyRequest(chat_model, instructions, session, voicing, tag, micro)
    with open_context(settings) as context:
        check_request(context, request)
        sources = resolve(audio, context.s3)
        if len(sources) != 1:
            raise SettingsError(f"{audio} is {len(sources)} recordings", "name one of them")
        asked = RecordingOptions(model=model, language=language, tag=tag, budget=budget, digest=False)
        heard = request_of(context, asked)
        for remark in remarks_on(settings, heard.settings, asked):
            say(remark)
        stream = sys.stdout.fileno() if out == STREAM else None
        work = ReplyWork(
            lambda step: say(step.to_text()),
            (sources[0], heard),
            request,
            out=stream,
            file=None if stream is not None else out,
        )
        calls = calls_at_once(settings, None)
        (outcome,) = run_works(context, [work], calls, json=json, quiet=stream is not None)
    raise typer.Exit(outcome.exit_code)


def _format(out: Path, wanted: str | None, *, json: bool) -> str:
    """Return the format of the sound, once it is sure that it can go where it is to go."""
    if out != STREAM:
        check_target(out)
        return (wanted or format_of_name(out)).lower()
    if json:
        raise SettingsError("--json and -o - both want stdout", "write to a file with --json")
    if sys.stdout.isatty():
        raise SettingsError("a terminal cannot play sound", "-o FILE, or: -o - | mpv -")
    return (wanted or "mp3").lower()
