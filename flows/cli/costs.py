"""`stenoflow costs` and `stenoflow estimate`: what was spent, and what recordings would cost."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import (
    add_plain,
    harmless_cell,
    json_line,
    plain_table,
    print_table,
    result,
    say,
)
from stenoflow.flows.cli.outcomes import print_outcome
from stenoflow.flows.cli.transcribe import find_sources
from stenoflow.flows.outcome import TranscriptDetails, exit_code, outcome_of_error
from stenoflow.storage.database.reports import CostLine, CostsBy
from stenoflow.storage.database.states import Activity
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.billing.amounts import from_micro, show
from stenoflow.tasks.calls.provider import chat_model as chosen_model
from stenoflow.tasks.context import open_context
from stenoflow.tasks.jobs.minutes.budget import MinutesEstimate
from stenoflow.tasks.jobs.transcribe.plan import Estimate, estimate_source
from stenoflow.tasks.jobs.transcribe.request import job_settings
from stenoflow.tasks.jobs.translate.plan import TranslationEstimate
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from stenoflow.tasks.transcript.timecode import clock, seconds


class _Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def costs(
    by: Annotated[CostsBy, typer.Option(help="What to sum by.")] = CostsBy.DAY,
    since: Annotated[
        datetime | None,
        typer.Option(help="Charges from this day on (UTC).", formats=["%Y-%m-%d"], show_default=False),
    ] = None,
    format_: Annotated[_Format, typer.Option("--format", help="How to print it.")] = _Format.TABLE,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show what was spent, and of that on hearing, chat and speaking.

    "possible" is what lost replies may have cost beside that.

    Example: [bold]stenoflow costs --by tag --since 2026-11-01 --format csv[/]
    """
    with open_context(load_settings()) as context:
        lines = context.reports.costs(by, since and since.replace(tzinfo=UTC))
        budgets = context.ledger.budgets_of_the_month()
    rows = [_cost_row(by, line) for line in lines]
    if json or format_ is _Format.JSON:
        for row in rows:
            json_line(row)
    elif format_ is _Format.CSV:
        result(_costs_csv(by, rows))
    else:
        print_table(_costs_table(by, rows))
    for scope, exposure, cap in budgets:
        say(f"budget for {scope}: {show(exposure)} of {show(cap)} USD")


def _cost_row(by: CostsBy, line: CostLine) -> dict[str, Any]:
    return {
        by.value: line.heading,
        "requests": line.calls,
        "audio_seconds": line.audio_ms / 1000,
        "cost": f"{from_micro(line.spending.actual_micro):.6f}",
        "possible": f"{from_micro(line.spending.possible_micro):.6f}",
        "unpriced": line.spending.unpriced,
        "currency": line.currency,
        **{name: f"{from_micro(micro):.6f}" for name, micro in line.by_activity.items()},
        "characters": line.characters,
    }


def _cost_columns(by: CostsBy) -> list[str]:
    counted = [by.value, "requests", "audio_seconds", "cost", "possible", "unpriced", "currency"]
    return [*counted, *Activity, "characters"]


def _costs_csv(by: CostsBy, rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _cost_columns(by), lineterminator="\n")
    writer.writeheader()
    # Others name tags and recordings; the amounts are ours.
    writer.writerows({**row, by.value: harmless_cell(str(row[by.value]))} for row in rows)
    return text.getvalue().rstrip("\n")


def _costs_table(by: CostsBy, rows: Sequence[dict[str, Any]]) -> Table:
    table = plain_table()
    for column in _cost_columns(by):
        table.add_column(column, justify="left" if column in {by.value, "currency"} else "right")
    for row in rows:
        add_plain(table, *(str(value) for value in row.values()))
    return table


