"""`stenoflow forget`: erase a recording; what it cost stays."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import result, say
from stenoflow.flows.flow_run_erasure import erase_flow_runs
from stenoflow.tasks.context import open_context
from stenoflow.tasks.operations.erase import erase as forget_recording
from stenoflow.tasks.operations.erase import find
from stenoflow.tasks.settings import load_settings


def forget(
    recording: Annotated[
        str,
        typer.Argument(
            help="A recording's id or the beginning of it (jobs --json), its address, or its path.",
            show_default=False,
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Erase a recording: our copies of its sound, segments, answers, artifacts. Charges stay, without names.

    Your own file, or the object in your bucket, is not touched.

    Example: [bold]stenoflow forget 012e573439b1f437[/]
    """
    settings = load_settings()
    with open_context(settings) as context:
        for each in find(context, _address(recording)):
            if not yes:
                typer.confirm(f"Forget {each.name} with {len(each.jobs)} jobs?", abort=True, err=True)
            # First, for what is left of it could not be found any more.
            runs = erase_flow_runs(settings.home, each.name, each.source, each.jobs)
            erased = forget_recording(context, each)
            if json:
                what = {"recording": each.recording_id, "jobs": list(each.jobs)}
                result(json_module.dumps({**what, "erased": erased, "flow_runs": runs}))
            else:
                say(f"{each.name}: forgotten, with {erased} artifacts; what it cost stays in the ledger")


def _address(recording: str) -> str:
    """Return the address that a path means; ids and addresses as they are."""
    path = Path(recording)
    is_path = "://" not in recording and ("/" in recording or path.exists())
    # As sources are named: links are followed but for the last part.
    return (path.parent.resolve() / path.name).as_uri() if is_path else recording
