"""`stenoflow digest`: minutes of a meeting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.jobs import find_job
from stenoflow.flows.cli.outcomes import run_works
from stenoflow.flows.minutes import MinutesWork
from stenoflow.tasks.api.speech import SPEECH_FORMATS
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.minutes.plan import MinutesRequest, open_minutes
from stenoflow.tasks.jobs.speak.settings import VoiceOptions
from stenoflow.tasks.settings import load_settings

_ENDINGS = ("md", "json", "html", *SPEECH_FORMATS)


def digest(
    job: Annotated[
        str,
        typer.Argument(help="A transcription's job, or the beginning of its id.", show_default=False),
    ],
    model: options.ChatModel = None,
    speak: Annotated[bool, typer.Option("--speak", help="Have the minutes read aloud as well.")] = False,
    voice: Annotated[
        str | None, typer.Option(help="The voice that reads them; implies --speak.", show_default=False)
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="mp3, opus, …: of the sound; implies --speak.", show_default=False),
    ] = None,
    speech_model: Annotated[
        str | None,
        typer.Option(help="What speaks. Default: as stenoflow models marks it.", show_default=False),
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(help="Artifacts to report: md, json, html, mp3, … Default: all.", show_default=False),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(
            help="Write them by this file: Jinja, or Markdown with headings. Default: \\[minutes] says.",
            show_default=False,
        ),
    ] = None,
    concurrency: options.Concurrency = None,
    budget: options.Budget = None,
    tag: options.Tag = None,
    json: options.Json = False,
) -> None:
    """Make minutes of a transcript: summary, decisions, action items, open questions, each with its moment.

    Example: [bold]stenoflow digest 3f9a2c[/]
    """
    settings = load_settings().with_budget(budget)
    wanted = _check(formats)
    with open_context(settings) as context:
        of = find_job(context, job).job
        context.check()
        voicing = (
            VoiceOptions(speech_model, voice, format_) if speak or voice or format_ or speech_model else None
        )
        request = MinutesRequest(
            model,
            voicing,
            tag=tag,
            budget_micro=options.budget_micro(budget),
            template=template and template.absolute(),
        )
        work = MinutesWork(of.id, job=open_minutes(context, of, request), formats=wanted, again=True)
        calls = calls_at_once(settings, concurrency)
        (outcome,) = run_works(context, [work], calls, json=json)
    raise typer.Exit(outcome.exit_code)


def _check(formats: str | None) -> list[str] | None:
    """Return the endings that were named. Raises SettingsError for one that there is none of."""
    if formats is None:
        return None
    named = [name.strip().lower() for name in formats.split(",")]
    unknown = [name for name in named if name not in _ENDINGS]
    if unknown:
        raise SettingsError(f"no such format: {', '.join(unknown)}", f"there are {', '.join(_ENDINGS)}")
    return named
