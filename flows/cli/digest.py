"""`stenoflow digest`: minutes of a meeting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from flows.batch import run_to_its_end
from flows.cli import options
from flows.cli.console import result, say
from flows.cli.jobs import find_job
from flows.cli.speech_progress import watching
from flows.digest_outcome import DigestOutcome
from flows.digesting import Digesting
from storage.database.tables import Job
from tasks.audio_api.speech import SPEECH_FORMATS
from tasks.digest.opening import DigestWish, open_digest
from tasks.errors import SettingsError
from tasks.hearing import calls_at_once
from tasks.money.amounts import show
from tasks.settings import load_settings
from tasks.speaking.settings import Voicing
from tasks.workshop import Workshop, open_workshop

_INTERRUPTED = 130
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
        typer.Option(help="The model that speaks. Default: tts-1, or the embedded one.", show_default=False),
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(help="Artifacts to report: md, json, html, mp3, … Default: all.", show_default=False),
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
    with open_workshop(settings) as workshop:
        of = find_job(workshop, job).job
        workshop.check()
        voicing = Voicing(speech_model, voice, format_) if speak or voice or format_ or speech_model else None
        wish = DigestWish(model, voicing, tag=tag, budget_micro=options.budget_micro(budget))
        opened = open_digest(workshop, of, wish)
        calls = calls_at_once(settings, concurrency)
        (outcome,) = make_digests(workshop, [opened], calls, wanted, json=json)
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


def make_digests(
    workshop: Workshop, jobs: list[Job], calls: int, formats: Sequence[str] | None = None, *, json: bool
) -> list[DigestOutcome]:
    """Make opened digests, and print each outcome as it comes; ``formats``: what these name.

    Raises:
        typer.Exit: with 130, if the user stopped it.
    """

    def told(outcome: DigestOutcome) -> None:
        tell(workshop, outcome.naming(formats), json=json)

    digesting = Digesting(workshop, calls, told, _stopping)

    async def watched() -> list[DigestOutcome]:
        async with watching(workshop, [job.id for job in jobs], "questions answered"):
            return await digesting.run(jobs, again=True)

    outcomes = run_to_its_end(digesting, watched())
    if digesting.interrupted:
        raise typer.Exit(_INTERRUPTED)
    return outcomes


def tell(workshop: Workshop, outcome: DigestOutcome, *, json: bool) -> None:
    """Print one outcome: a JSON line; or the minutes, and on stderr what they cost and where they are."""
    if json:
        result(outcome.to_json())
        return
    if outcome.error is not None:
        say(f"{outcome.status}: {outcome.error['message']}")
    if "md" in outcome.artifacts and outcome.job is not None:
        keys = {artifact.name: artifact.key for artifact in workshop.catalog.artifacts(outcome.job)}
        result(workshop.store.get_bytes(keys["digest.md"]).decode())
    cost = "price unknown" if outcome.cost_micro is None else f"{show(outcome.cost_micro)} {outcome.currency}"
    say(
        f"{outcome.status}, {outcome.segments} questions, {outcome.calls} calls, {outcome.reused} reused, "
        f"{cost}, job {outcome.job}"
    )
    for name, uri in outcome.artifacts.items():
        say(f"  {name:5} {uri}")


def _stopping(calls: int, grace_s: float) -> None:
    if calls:
        say(f"Stopping: waiting up to {grace_s:.0f} s for {calls} calls that are paid for already.")
    else:
        say("Stopping.")
