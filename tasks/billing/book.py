"""The price book that ships with the package, with the user's entries laid over it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Any

from stenoflow.tasks.billing.prices import Price, PriceBook


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
