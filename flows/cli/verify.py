"""`stenoflow verify`: whether what was published is there as it was recorded."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import add_plain, complain, plain_table, print_table, result, say
from stenoflow.flows.cli.jobs import find_job
from stenoflow.tasks.context import open_context
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.operations.verify import Verified, published
from stenoflow.tasks.operations.verify import verify as verify_job
from stenoflow.tasks.settings import load_settings


def verify(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(help="Jobs, or the beginnings of their ids. Default: all.", show_default=False),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Build what is not right anew from stored answers; no call.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Hold every artifact against its recorded sha256.

    Example: [bold]stenoflow verify --repair[/]
    """
    with open_context(load_settings()) as context:
        wanted = [find_job(context, job).job for job in jobs] if jobs else published(context)
        found = [verify_job(context, job, repair=repair) for job in wanted]
    for each in found:
        if json:
            result(json_module.dumps(_line(each), ensure_ascii=False))
        if each.error is not None:
            complain(each.error)
    if not json:
        _print(found)
    if not all(each.is_sound for each in found):
        raise typer.Exit(FailedError.exit_code)


def _line(verified: Verified) -> dict[str, object]:
    error = verified.error
    return {
        "job": verified.job_id,
        "ok": verified.is_sound,
        "artifacts": verified.artifacts,
        "repaired": list(verified.repaired),
        "error": error and {"kind": error.kind, "message": str(error)},
    }


def _print(found: list[Verified]) -> None:
    spoilt = [each for each in found if each.repaired or not each.is_sound]
    table = plain_table("job", "artifact", "condition")
    for each in spoilt:
        for name, condition in each.artifacts.items():
            add_plain(table, each.job_id, name, "built anew" if name in each.repaired else condition)
    if spoilt:
        print_table(table)
    say(f"{len(found)} jobs looked at, {sum(each.is_sound for each in found)} as recorded")
