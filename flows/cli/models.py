"""`stenoflow models`: what models there are, what they can do and cost, and until when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

import typer

from stenoflow.flows.cli import console, options
from stenoflow.flows.cli.console import (
    Column,
    add_plain,
    json_line,
    plain_table,
    print_list,
    print_table,
    result,
    say,
)
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.api.model_table import NOTICE_DAYS, ModelKind, UsedModel, today
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.calls.chosen_models import CHOOSE
from stenoflow.tasks.calls.offers import keep_offers
from stenoflow.tasks.calls.provider import asked_for, open_api, provider_name
from stenoflow.tasks.context import load_prices
from stenoflow.tasks.operations.model_list import ModelRow, compare, model_rows, tables_of, unlisted_rows
from stenoflow.tasks.settings import Settings, load_settings

_COLUMNS = ("kind", "model", "provider", "can", "an hour", "until", "then")


def models(
    kind: Annotated[
        ModelKind | None,
        typer.Option(help="Those of one kind only: transcription, chat or speech.", show_default=False),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Ask the servers in use which models they offer (/v1/models).")
    ] = False,
    fetch: Annotated[
        Literal["diarization"] | None,
        typer.Option(
            help="Fetch the models that tell voices apart, instead: once, checked by their sha256.",
            metavar="diarization",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """List the models: what each can do, what it costs for an hour of meeting, and until when.

    An hour is transcribed, or made minutes of, or those are read aloud. The marked ones (*) are in use.

    Example: [bold]stenoflow models --check[/]
    """
    settings = load_settings()
    if fetch is not None:
        _fetch(settings, json=json)
        return
    tables, prices = tables_of(settings), load_prices(settings)
    in_use = _in_use(settings)
    used = [UsedModel(each, provider_name(settings, each), name) for each, name in sorted(in_use)]
    rows = [*model_rows(tables, prices), *unlisted_rows(tables, prices, used)]
    if check:
        rows = asyncio.run(_checked(settings, rows, [kind] if kind else list(ModelKind)))
    kinds = [*ModelKind, None]
    rows.sort(key=lambda row: kinds.index(row.kind))
    rows = [row for row in rows if kind is None or row.kind in {kind, None}]
    if json:
        for row in rows:
            json_line(_line(row, in_use))
        return
    _print(rows, in_use, check=check)


def _fetch(settings: Settings, *, json: bool) -> None:
    """Fetch the models of voices that are wanted; without sherpa-onnx, its models are of no use."""
    from stenoflow.tasks.acoustics.fetch_models import fetch_model  # noqa: PLC0415 - for those who ask for it
    from stenoflow.tasks.acoustics.voice_models import models_to_fetch  # noqa: PLC0415 - the same

    told: dict[str, int] = {}

    def progress(name: str, size: int) -> None:
        if size >> 23 > told.get(name, 0):
            told[name] = size >> 23
            say(f"{name}: {size / 1e6:.0f} MB")

    for model in models_to_fetch(settings.diarizer):
        say(f"{model.name}: {model.about}; {model.licence}; {model.source}")
        for file in fetch_model(model, settings.voice_models, progress):
            known = "as it should be" if file.was_known else "nobody has published what it should be"
            if json:
                json_line({"model": model.name, "file": str(file.path), "sha256": file.sha256})
            else:
                result(f"{file.path}  sha256 {file.sha256} ({known})")


async def _checked(
    settings: Settings, rows: Sequence[ModelRow], kinds: Sequence[ModelKind]
) -> list[ModelRow]:
    """Ask who is asked for each kind, once; raises CallError where none of them says what it offers."""
    table, found = tables_of(settings)[ModelKind.TRANSCRIPTION], []
    failure: CallError | None = None
    for asked in {
        each.provider.name: each for each in (asked_for(settings, kind) for kind in kinds)
    }.values():
        try:
            async with open_api(settings, table, asked) as api:
                offered = await api.models()
        except CallError as error:
            say(f"{error.message}: {error.hint}")
            failure = error
        else:
            if not asked.provider.is_embedded:
                keep_offers(settings, asked, offered)
            found += compare(rows, asked.provider.name, offered)
    if failure is not None and not found:
        raise failure
    return found


def _in_use(settings: Settings) -> set[tuple[ModelKind, str]]:
    """Return the models that are taken where none is named; a kind that nobody offers has none."""
    found: set[tuple[ModelKind, str]] = set()
    for kind, choose in CHOOSE.items():
        try:
            found.add((kind, choose(settings)))
        except StenoflowError as error:
            say(f"{error.message}: {error.hint}")
    return found


def _is_in_use(row: ModelRow, in_use: set[tuple[ModelKind, str]]) -> bool:
    return any(row.name == name and row.kind in {kind, None} for kind, name in in_use)


def _line(row: ModelRow, in_use: set[tuple[ModelKind, str]]) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "model": row.name,
        "provider": row.provider or None,
        "in_use": _is_in_use(row, in_use),
        "can": list(row.abilities),
        "hour": None if row.hour_micro is None else show(row.hour_micro),
        "currency": row.currency,
        "until": row.last_day and row.last_day.isoformat(),
        "then": row.successor,
        "offered": row.is_offered,
        "source": row.source or None,
        "read_on": row.read_on and row.read_on.isoformat(),
    }


def _print(rows: Sequence[ModelRow], in_use: set[tuple[ModelKind, str]], *, check: bool) -> None:
    now = today()
    if console.results.is_terminal:
        _print_below(rows, in_use, now, check=check)
        return
    table = plain_table(*_COLUMNS, *(["offered"] if check else []))
    for row in rows:
        add_plain(
            table,
            row.kind or "",
            f"{row.name}{' *' if _is_in_use(row, in_use) else ''}",
            row.provider,
            ", ".join(row.abilities),
            _hour(row),
            _until(row.last_day, now),
            row.successor or "",
            *(["yes" if row.is_offered else "no"] if check else []),
            style=_style(row.last_day, now),
        )
    print_table(table)


def _print_below(
    rows: Sequence[ModelRow], in_use: set[tuple[ModelKind, str]], now: date, *, check: bool
) -> None:
    """Print names whole, and what is long below them: no terminal is as wide as all of it."""
    names = ("kind", "model", "provider", "an hour", *(["offered"] if check else []))
    cells = [
        (
            row.kind or "",
            f"{row.name}{' *' if _is_in_use(row, in_use) else ''}",
            row.provider,
            _hour(row),
            *(["yes" if row.is_offered else "no"] if check else []),
        )
        for row in rows
    ]
    remarks = []
    for row in rows:
        then = f", then {row.successor}" if row.successor else ""
        until = [f"until {_until(row.last_day, now)}{then}"] if row.last_day else []
        remarks.append("; ".join([", ".join(row.abilities), *until]) or None)
    print_list([Column(name) for name in names], cells, remarks)


def _hour(row: ModelRow) -> str:
    return "unknown" if row.hour_micro is None else f"{show(row.hour_micro)} {row.currency}"


def _until(last: date | None, now: date) -> str:
    if last is None:
        return ""
    return f"{last} (ended)" if last < now else f"{last} ({(last - now).days} days)"


def _style(last: date | None, now: date) -> str | None:
    if last is None or (last - now).days > NOTICE_DAYS:
        return None
    return "dim" if last < now else "yellow"
