"""`stenoflow digest`: minutes of a meeting."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.batch import run_to_its_end
from flows.cli import options
from flows.cli.console import result, say
from flows.cli.jobs import find_job
from flows.digesting import Digesting, DigestOutcome
from tasks.digest.opening import DigestWish, open_digest
from tasks.hearing import calls_at_once
from tasks.money.amounts import show
from tasks.settings import load_settings
from tasks.workshop import Workshop, open_workshop

_INTERRUPTED = 130


def digest(
    job: Annotated[
        str,
        typer.Argument(help="A transcription's job, or the beginning of its id.", show_default=False),
    ],
    model: options.ChatModel = None,
    concurrency: options.Concurrency = None,
    budget: options.Budget = None,
    tag: options.Tag = None,
    json: options.Json = False,
) -> None:
    """Make minutes of a transcript: summary, decisions, action items, open questions, each with its moment.

    Example: [bold]stenoflow digest 3f9a2c[/]
    """
    settings = load_settings().with_budget(budget)
    with open_workshop(settings) as workshop:
        of = find_job(workshop, job).job
        workshop.check()
        wish = DigestWish(model, tag=tag, budget_micro=options.budget_micro(budget))
        opened = open_digest(workshop, of, wish)
        digesting = digesting_of(workshop, calls_at_once(settings, concurrency), json=json)
        (outcome,) = run_to_its_end(digesting, digesting.run([opened]))
    if digesting.interrupted:
        raise typer.Exit(_INTERRUPTED)
    raise typer.Exit(outcome.exit_code)


def digesting_of(workshop: Workshop, calls: int, *, json: bool) -> Digesting:
    """Return what makes digests for a command, and prints their outcomes."""
    return Digesting(workshop, calls, lambda outcome: tell(workshop, outcome, json=json), _stopping)


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
