"""The option table: what the help shows of each option, by its name, and what a shell completes for it.

The signature of a command says what an option is; this says how all commands show it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from copy import copy
from typing import Annotated, Any, get_args

from typer.core import TyperArgument, TyperCommand, TyperOption
from typer.models import ArgumentInfo, OptionInfo

from stenoflow.flows.cli import completion

_WHAT = "What"
_HOW = "How"
_MONEY = "Money"
_OUTPUT = "Output"
_OTHER = "Other"
_ORDER = (_WHAT, _HOW, _MONEY, _OUTPUT, _OTHER)
_PANELS = {
    _WHAT: (
        "language languages glossary translate digest text file voice speed instructions session sample "
        "watch allow done_to reject speak template rename successor jobs inbox state since search limit "
        "expired receipts host port hash_password"
    ),
    _HOW: (
        "model chat_model speech_model providers segment_seconds concurrency align realign check stream "
        "speakers speaker min_speakers max_speakers queue looks interval dry_run yes"
    ),
    _MONEY: "budget tag",
    _OUTPUT: "out formats format_ json page embed lint segments",
}
_PANEL_OF = {name: panel for panel, names in _PANELS.items() for name in names.split()}
# Where an option of that name is for something else: it chooses jobs.
_OTHER_PANEL_OF = {("jobs", "tag"): _WHAT, ("rehearse", "tag"): _WHAT}
# With fewer options than this, panels would be longer than what is in them.
_MANY = 6

_METAVARS = {
    "align": "WHEN",
    "allow": "NAMES",
    "api_key": "KEY",
    "by": "HEADING",
    "chat_model": "MODEL",
    "concurrency": "N",
    "done_to": "PLACE",
    "file": "FILE",
    "format_": "FORMAT",
    "formats": "NAMES",
    "host": "ADDRESS",
    "inbox": "NAME",
    "instructions": "TEXT",
    "interval": "SECONDS",
    "job": "JOB",
    "jobs": "N",
    "kind": "KIND",
    "language": "LANGUAGE",
    "languages": "LANGUAGES",
    "limit": "N",
    "log_format": "FORMAT",
    "looks": "N",
    "max_speakers": "N",
    "min_speakers": "N",
    "model": "MODEL",
    "out": "PATH",
    "page": "FILE",
    "port": "PORT",
    "queue": "URL",
    "search": "TEXT",
    "segment_seconds": "SECONDS",
    "session": "NAME",
    "since": "DATE",
    "speech_model": "MODEL",
    "speed": "FACTOR",
    "state": "STATE",
    "stream": "N",
    "tag": "NAME",
    "template": "FILE",
    "type_": "TYPE",
    "voice": "VOICE",
}
# Of what a command is given without an option's name; others are called as they are in the code.
_ARGUMENTS = {
    "sources": "SOURCE",
    "jobs": "JOB",
    "words": "WORD",
    "text": "TEXT|-",
}
_COMPLETIONS = {
    "allow": completion.allowable,
    "chat_model": completion.chat_models,
    "formats": completion.formats,
    "job": completion.jobs,
    "jobs": completion.jobs,
    "language": completion.languages,
    "languages": completion.languages,
    "model": completion.models,
    "providers": completion.providers,
    "successor": completion.models,
    "speech_model": completion.speech_models,
    "tag": completion.tags,
    "voice": completion.voices,
}
# Where an option of that name takes something else.
_COMPLETIONS_OF = {
    ("digest", "model"): completion.chat_models,
    ("digest", "formats"): None,
    ("forget", "recording"): completion.recordings,
    ("reply", "format_"): completion.speech_formats,
    ("speak", "format_"): completion.speech_formats,
    ("speak", "model"): completion.speech_models,
}


class DescribedCommand(TyperCommand):
    """A command whose options are shown in panels by their purpose."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option --help: a flag, shown last."""
        option = super().get_help_option(ctx)
        if isinstance(option, TyperOption):
            option.metavar = ""
            option.rich_help_panel = _OTHER if any(_panel(each) for each in self.params) else None
        return option

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options, those of a panel together."""
        params = super().get_params(ctx)
        for each in params:
            if isinstance(each, TyperArgument):
                # The types of the code: what it is called says what it is.
                each.display_type_rich = lambda ctx: None  # type: ignore[method-assign] # noqa: ARG005
        return sorted(params, key=lambda each: _rank(_panel(each)))


def _panel(parameter: Any) -> str | None:
    return getattr(parameter, "rich_help_panel", None)


def _rank(panel: str | None) -> int:
    return _ORDER.index(panel) if panel in _ORDER else -1


def described(command: str, parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """Return a command's parameters with what the help shows of them, and what a shell completes."""
    given = list(parameters)
    in_panels = sum(isinstance(_info(each), OptionInfo) for each in given) >= _MANY
    return [_described(command, each, in_panels=in_panels) for each in given]


def _described(command: str, parameter: inspect.Parameter, *, in_panels: bool) -> inspect.Parameter:
    info = _info(parameter)
    if info is None:
        return parameter
    kind, *_ = get_args(parameter.annotation)
    # Commands share the options that they have in common.
    info = copy(info)
    if isinstance(info, OptionInfo):
        if in_panels:
            usual = _PANEL_OF.get(parameter.name, _OTHER)
            info.rich_help_panel = _OTHER_PANEL_OF.get((command, parameter.name), usual)
        if info.metavar is None:
            info.metavar = "" if bool in {kind, *get_args(kind)} else _METAVARS.get(parameter.name)
    elif info.metavar is None:
        info.metavar = _ARGUMENTS.get(parameter.name, parameter.name.upper())
    if info.autocompletion is None:
        general = _COMPLETIONS.get(parameter.name)
        info.autocompletion = _COMPLETIONS_OF.get((command, parameter.name), general)
    return parameter.replace(annotation=Annotated[kind, info])


def _info(parameter: inspect.Parameter) -> OptionInfo | ArgumentInfo | None:
    infos = [each for each in get_args(parameter.annotation) if isinstance(each, OptionInfo | ArgumentInfo)]
    return infos[0] if infos else None
