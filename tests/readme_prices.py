"""Print the table of costs in `tasks/README.md`, from the price book: `python -m tests.readme_prices`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from decimal import Decimal

from stenoflow.tasks.api.chat_models import load_chat_models
from stenoflow.tasks.api.speech_models import load_speech_models
from stenoflow.tasks.billing.amounts import from_micro
from stenoflow.tasks.billing.prices import Price, Unit, load_book
from stenoflow.tasks.jobs.minutes.budget import expected_tokens

_HOUR_MS = 3_600_000
# Minutes of an hour, read aloud.
CHARACTERS = 3_500
SPOKEN_MS = 240_000


def table() -> str:
    """Return the table, a row a model, the cheapest first under each heading."""
    rows = [
        *_rows("transcription", _transcription),
        *_rows("minutes", _minutes),
        *_rows("reading them aloud", _speech),
    ]
    return "\n".join(["| for | model | USD an hour |", "|---|---|---|", *rows])


def _rows(what: str, cost: Callable[[Price], int | None]) -> Iterator[str]:
    priced = [
        (amount, price)
        for price in load_book().prices.values()
        if price.provider != "embedded" and (amount := cost(price)) is not None
    ]
    for amount, price in sorted(priced, key=lambda each: (each[0], each[1].model)):
        place = "" if price.provider == "openai" else f" at {price.provider}"
        yield f"| {what} | `{price.model}`{place} | {_shown(amount)} |"


def _shown(micro: int) -> str:
    return f"{from_micro(micro).quantize(Decimal('0.0001'))}"


def _transcription(price: Price) -> int | None:
    if price.model in load_speech_models().listed or price.unit is not Unit.MS:
        return None
    return price.charge(_HOUR_MS)


def _minutes(price: Price) -> int | None:
    model = load_chat_models().listed.get(price.model)
    return None if model is None else price.charge_tokens(expected_tokens(_HOUR_MS, model)[0])


def _speech(price: Price) -> int | None:
    if price.model not in load_speech_models().listed or price.unit is Unit.TOKEN:
        return None
    return price.charge(SPOKEN_MS if price.unit is Unit.MS else CHARACTERS)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
