"""`stenoflow demo`: the main job on a short spoken meeting that comes with the package."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import result, say
from stenoflow.flows.cli.outcomes import run_works
from stenoflow.flows.outcome import Outcome, TranscriptDetails, exit_code
from stenoflow.flows.prefect_server import has_server, temporary_server
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.private import make_folder
from stenoflow.tasks.artifacts.formats import STANDARD
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.engine.sample import script_text, sound
from stenoflow.tasks.jobs.transcribe.request import remarks_on, request_of
from stenoflow.tasks.operations.rehearsal import disagreement
from stenoflow.tasks.settings import Settings, load_settings
from stenoflow.tasks.sources import resolve
from stenoflow.tasks.sources.inbox.options import RecordingOptions

_SEGMENT_S = 30
_LISTED = ("openai", "whisper-1")


def demo(
    concurrency: Annotated[int, typer.Option(help="Segments transcribed at once.", min=1)] = 2,
    prefect: Annotated[
        bool, typer.Option("--prefect", help="Run it as a flow run of Prefect's, on a server of its own.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Transcribe a short sample meeting on this machine: no key, no network, no cost.

    Example: [bold]stenoflow demo[/]
    """
    # The models of whoever has a provider say nothing here.
    settings = load_settings(openai_api_key=None, openai_base_url=None, model=None)
    with open_context(settings) as context:
        recording = settings.work / "demo" / sound().name
        make_folder(recording.parent)
        shutil.copyfile(sound(), recording)
        asked = RecordingOptions(segment_seconds=_SEGMENT_S, tag="demo", digest=False)
        request = request_of(context, asked)
        for remark in remarks_on(settings, request.settings, asked):
            say(remark)
        say(
            "A meeting of two minutes: our own script, spoken by three synthetic voices and transcribed on"
            f" this machine by {request.settings.model}."
        )
        works = [TranscribeWork(source, request, STANDARD) for source in resolve(str(recording))]
        with _server(settings) if prefect else nullcontext():
            outcomes = run_works(context, works, concurrency, json=json)
            if not json:
                _explain(context, settings, outcomes[0])
            if prefect:
                _print_states(recording.name)
    raise typer.Exit(exit_code(outcomes))


@contextmanager
def _server(settings: Settings) -> Iterator[None]:
    """Use the server that there is, or start one."""
    if has_server(settings.home):
        yield
        return
    say("starting Prefect's server (the first time in a home takes longest)")
    with temporary_server(settings.home):
        yield


def _print_states(recording: str) -> None:
    """Print what Prefect says of the flow run and of its task runs."""
    from stenoflow.flows.prefect_runs import states_of  # noqa: PLC0415 - imports Prefect

    (flow_run, *task_runs) = asyncio.run(states_of(recording)) or [(recording, "not seen by Prefect")]
    say(f"\nflow run  {flow_run[0]}: {flow_run[1]}")
    for name, state in task_runs:
        say(f"task run  {name}: {state}")


def _explain(context: AppContext, settings: Settings, outcome: Outcome) -> None:
    """Print the transcript, how good it is, what it cost, and what to try next."""
    details = outcome.details
    if outcome.job is None or "txt" not in outcome.artifacts or not isinstance(details, TranscriptDetails):
        return
    keys = {artifact.name: artifact.key for artifact in context.catalog.artifacts(outcome.job)}
    text = context.store.get_bytes(keys["transcript.txt"]).decode()
    result(f"\n{text}")
    wrong = disagreement(script_text(), text).rate or 0.0
    result(f"word error rate  {wrong:.1%} against the script; it says little of a real meeting")
    price = context.prices.find(*_LISTED)
    listed = show(price.charge(round(details.duration * 1000))) if price else "unknown"
    result(f"cost             {show(outcome.cost_micro or 0)} USD: the embedded engine is free")
    result(f"at list price    {listed} USD by {_LISTED[1]} at {_LISTED[0]}")
    result(f"artifacts        {settings.store}")
    result(f"\nNext: stenoflow show {outcome.job}   or   stenoflow transcribe YOUR-RECORDING --out .")
