"""Prices: what a unit costs by provider and model, and what a quantity comes to.

Prices belong to a provider and a model. A server that the book does not name (a gateway, a proxy) is
taken at the list price of the model's maker, so that a budget holds; a model that the book does not
know at all has an unknown price, never 0.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from importlib.resources import files
from typing import Any

from stenoflow.tasks.billing.amounts import to_micro, to_micro_at_least


class Unit(StrEnum):
    """What a charge counts."""

    MS = "ms"
    CHARACTER = "character"
    TOKEN = "token"  # noqa: S105 - a unit, not a secret


_MS_A_SECOND = 1_000
_QUANTITY_PER = {
    "second": (Unit.MS, 1_000),
    "minute": (Unit.MS, 60_000),
    "hour": (Unit.MS, 3_600_000),
    "million characters": (Unit.CHARACTER, 1_000_000),
    "million tokens": (Unit.TOKEN, 1_000_000),
}
_AUDIO_TOKENS = "million audio tokens"


@dataclass(frozen=True, slots=True)
class Tokens:
    """How many tokens a model reads (the input) and writes (the output)."""

    read: int
    written: int

    @property
    def total(self) -> int:
        """Both."""
        return self.read + self.written


@dataclass(frozen=True, slots=True)
class Price:
    """One entry of the price book.

    Attributes:
        amount: in ``currency`` for one ``per`` ("minute", "hour", "second", "million characters", ...).
        least: the smallest quantity that is charged, in the unit's own count (ms for audio).
        output: in ``currency`` for one ``per`` of tokens that the model writes, where these cost something
            else than those that it reads; None: ``amount``.
        rate: audio tokens a second, of a price per million of them.
        source: where the price was read.
        date: when, ISO 8601.
    """

    provider: str
    model: str
    amount: Decimal
    per: str
    source: str
    date: str
    currency: str = "USD"
    least: int = 0
    output: Decimal | None = None
    rate: int | None = None

    def __post_init__(self) -> None:
        if self.per not in {*_QUANTITY_PER, _AUDIO_TOKENS}:
            message = f"a price per {self.per!r}; known are {', '.join([*_QUANTITY_PER, _AUDIO_TOKENS])}"
            raise ValueError(message)
        if (self.rate is None) == (self.per == _AUDIO_TOKENS):
            message = f"a rate of {self.rate} for a price per {self.per}: only audio tokens have one"
            raise ValueError(message)
        if self.amount < 0:
            message = f"a negative price: {self.amount}"
            raise ValueError(message)
        if self.output is not None and (self.output < 0 or self.unit is not Unit.TOKEN):
            message = (
                f"an output price of {self.output} a {self.per}: only tokens have one, and none is negative"
            )
            raise ValueError(message)

    @property
    def unit(self) -> Unit:
        """What quantities of this price count."""
        return self._quantity_per[0]

    @property
    def _quantity_per(self) -> tuple[Unit, Decimal]:
        """The unit that is counted, and how many of it the amount is for."""
        if self.rate is not None:
            return Unit.MS, Decimal(1_000_000 * _MS_A_SECOND) / self.rate
        unit, quantity = _QUANTITY_PER[self.per]
        return unit, Decimal(quantity)

    def charge(self, quantity: int) -> int:
        """Return what a quantity costs, in micro-units, halves rounded up."""
        return to_micro(self._exact(quantity))

    def reserve(self, quantity: int) -> int:
        """Return what one call for a quantity may cost at most, in micro-units, rounded up.

        APIs count sound in whole seconds, and a second that has begun counts.
        """
        return to_micro_at_least(self._exact(self.most_counted(quantity)))

    def most_counted(self, quantity: int) -> int:
        """Return as how much an API may count what one call sends: in whole seconds, ``least`` at least."""
        whole = -(-quantity // _MS_A_SECOND) * _MS_A_SECOND if self.unit is Unit.MS else quantity
        return max(whole, self.least)

    def charge_tokens(self, tokens: Tokens) -> int:
        """Return what tokens read and written cost, in micro-units, halves rounded up."""
        return to_micro(self._exact_tokens(tokens))

    def reserve_tokens(self, tokens: Tokens) -> int:
        """Return what they may cost at most, in micro-units, rounded up."""
        return to_micro_at_least(self._exact_tokens(tokens))

    def _exact_tokens(self, tokens: Tokens) -> Decimal:
        written = self.amount if self.output is None else self.output
        per = self._quantity_per[1]
        return (self.amount * tokens.read + written * tokens.written) / per

    def _exact(self, quantity: int) -> Decimal:
        return self.amount * max(quantity, self.least) / self._quantity_per[1]


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All known prices, by (provider, model)."""

    prices: Mapping[tuple[str, str], Price]
    listed: frozenset[str] = frozenset()
    """Providers whose list the book has; a model that is not on it has no known price there."""
    makers: tuple[str, ...] = ("openai", "google")
    """Providers whose list prices stand in for servers that are not listed."""

    def find(self, provider: str, model: str) -> Price | None:
        """Return the price of a model at a provider, or None where it is unknown."""
        found = self.prices.get((provider, model)) or self._alike(provider, model)
        if found is not None or provider in self.listed:
            return found
        return next(
            (self.prices[maker, model] for maker in self.makers if (maker, model) in self.prices), None
        )

    def _alike(self, provider: str, model: str) -> Price | None:
        """Return the price of all models of a provider whose names begin alike: ``"whisper-*"``."""
        alike = (
            price
            for (seller, name), price in self.prices.items()
            if seller == provider and name.endswith("*") and model.startswith(name[:-1])
        )
        return next(alike, None)


def load_book(overrides: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None) -> PriceBook:
    """Read the book.

    Args:
        overrides: by provider and model, whole entries: ``amount``, ``per``, and so on (see `Price`).

    Raises:
        ValueError: an entry cannot be used; the message names it.
    """
    shipped: Mapping[str, Mapping[str, Mapping[str, Any]]] = tomllib.loads(
        files("stenoflow.tasks.billing").joinpath("book.toml").read_text("utf-8")
    )["prices"]
    prices = {}
    for entries in (shipped, overrides or {}):
        for provider, models in entries.items():
            for model, entry in models.items():
                prices[provider, model] = _price(provider, model, entry)
    return PriceBook(prices, frozenset(shipped))


def _price(provider: str, model: str, entry: Mapping[str, Any]) -> Price:
    try:
        amounts = {name: Decimal(entry[name]) for name in ("amount", "output") if entry.get(name) is not None}
        return Price(provider, model, **{**entry, **amounts, "amount": Decimal(entry["amount"])})
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        message = f"the price of {model} at {provider}: {error}"
        raise ValueError(message) from error
