"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stenoflow.storage.database.cache_keys import AlignMode
from stenoflow.tasks.billing.amounts import LARGEST, to_micro
from stenoflow.tasks.errors import SettingsError, reason

SpeakersBy = Literal["none", "channels", "model", "voices"]
"""How it can be told who speaks, but by a file of turns."""

if TYPE_CHECKING:
    from stenoflow.tasks.jobs.transcribe.request import SpeakersWanted
    from stenoflow.tasks.transcript.speakers import Rttm


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        message = f"{text!r} is not an amount of money"
        raise typer.BadParameter(message) from error
    if not amount.is_finite() or amount < 0:
        message = f"{text!r} is not an amount of money"
        raise typer.BadParameter(message)
    if amount > LARGEST:
        message = f"{text!r} is more than can be counted; without --budget there is no limit"
        raise typer.BadParameter(message)
    return amount


def _day(text: str) -> datetime:
    return _midnight(text).replace(tzinfo=UTC)


def _day_here(text: str) -> datetime:
    try:
        return _midnight(text).astimezone()
    except (OverflowError, ValueError):
        # Of the first and last years, a zone has no time.
        return _day(text)


def _midnight(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - who asks knows the zone
    except ValueError as error:
        message = reason({"type": "date"})
        raise typer.BadParameter(message) from error


def _tag(text: str | None) -> str | None:
    from stenoflow.tasks.sources.inbox.options import LONGEST_TAG  # noqa: PLC0415 - for the commands that have the option

    if text is not None and not 0 < len(text.strip()) <= len(text) <= LONGEST_TAG:
        message = f"a tag has a character at least, and {LONGEST_TAG} at most"
        raise typer.BadParameter(message)
    return text


Sources = Annotated[
    list[str],
    typer.Argument(help="A file, folder, s3://bucket/key or s3://bucket/prefix/.", show_default=False),
]
Model = Annotated[
    str | None,
    typer.Option(help="The model. Default: as stenoflow models marks it.", show_default=False),
]
Providers = Annotated[
    str | None,
    typer.Option(
        help="Who transcribes, each what those before it cannot: openai, groq:whisper-1, …",
        metavar="NAMES",
        show_default=False,
    ),
]
ChatModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="The chat model. Default: as stenoflow models marks it.",
        show_default=False,
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        help="The language: en, German, … Default: auto.",
        show_default=False,
    ),
]
Languages = Annotated[
    str | None,
    typer.Option(help="Those of a mixed meeting: en,de.", show_default=False),
]
Glossary = Annotated[
    Path | None,
    typer.Option(
        help="A file of names and terms, one a line.",
        metavar="FILE",
        show_default=False,
    ),
]
Translate = Annotated[bool, typer.Option("--translate", help="An English transcript as well.")]
SegmentSeconds = Annotated[
    float | None,
    typer.Option(
        help="Length of segment to aim at. Default: 600, or 60 for models that give no times.",
        min=5,
        show_default=False,
    ),
]
Align = Annotated[
    AlignMode | None,
    typer.Option(
        help="When words are timed by the sound itself: auto (where the model times none), always, never.",
        show_default=False,
    ),
]
Stream = Annotated[
    int | None,
    typer.Option(
        help="Which audio stream, from 0. Default: the container's default.", min=0, show_default=False
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        help="Calls in flight at most. Default: the setting's; embedded: the cores.",
        min=1,
        max=256,
        show_default=False,
    ),
]
Formats = Annotated[
    str,
    typer.Option(
        help="Artifacts to report and to copy to --out; the store has all of these. Made where they are "
        "asked for, and kept from then on: tsv, ass, docx, karaoke (VTT with the time of each word)."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="A folder for copies of the artifacts: NAME.txt, NAME.srt, …", show_default=False),
]
Budget = Annotated[
    Decimal | None,
    typer.Option(
        help="The most that this may cost, and each job in all that was done for it.",
        parser=_amount,
        metavar="USD",
        show_default=False,
    ),
]
Tag = Annotated[
    str | None, typer.Option(help="A name to find the costs by.", callback=_tag, show_default=False)
]
Speakers = Annotated[
    str | None,
    typer.Option(
        help="How to tell who speaks: none, channels (each one speaker), model, voices (experimental), or "
        "a diariser's FILE.rttm. Default: none, or model where the model is made for it.",
        metavar="HOW",
        show_default=False,
    ),
]
MinSpeakers = Annotated[
    int | None,
    typer.Option(help="With voices: so many speak at least.", min=1, max=50, show_default=False),
]
MaxSpeakers = Annotated[
    int | None,
    typer.Option(help="With voices: so many at most.", min=1, max=50, show_default=False),
]
ByVoices = Annotated[
    str | None,
    typer.Option(
        help="voices: tell a finished job's speakers by their voices, as another job.",
        metavar="voices",
        show_default=False,
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(help="From the beginning of this day on (UTC).", parser=_day, show_default=False),
]
SinceHere = Annotated[
    datetime | None,
    typer.Option(
        help="From the beginning of this day on (this machine's zone).",
        parser=_day_here,
        show_default=False,
    ),
]
SpeakerNames = Annotated[
    list[str] | None,
    typer.Option(
        "--speaker",
        help="What a speaker is to be called; may be repeated.",
        metavar="A=Anna",
        show_default=False,
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Let Whisper here hear it, too: what differs much is asked for again, and marked.",
    ),
]
Digest = Annotated[
    bool | None,
    typer.Option(
        "--digest/--no-digest",
        help="Make minutes as well. Default: STENOFLOW_DIGEST, or no.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]


def listed(text: str | None) -> tuple[str, ...]:
    """Return what stands between the commas."""
    return () if text is None else tuple(part for part in map(str.strip, text.split(",")) if part)


def terms_of(glossary: Path | None) -> tuple[str, ...]:
    """Read a glossary, if there is one. Raises SettingsError as `read_glossary` does."""
    from stenoflow.tasks.sources.glossary import read_glossary  # noqa: PLC0415 - for the commands that have the option

    return () if glossary is None else read_glossary(glossary)


def speakers_of(given: str | None) -> tuple[SpeakersBy | None, Rttm | None]:
    """Return how speakers are told apart, and a diariser's turns where they say it; reads these."""
    if given is None:
        return None, None
    match given.strip().lower():
        case ("none" | "channels" | "model" | "voices") as said:
            return said, None
        case _:
            from stenoflow.tasks.jobs.transcribe.speakers import read_rttm  # noqa: PLC0415 - with it comes numpy

            return "none", read_rttm(Path(given))


def by_voices(
    speakers: str | None, min_speakers: int | None, max_speakers: int | None
) -> SpeakersWanted | None:
    """Return how many speakers there may be, where a finished job is to have its voices told apart.

    Raises:
        SettingsError: something else is asked for, or a number of speakers and not that.
    """
    if speakers is None and min_speakers is None and max_speakers is None:
        return None
    if speakers is None or speakers.strip().lower() != "voices":
        raise SettingsError(
            "of a finished job, speakers can be told by their voices only",
            "add --speakers voices; stenoflow transcribe takes other ways",
        )
    from stenoflow.tasks.jobs.transcribe.request import SpeakersWanted  # noqa: PLC0415 - loads slowly

    return SpeakersWanted(min_speakers, max_speakers)


def names_of(given: Iterable[str]) -> dict[str, str]:
    """Return names by what the speakers are called otherwise.

    Raises:
        SettingsError: one is not written A=Anna.
    """
    from stenoflow.tasks.sources.inbox.options import name_of  # noqa: PLC0415 - for the commands that have the option

    return dict(map(name_of, given))


def budget_micro(budget: Decimal | None) -> int | None:
    """Return a budget in micro-units."""
    return None if budget is None else to_micro(budget)
