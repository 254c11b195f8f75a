"""Put the commands together, and end each in its result or in one clear line, with its exit code.

A command's module is loaded when it is called: to list them, or to complete a name, takes none.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer._click.exceptions import UsageError
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from stenoflow.flows.cli.command import CommandLine, end_on_hangup, in_our_words, is_json_log, log_as_json
from stenoflow.flows.cli.console import be_writable, complain, say
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.errors import SettingsError, reason

if TYPE_CHECKING:
    from typer._click import Command, Context

INTERRUPTED = 130
"""The exit code after a signal."""

# The module of each, and the first line of its help: what the list shows before it is loaded.
_COMMANDS = {
    "demo": ("demo", "Transcribe a short sample meeting on this machine: no key, no network, no cost."),
    "init": ("init", "Write a commented stenoflow.toml into the home; one that is there stays."),
    "doctor": (
        "doctor",
        "Check ffmpeg, database, store, server, key, models, inboxes, disk, proxy; nothing is charged.",
    ),
    "transcribe": ("transcribe", "Transcribe recordings: text, subtitles and JSON, with what each cost."),
    "estimate": (
        "estimate",
        "Tell how long recordings are, into how many segments they go, and what they would cost.",
    ),
    "ingest": ("ingest", "Transcribe what is new and complete in a drop folder, each recording once."),
    "serve": ("servers", "Serve the desk, and run what is started there or is due: until Ctrl-C."),
    "digest": (
        "digest",
        (
            "Make minutes of a transcript: "
            "summary, decisions, action items, open questions, each with its moment."
        ),
    ),
    "reply": (
        "reply",
        "Answer what is said in a recording, in voice. Each step's time and cost go to stderr.",
    ),
    "jobs": ("jobs", "List jobs, newest first, with their state and what they cost."),
    "search": ("search", "Find words in all transcripts: who said them, in which recording, and when."),
    "show": ("show", "Show one job whole: its segments, requests, charges and artifacts."),
    "resume": ("transcribe", "Go on where jobs stopped: only what has no answer yet is sent."),
    "correct": (
        "correct",
        "Correct a transcript by a file: over whatever a model says, in all artifacts; calls nobody.",
    ),
    "costs": ("costs", "Show what was spent, and of that on transcription, chat and speech."),
    "verify": (
        "maintenance",
        "Hold every artifact against its recorded sha256, and the store against the database.",
    ),
    "forget": (
        "maintenance",
        (
            "Erase a recording: our copies of its sound, segments, answers, artifacts. Charges stay, "
            "without names."
        ),
    ),
    "speak": ("speak", "Speak a text. A long one is spoken in pieces side by side, and joined."),
    "engine": ("servers", "Serve the embedded engine, so that any OpenAI client can use it."),
    "deploy": (
        "deploy",
        "Register the deployments for a pool's workers, with Prefect's server at PREFECT_API_URL.",
    ),
    "models": (
        "models",
        "List the models: what each can do, what it costs for an hour of meeting, and until when.",
    ),
    "rehearse": (
        "rehearse",
        "Transcribe past recordings by another model, and tell how far it differs, what it costs and loses.",
    ),
    "metrics": (
        "servers",
        "Serve metrics in Prometheus' format: jobs, calls, audio, spend, budgets, age of the queue.",
    ),
}
_OF_DATABASE = {
    "upgrade": (
        "maintenance",
        "Bring the database's tables up to date (the embedded SQLite does so by itself).",
    ),
    "rebuild": (
        "maintenance",
        (
            "Take back from the store what the database does not know: "
            "recordings, jobs, answers, charges. No call."
        ),
    ),
}

_OF_VOICES = {
    "list": ("voices", "Show whose voices are kept, and from how many recordings."),
    "rename": ("voices", "Call somebody otherwise, in recordings to come."),
    "merge": ("voices", "Make two names one person."),
    "forget": ("voices", "Erase somebody's voice for good, or with --all everybody's."),
}

_PANELS = {
    "Begin": "demo init doctor",
    "Transcribe and more": "transcribe estimate resume ingest digest speak reply",
    "Look": "jobs show search costs models",
    "Keep": "correct verify forget voices rehearse db",
    "Run": "serve deploy engine metrics",
}
_PANEL_OF = {name: panel for panel, names in _PANELS.items() for name in names.split()}


class _Unloaded(TyperCommand):
    """A command of which only its line in the list is known; called, it gives way to the real one."""

    def __init__(self, name: str, module: str, summary: str, panel: str | None) -> None:
        super().__init__(name, help=summary, rich_markup_mode="rich", rich_help_panel=panel)
        self._module = module

    def load(self) -> Command:
        """Return the command itself."""
        from stamina.instrumentation import set_on_retry_hooks  # noqa: PLC0415 - the list needs none

        # Retries are in the ledger and in the display; stamina's own lines would break into both.
        set_on_retry_hooks([])
        module = import_module(f"stenoflow.flows.cli.{self._module}")
        gc.enable()
        alone = CommandLine(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        alone.command(self.name)(getattr(module, str(self.name)))
        return get_command(alone)

    def make_context(
        self, info_name: str | None, args: list[str], parent: Context | None = None, **extra: Any
    ) -> Context:
        """Begin to run the command, or to complete its options."""
        given = list(args)
        try:
            return self.load().make_context(info_name, args, parent, **extra)
        except UsageError as error:
            # A value that a library refused, of whose words nobody should need to make sense.
            errors = getattr(error.__cause__, "errors", None)
            error.message = in_our_words(error.message if errors is None else reason(errors()[0]))
            if is_json_log(given):
                log_as_json()
                hint = f"stenoflow {self.name} --help shows what it takes"
                raise SettingsError(error.format_message(), hint) from error
            raise


class _Group(TyperGroup):
    """Commands that are loaded when they are called, before those that Typer knows of."""

    unloaded = _COMMANDS

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        panels = _PANEL_OF if self.unloaded is _COMMANDS else {}
        named = {
            name: _Unloaded(name, module, line, panels.get(name))
            for name, (module, line) in self.unloaded.items()
        }
        self.commands = {**named, **self.commands}

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, which are flags, and shown as such."""
        params = super().get_params(ctx)
        for each in params:
            each.metavar = ""
        return params


class _DatabaseGroup(_Group):
    unloaded = _OF_DATABASE


class _VoicesGroup(_Group):
    unloaded = _OF_VOICES


app = typer.Typer(
    cls=_Group,
    name="stenoflow",
    help="Hours-long recordings in; text, subtitles, JSON and a cost record out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(
    typer.Typer(cls=_DatabaseGroup, help="Upgrade or rebuild the database.", no_args_is_help=True),
    name="db",
    rich_help_panel=_PANEL_OF["db"],
)
app.add_typer(
    typer.Typer(
        cls=_VoicesGroup,
        help="Whose voices are kept, so that they are known again: off unless \\[voices] keep = true.",
        no_args_is_help=True,
    ),
    name="voices",
    rich_help_panel=_PANEL_OF["voices"],
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - for this line only

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


def run() -> None:
    """Run the command that the arguments name."""
    be_writable()
    end_on_hangup()
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
