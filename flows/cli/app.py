"""Put the commands together, and end each in its result or in one clear line, with its exit code."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from stamina.instrumentation import set_on_retry_hooks

from stenoflow.flows.cli import (
    costs,
    demo,
    digest,
    ingest,
    jobs,
    maintenance,
    reply,
    servers,
    show,
    speak,
    transcribe,
)
from stenoflow.flows.cli import transcribe as resume
from stenoflow.flows.cli.command import CommandLine, end_on_hangup
from stenoflow.flows.cli.console import be_writable, complain, say
from stenoflow.flows.cli.outcomes import INTERRUPTED
from stenoflow.storage.errors import StenoflowError

app = CommandLine(
    name="stenoflow",
    help="Hours-long recordings in; text, subtitles, JSON and a cost record out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"stenoflow {version('stenoflow')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


app.command("demo")(demo.demo)
app.command("transcribe")(transcribe.transcribe)
app.command("estimate")(costs.estimate)
app.command("ingest")(ingest.ingest)
app.command("serve")(servers.serve)
app.command("digest")(digest.digest)
app.command("reply")(reply.reply)
app.command("jobs")(jobs.jobs)
app.command("show")(show.show)
app.command("resume")(resume.resume)
app.command("costs")(costs.costs)
app.command("verify")(maintenance.verify)
app.command("forget")(maintenance.forget)
app.command("speak")(speak.speak)
app.command("engine")(servers.engine)
app.command("metrics")(servers.metrics)

_database = CommandLine(help="The database.", no_args_is_help=True)
_database.command("upgrade")(maintenance.upgrade)
_database.command("rebuild")(maintenance.rebuild)
app.add_typer(_database, name="db")


def run() -> None:
    """Run the command that the arguments name."""
    be_writable()
    end_on_hangup()
    # Retries are in the ledger and in the display; stamina's own lines would break into both.
    set_on_retry_hooks([])
    logging.basicConfig(level=logging.INFO if _debugging() else logging.CRITICAL)
    try:
        app()
    except StenoflowError as error:
        complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if _debugging():
            raise
        complain(StenoflowError(f"{type(error).__name__}: {error}", "STENOFLOW_DEBUG=1 shows where"))
        sys.exit(1)


def _debugging() -> bool:
    return bool(os.environ.get("STENOFLOW_DEBUG"))
