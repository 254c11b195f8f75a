"""`stenoflow voices`: whose voices are kept, so that they are known again; and forgetting them."""

from __future__ import annotations

from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import Column, count, json_line, print_list, result, say
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.timecode import clock, seconds

_Name = Annotated[str, typer.Argument(help="Somebody whose voice is known.", show_default=False)]
_COLUMNS = (
    Column("name", give=True),
    Column("inbox", give=True),
    Column("recordings", right=True),
    Column("heard", right=True),
)


def list(json: options.Json = False) -> None:  # noqa: A001 - as the command is called
    """Show whose voices are kept, and from how many recordings.

    Example: [bold]stenoflow voices list[/]
    """
    settings = load_settings()
    with open_context(settings) as context:
        if settings.voices_key is not None:
            # Kept before there was a key, they are in clear.
            from stenoflow.tasks.jobs.transcribe.known_voices import encrypt_kept  # noqa: PLC0415 - loads slowly

            encrypt_kept(context)
        known = context.voiceprints.known()
    if json:
        for each in known:
            json_line(
                {
                    "name": each.name,
                    "inbox": each.inbox or None,
                    "recordings": each.recordings,
                    "heard": seconds(each.spoken_ms),
                }
            )
        return
    if not settings.voices.keep:
        say("No voices are kept from now on: [voices] keep = true in stenoflow.toml would switch that on.")
    if known:
        print_list(
            _COLUMNS,
            [
                (each.name or "(no name yet)", each.inbox, str(each.recordings), clock(each.spoken_ms))
                for each in known
            ],
        )
    else:
        say("No voice is kept.")


def rename(name: _Name, new: Annotated[str, typer.Argument(help="Who it is.", show_default=False)]) -> None:
    """Call somebody otherwise, in recordings to come; transcripts that are there stay as they are.

    Example: [bold]stenoflow voices rename Ana Anna[/]
    """
    with open_context(load_settings()) as context:
        if new in _names(context):
            raise SettingsError(
                f"{new} is somebody whose voice is known", f"stenoflow voices merge {name} {new}"
            )
        _renamed(context, name, new)


def merge(name: _Name, into: Annotated[str, typer.Argument(help="Who it is.", show_default=False)]) -> None:
    """Make two names one person.

    Example: [bold]stenoflow voices merge 'Anna B.' Anna[/]
    """
    with open_context(load_settings()) as context:
        if into not in _names(context):
            raise _unknown(context, into)
        _renamed(context, name, into)


def forget(
    name: Annotated[str | None, typer.Argument(help="Whose voice.", show_default=False)] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody's, those without a name, too.")] = False,
) -> None:
    """Erase somebody's voice for good, or with --all everybody's; transcripts keep their names.

    Example: [bold]stenoflow voices forget Anna[/]
    """
    if (name is None) != everybody:
        raise SettingsError("say whose voice is to be forgotten", "a name, or --all")
    with open_context(load_settings()) as context:
        if name is not None and name not in _names(context):
            raise _unknown(context, name)
        result(f"{count(context.voiceprints.forget(name), 'voice')} erased")


def _renamed(context: AppContext, name: str, new: str) -> None:
    if name not in _names(context):
        raise _unknown(context, name)
    # As speakers are named elsewhere.
    (new,) = options.names_of([f"{name}={new}"]).values()
    result(f"{count(context.voiceprints.rename(name, new), 'voice')} of {name} now {new}")


def _names(context: AppContext) -> set[str]:
    return {each.name for each in context.voiceprints.known() if each.name is not None}


def _unknown(context: AppContext, name: str) -> SettingsError:
    there = ", ".join(sorted(_names(context)))
    return SettingsError(
        f"nobody whose voice is kept is called {name!r}",
        f"there are {there}" if there else "no voice has a name",
    )
