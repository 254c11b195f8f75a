"""`stenoflow init`: write a commented file of settings into the home."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import typer

from stenoflow.flows.cli.console import result, say
from stenoflow.storage.private import make_private
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings.files import FILE_NAME, find_home


def init(
    print_: Annotated[bool, typer.Option("--print", help="Print it, and write nothing.")] = False,
) -> None:
    """Write a commented stenoflow.toml into the home; one that is there stays.

    Example: [bold]stenoflow init[/]
    """
    text = files(__package__).joinpath("settings_template.toml").read_text("utf-8")
    if print_:
        result(text.rstrip("\n"))
        return
    home = find_home()
    make_private(home)
    path = home / FILE_NAME
    try:
        with path.open("x", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write(text)
    except FileExistsError as error:
        raise SettingsError(f"there is {path} already", "stenoflow init --print shows a new one") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {plain_reason(error)}") from error
    result(str(path))
    say("Every line in it is a comment: take the # away from those that you need. Then: stenoflow doctor")
