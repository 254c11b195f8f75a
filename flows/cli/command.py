"""The command line's base: options of every command (--config, --log-format), checks, an end on a hang-up."""

from __future__ import annotations

import inspect
import json
import logging
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from stenoflow.flows.cli.console import WarningsForPeople, log_instead, say
from stenoflow.flows.cli.option_table import DescribedCommand, described
from stenoflow.tasks.errors import SettingsError

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="A file of settings, before those of the home; or STENOFLOW_CONFIG.",
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
    typer.Option("--log-format", help="How stderr is written: text or json."),
]


class CommandLine(typer.Typer):
    """A program whose commands have the options that all have."""

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """Register a command, as Typer does."""

        def register(function: Callable[..., Any]) -> Any:
            first, *rest = (inspect.getdoc(function) or "").split("\n\n")
            examples = [each for each in rest if each.startswith("Example:")]
            # Whoever asks what to type sees that first; what is to be known beside it stands below.
            epilog = "\n\n".join(each.replace("\n", " ") for each in rest if each not in examples)
            text = "\n\n".join([first.replace("\n", " "), *examples])
            command = super(CommandLine, self).command
            return command(*args, cls=DescribedCommand, help=text, epilog=epilog or None, **kwargs)(
                _with_config(function)
            )

        return register


def _with_config(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the option --config, and with checks of what its options hold."""
    signature = inspect.signature(function, eval_str=True)

    @wraps(function)
    def run(*args: Any, config: Path | None = None, log_format: LogFormat, **given: Any) -> Any:
        from stenoflow.tasks.settings.files import CONFIG_VARIABLE, passed_over  # noqa: PLC0415 - pydantic

        if log_format == LogFormat.JSON:
            log_as_json()
        _say_warnings_of_storage(log_format)
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
        if function.__name__ != "doctor":
            # That one has it among what it finds.
            _say_unknown_settings()
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


def _say_unknown_settings() -> None:
    """Say what stands in files of settings and means nothing: a budget by another name is none."""
    from stenoflow.tasks.settings import Settings  # noqa: PLC0415 - pydantic
    from stenoflow.tasks.settings.files import similar_setting, unknown_in_files  # noqa: PLC0415 - the same

    # What cannot be read, the command says itself, where it needs it.
    with suppress(SettingsError):
        for name, where in unknown_in_files(Settings):
            near = similar_setting(Settings, name)
            means = f"is {near} meant?" if near else "stenoflow init --print lists what does"
            say(f"{name} in {where} means nothing: {means}")


_NO_CHOICE = re.compile(r"(?P<given>'.*?') is not one of (?P<choices>'.*')\.?", re.DOTALL)
_TOO_MUCH = re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((?P<given>.*)\)", re.DOTALL)


def in_our_words(message: str) -> str:
    """Return what is wrong with how a command was called, where a library says it in words of its own."""
    if found := _NO_CHOICE.fullmatch(message):
        choices = found["choices"].replace("'", "")
        return f"{found['given']} is none of: {choices}"
    if found := _TOO_MUCH.fullmatch(message):
        return f"Nothing more is taken than the usage says: leave out {found['given']}"
    return message


def is_json_log(args: Sequence[str]) -> bool:
    """Tell whether arguments ask for a log in JSON; they may be wrong otherwise."""
    asked = f"{' '.join(args)} "
    return "--log-format json " in asked or "--log-format=json " in asked


# What a log line may say beside its message; callers give these by ``extra``.
_IDS = ("run", "job", "segment", "activity", "attempt", "request", "error", "seconds")


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; ids are there where they are known."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _IDS if getattr(record, name, None) is not None}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # ASCII, so that nothing in it is a command to a terminal.
        return json.dumps(line, default=str)


def log_as_json() -> None:
    """Write all that goes to stderr as JSON lines from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    ours = logging.getLogger("stenoflow")
    root.setLevel(logging.WARNING)
    ours.setLevel(logging.DEBUG)
    log_instead(logging.getLogger("stenoflow.cli"))


_FOR_PEOPLE = WarningsForPeople()


def _say_warnings_of_storage(log_format: LogFormat) -> None:
    """Have people told what the storage warns of, such as an upgrade; others of our loggers are for logs."""
    logger = logging.getLogger("stenoflow.storage")
    logger.setLevel(logging.WARNING)
    logger.addHandler(_FOR_PEOPLE)
    # A log is written by the root's handler.
    logger.propagate = log_format == LogFormat.JSON


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
