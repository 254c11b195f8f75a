"""The models that there are: what each can do, what it costs and until when, as users are shown them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from stenoflow.storage.database.states import Activity
from stenoflow.tasks.api.chat_models import ChatModel, ContextTooSmallError, load_chat_models
from stenoflow.tasks.api.model_table import ModelKind, ModelListing, ModelTable, UsedModel
from stenoflow.tasks.api.models import ListedModel, Model, load_models
from stenoflow.tasks.api.speech import SPEECH_FORMATS
from stenoflow.tasks.api.speech_models import SpeechModel, load_speech_models
from stenoflow.tasks.billing.prices import Price, PriceBook, Unit
from stenoflow.tasks.jobs.minutes.budget import expected_tokens
from stenoflow.tasks.settings import Settings

_HOUR_MS = 3_600_000
# Minutes of an hour, read aloud.
_CHARACTERS = 3_500
_SPOKEN_MS = 240_000
_MANY = 4

Tables = Mapping[ModelKind, ModelTable[Any]]

KIND_OF_ACTIVITY: Mapping[str, ModelKind] = {
    Activity.TRANSCRIPTION: ModelKind.TRANSCRIPTION,
    Activity.TRANSLATION: ModelKind.TRANSCRIPTION,
    Activity.CHAT: ModelKind.CHAT,
    Activity.SPEECH: ModelKind.SPEECH,
}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model at one provider.

    Attributes:
        kind: None where only the provider knows.
        provider: empty where nobody is known to offer it.
        abilities: in a few words each.
        hour_micro: what it costs for an hour of meeting, in micro-units: to transcribe it, to make minutes of
            it, to read those aloud; None: unknown.
        last_day: there; None: none is announced.
        is_offered: whether the provider lists it; None: it was not asked.
    """

    kind: ModelKind | None
    name: str
    provider: str
    abilities: tuple[str, ...]
    hour_micro: int | None
    currency: str
    last_day: date | None
    successor: str | None
    source: str
    read_on: date | None
    is_offered: bool | None = None


def tables_of(settings: Settings) -> Tables:
    """Return all tables, with the user's entries. Raises SettingsError for one that cannot be used."""
    return {
        ModelKind.TRANSCRIPTION: load_models(settings.models),
        ModelKind.CHAT: load_chat_models(settings.chat_models),
        ModelKind.SPEECH: load_speech_models(settings.speech_models),
    }


def last_day_of(tables: Tables, used: UsedModel) -> date | None:
    """Return the last day of a model at its provider."""
    listing: ModelListing = tables[used.kind].get(used.name)
    return listing.last_day(used.provider)


def model_rows(tables: Tables, prices: PriceBook) -> Iterator[ModelRow]:
    """Yield a row for each model that the tables name, at each of its providers."""
    for kind, table in tables.items():
        for name, listing in table.listed.items():
            for provider in listing.providers or ("",):
                yield _row(kind, listing, provider, prices.find(provider, name))


def unlisted_rows(tables: Tables, prices: PriceBook, used: Iterable[UsedModel]) -> Iterator[ModelRow]:
    """Yield a row for each model in use that the tables do not name."""
    for each in used:
        if each.name not in tables[each.kind].listed:
            price = prices.find(each.provider, each.name)
            yield _row(each.kind, tables[each.kind].get(each.name), each.provider, price)


def _row(kind: ModelKind, listing: ModelListing, provider: str, price: Price | None) -> ModelRow:
    return ModelRow(
        kind,
        listing.name,
        provider,
        abilities_of(listing),
        _hour_micro(listing, price),
        price.currency if price else "USD",
        listing.last_day(provider),
        listing.successor,
        listing.source,
        listing.read_on,
    )


def compare(rows: Collection[ModelRow], provider: str, offered: Collection[ListedModel]) -> list[ModelRow]:
    """Return the rows of one provider, by what it says itself; its word counts, and its other models follow.

    A model of another provider that it lists as well (a gateway does) has a row of its own.
    """
    listed = {each.name: each for each in offered}
    known = {row.name for row in rows}
    own = [
        replace(
            row,
            provider=provider,
            is_offered=row.name in listed,
            last_day=(listed[row.name].shutdown if row.name in listed else None) or row.last_day,
        )
        for row in rows
        if row.provider == provider or row.name in listed
    ]
    others = [
        ModelRow(
            kind=None,
            name=name,
            provider=provider,
            abilities=(),
            hour_micro=None,
            currency="USD",
            last_day=each.shutdown,
            successor=None,
            source="its own list",
            read_on=None,
            is_offered=True,
        )
        for name, each in listed.items()
        if name not in known
    ]
    return list({(row.kind, row.name): row for row in own}.values()) + others


def _hour_micro(listing: ModelListing, price: Price | None) -> int | None:
    """Return what an hour of meeting costs."""
    if price is None:
        return None
    match listing:
        case ChatModel() if price.unit is Unit.TOKEN:
            try:
                return price.charge_tokens(expected_tokens(_HOUR_MS, listing)[0])
            except ContextTooSmallError:
                return None
        case Model() if price.unit is Unit.MS:
            return price.charge(_HOUR_MS)
        case SpeechModel() if price.unit is not Unit.TOKEN:
            return price.charge(_SPOKEN_MS if price.unit is Unit.MS else _CHARACTERS)
    return None


def abilities_of(listing: ModelListing) -> tuple[str, ...]:
    """Return what a model can do, in a few words each."""
    match listing:
        case Model():
            return tuple(_of_transcription(listing))
        case ChatModel():
            return tuple(_of_chat(listing))
        case SpeechModel():
            return tuple(_of_speech(listing))
    return ()


def _of_transcription(model: Model) -> Iterator[str]:
    if not model.timed:
        yield "text only"
    elif "word" in model.granularities:
        yield "times of words"
    else:
        yield "times"
    if model.can_tell_speakers:
        yield "speakers"
    if model.response_format == "verbose_json" or model.detects:
        yield "says the language"
    if model.languages:
        yield "several languages"
    if model.keywords or model.prompt:
        yield "glossary"
    if model.translations:
        yield "translates"
    if model.max_seconds:
        yield f"up to {model.max_seconds:,} s a call"


def _of_chat(model: ChatModel) -> Iterator[str]:
    yield f"{model.context:,} tokens"
    if model.reasoning_effort:
        yield f"thinks ({model.reasoning_effort})"
    if not model.translates:
        yield "does not translate"


def _of_speech(model: SpeechModel) -> Iterator[str]:
    count = len(model.voices)
    if count:
        yield f"{count} voices" if count > _MANY else f"voices {', '.join(model.voices)}"
    yield f"{model.max_characters:,} characters"
    if set(model.formats) != set(SPEECH_FORMATS):
        yield "/".join(model.formats)
    if model.languages:
        many = len(model.languages) > _MANY
        yield f"at least {len(model.languages)} languages" if many else f"speaks {', '.join(model.languages)}"
    if model.instructions:
        yield "instructions"
    if model.prc:
        yield "goes to the PRC: allow_prc"
