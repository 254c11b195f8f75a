"""What holds for every command: --config, numbers that are numbers, and an end when the terminal goes."""

from __future__ import annotations

import inspect
import math
import os
import signal
import threading
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from stenoflow.flows.cli.console import say
from stenoflow.flows.cli.option_table import DescribedCommand, described

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Read settings from this file, too (or STENOFLOW_CONFIG); it counts before those of the home.",
        metavar="FILE",
        show_default=False,
    ),
]


class LogFormat(StrEnum):
    """How what goes to stderr is written."""

    TEXT = "text"
    JSON = "json"


_LogFormat = Annotated[
    LogFormat,
    typer.Option("--log-format", help="How progress, logs and errors are written on stderr: text or json."),
]


class CommandLine(typer.Typer):
    """A program whose commands have the options that all have."""

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """Register a command, as Typer does."""
        return lambda function: super(CommandLine, self).command(
            *args, cls=DescribedCommand, help=_flowing(inspect.getdoc(function) or ""), **kwargs
        )(_with_config(function))


def _flowing(text: str) -> str:
    """Return a docstring whose paragraphs are as wide as the terminal is; examples keep their lines."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        each if each.startswith("Example:") else each.replace("\n", " ") for each in paragraphs
    )


def _with_config(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the option --config, and with checks of what its options hold."""
    signature = inspect.signature(function, eval_str=True)

    @wraps(function)
    def run(*args: Any, config: Path | None = None, log_format: LogFormat, **given: Any) -> Any:
        from stenoflow.tasks.settings.files import CONFIG_VARIABLE, passed_over  # noqa: PLC0415 - pydantic

        if log_format == LogFormat.JSON:
            from stenoflow.flows.cli.logs import log_as_json  # noqa: PLC0415 - for those that ask for it

            log_as_json()
        for name, value in given.items():
            if isinstance(value, float) and not math.isfinite(value):
                # It passes every limit that it is compared with.
                message = f"{value} is no number to count with"
                raise typer.BadParameter(message, param_hint=f"--{name.replace('_', '-')}")
        if config is not None:
            # In the environment, processes that this one starts read it, too, from whatever folder.
            os.environ[CONFIG_VARIABLE] = str(config.expanduser().absolute())
        for path in passed_over():
            say(f"{path} in this folder is not read. Put it into the home, or name it: --config {path}")
        return function(*args, **given)

    options = [
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Config),
        inspect.Parameter(
            "log_format", inspect.Parameter.KEYWORD_ONLY, default=LogFormat.TEXT, annotation=_LogFormat
        ),
    ]
    name = function.__name__
    parameters = described(name, [*signature.parameters.values(), *options])
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def end_on_hangup() -> None:
    """See that a terminal that hangs up ends the program as Ctrl-C does; under nohup it goes on."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return
    terminals = [number for number in (0, 1, 2) if os.isatty(number)]

    def end(*_: object) -> None:
        # What is written to a terminal that is gone is an error, and would break off the orderly end.
        with Path(os.devnull).open("r+b") as nothing:
            for number in terminals:
                os.dup2(nothing.fileno(), number)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGHUP, end)
