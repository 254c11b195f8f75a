"""What speech costs: by the character, or by the minute that was spoken."""

from __future__ import annotations

from storage.database.postings import Bill
from tasks.money.prices import Price, Unit
from tasks.speaking.settings import SpeechSettings
from tasks.workshop import Workshop

# Nobody speaks more slowly than that, so that what is reserved is enough.
_MOST_MS_A_CHARACTER = 250


def price_of(workshop: Workshop, settings: SpeechSettings) -> Price | None:
    """Return what the model costs; None where that is unknown, or counted in what the API does not tell."""
    price = workshop.prices.find(settings.provider, settings.model)
    return None if price is None or price.unit is Unit.TOKEN else price


def reserve(price: Price | None, characters: int, speed: float) -> Bill:
    """Return the most that a text may cost."""
    quantity = characters
    if price is not None and price.unit is Unit.MS:
        quantity = round(characters * _MOST_MS_A_CHARACTER / speed)
    return _bill(price, quantity, price.reserve(quantity) if price else None)


def charge(price: Price | None, characters: int, spoken_ms: int) -> Bill:
    """Return what a text has cost."""
    quantity = spoken_ms if price is not None and price.unit is Unit.MS else characters
    return _bill(price, quantity, price.charge(quantity) if price else None)


def _bill(price: Price | None, quantity: int, amount_micro: int | None) -> Bill:
    if price is None:
        return Bill(quantity, Unit.CHARACTER, None, None, "USD")
    written = f"{price.amount} {price.currency} a {price.per} ({price.source}, {price.date})"
    return Bill(quantity, price.unit, written, amount_micro, price.currency)
