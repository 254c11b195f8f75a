"""`stenoflow estimate`: how long recordings are, and what they would cost."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from stenoflow.flows.cli import console, options
from stenoflow.flows.cli.console import Column, json_line, print_list, say
from stenoflow.flows.cli.outcomes import print_outcome
from stenoflow.flows.cli.transcribe import find_sources
from stenoflow.flows.outcome import TranscriptDetails, exit_code, outcome_of_error
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.calls.chosen_models import chat_model as chosen_model
from stenoflow.tasks.context import open_context
from stenoflow.tasks.jobs.minutes.budget import MinutesEstimate
from stenoflow.tasks.jobs.transcribe.plan import Estimate, estimate_source
from stenoflow.tasks.jobs.transcribe.request import job_settings
from stenoflow.tasks.jobs.translate.plan import TranslationEstimate
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from stenoflow.tasks.transcript.timecode import clock, seconds


def estimate(
    sources: options.Sources,
    model: options.Model = None,
    providers: options.Providers = None,
    segment_seconds: options.SegmentSeconds = None,
    stream: options.Stream = None,
    speakers: options.Speakers = None,
    translate: options.Translate = False,
    tag: options.Tag = None,
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
            model=model,
            providers=options.listed(providers) or None,
            segment_seconds=segment_seconds,
            stream=stream,
            translate=translate,
            speakers=by,
            tag=tag,
        )
        request = job_settings(settings, context.models, asked)
        writer = chosen_model(settings, chat_model) if digest or chat_model or settings.digest else None
        for source in found:
            try:
                estimates.append(estimate_source(context, source, request, writer))
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
        _print_list(estimates)
    if any(each.cost_micro is None or (each.digest and each.digest.cost_micro is None) for each in estimates):
        say("The price of this model is unknown; add it under [prices] in stenoflow.toml.")
    _say_others(estimates)
    most = _total([each.most_micro for each in estimates])
    if most:
        say(f"At most {_money(most)}, if the model left a hole in every segment.")
    translators = {each.translation.model for each in estimates if each.translation}
    if translators:
        say(f"About, with the translation by {', '.join(sorted(translators))}, which is paid by the word.")


def _say_others(estimates: list[Estimate]) -> None:
    """Say what it would cost where others do what the first provider cannot."""
    for same in zip(*(each.others for each in estimates), strict=True):
        cost = _total([each.cost_micro for each in same])
        said = "unknown" if cost is None else f"{show(cost)} {same[0].currency}"
        say(f"All of it by {same[0].model} at {same[0].provider}, if it came to that: {said}.")


def _estimate_line(each: Estimate) -> dict[str, Any]:
    line = _transcription(each)
    if each.translation is not None:
        line["translation"] = _chat(each.translation) | {"requests": each.translation.requests}
    if each.others:
        line["others"] = [
            {
                "provider": other.provider,
                "model": other.model,
                "price": other.price,
                "cost": None if other.cost_micro is None else show(other.cost_micro),
                "currency": other.currency,
            }
            for other in each.others
        ]
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


def _print_list(estimates: list[Estimate]) -> None:
    """Print a line for each recording, and the sums."""
    digests = [each.digest for each in estimates if each.digest is not None]
    by = f" by {digests[0].model}, about" if digests and not console.results.is_terminal else ""
    columns = [
        Column("recording", give=True),
        Column("duration", right=True),
        Column("segments", right=True),
        Column("model", give=True),
        Column("a segment", right=True),
        Column("cost", right=True),
        *([Column(f"minutes{by}", right=True)] if digests else []),
    ]
    rows = [
        (
            each.source.name,
            clock(each.duration_ms),
            f"{each.segments:,}",
            each.model,
            _money(each.segment_micro),
            _money(each.cost_micro),
            *([_money(each.digest.cost_micro)] if each.digest else []),
        )
        for each in estimates
    ]
    total = (
        "in total",
        clock(sum(each.duration_ms for each in estimates)),
        f"{sum(each.segments for each in estimates):,}",
        "",
        "",
        _money(_total([each.cost_micro for each in estimates])),
        *([_money(_total([each.cost_micro for each in digests]))] if digests else []),
    )
    print_list(columns, [*rows, total])
    if digests and not by:
        say(f"Minutes are by {digests[0].model}, which is paid by the word: that is about as much.")


def _total(costs: list[int | None]) -> int | None:
    """Add up costs; None where one is unknown."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _money(micro: int | None) -> str:
    return "unknown" if micro is None else f"{show(micro)} USD"