def estimate(
    sources: options.Sources,
    model: options.Model = None,
    segment_seconds: options.SegmentSeconds = None,
    stream: options.Stream = None,
    speakers: options.Speakers = None,
    translate: options.Translate = False,
    digest: Annotated[bool, typer.Option("--digest", help="Price minutes of them, too.")] = False,
    chat_model: Annotated[
        str | None,
        typer.Option(help="What would write the minutes; implies --digest.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> None:
    """Tell how long recordings are, into how many segments they go, and what they would cost.

    Example: [bold]stenoflow estimate recordings/ --model whisper-1[/]
    """
    settings = load_settings()
    estimates: list[Estimate] = []
    with open_context(settings) as context:
        found, outcomes = find_sources(context, sources)
        by, _ = options.speakers_of(speakers)
        asked = RecordingOptions(
            model=model, segment_seconds=segment_seconds, stream=stream, translate=translate, speakers=by
        )
        wish = job_settings(settings, context.models, asked)
        writer = chosen_model(settings, chat_model) if digest or chat_model or settings.digest else None
        for source in found:
            try:
                estimates.append(estimate_source(context, source, wish, writer))
            except StenoflowError as error:
                outcomes.append(outcome_of_error(error, TranscriptDetails(), source=source.uri))
        for outcome in outcomes:
            print_outcome(context, outcome, json=json)
    _print_estimates(estimates, json=json)
    raise typer.Exit(exit_code(outcomes))


def _print_estimates(estimates: list[Estimate], *, json: bool) -> None:
    if json:
        for each in estimates:
            json_line(_estimate_line(each))
        return
    if estimates:
        print_table(_estimates_table(estimates))
    if any(each.cost_micro is None or (each.digest and each.digest.cost_micro is None) for each in estimates):
        say("The price of this model is unknown; add it under [prices] in stenoflow.toml.")
    most = _total([each.most_micro for each in estimates])
    if most:
        say(f"At most {_money(most)}, if the model left a hole in every segment.")
    translators = {each.translation.model for each in estimates if each.translation}
    if translators:
        say(f"About, with the translation by {', '.join(sorted(translators))}, which is paid by the word.")


def _estimate_line(each: Estimate) -> dict[str, Any]:
    line = _transcription(each)
    if each.translation is not None:
        line["translation"] = _chat(each.translation) | {"requests": each.translation.requests}
    if each.digest is not None:
        line["digest"] = _chat(each.digest) | {"questions": each.digest.questions}
    return line


def _chat(each: MinutesEstimate | TranslationEstimate) -> dict[str, Any]:
    return {
        "provider": each.provider,
        "model": each.model,
        "tokens_in": each.tokens.read,
        "tokens_out": each.tokens.written,
        "cost": None if each.cost_micro is None else show(each.cost_micro),
    }


def _transcription(each: Estimate) -> dict[str, Any]:
    return {
        "source": each.source.uri,
        "name": each.source.name,
        "duration": seconds(each.duration_ms),
        "segments": each.segments,
        "provider": each.provider,
        "model": each.model,
        "price": each.price,
        "segment_cost": None if each.segment_micro is None else show(each.segment_micro),
        "cost": None if each.cost_micro is None else show(each.cost_micro),
        "most": None if each.most_micro is None else show(each.most_micro),
        "currency": each.currency,
    }


def _estimates_table(estimates: list[Estimate]) -> Table:
    digests = [each.digest for each in estimates if each.digest is not None]
    minutes = [f"minutes by {digests[0].model}, about"] if digests else []
    table = plain_table("recording", "duration", "segments", "model", "a segment", "cost", *minutes)
    for each in estimates:
        add_plain(
            table,
            each.source.name,
            clock(each.duration_ms),
            str(each.segments),
            each.model,
            _money(each.segment_micro),
            _money(each.cost_micro),
            *([_money(each.digest.cost_micro)] if each.digest else []),
        )
    add_plain(
        table,
        "in total",
        clock(sum(each.duration_ms for each in estimates)),
        str(sum(each.segments for each in estimates)),
        "",
        "",
        _money(_total([each.cost_micro for each in estimates])),
        *([_money(_total([each.cost_micro for each in digests]))] if digests else []),
    )
    return table


def _total(costs: list[int | None]) -> int | None:
    """Add up costs; None where one is unknown."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _money(micro: int | None) -> str:
    return "unknown" if micro is None else f"{show(micro)} USD"
