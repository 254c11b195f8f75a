"""What a call is charged: as the API counts, as long as that can be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from stenoflow.tasks.api.chat import ChatRequest, Message, parse_chat
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.billing.prices import Price, load_book
from stenoflow.tasks.calls.bills import bill_audio, bill_chat, reserve_audio, reserve_chat

BOOK = load_book()
WHISPER = BOOK.find("openai", "whisper-1")
GROQ = BOOK.find("groq", "whisper-large-v3")
CHAT = BOOK.find("openai", "gpt-4o-mini")
SENT_MS = 9_500
QUESTION = ChatRequest("gpt-4o-mini", (Message("user", "What is the time?"),), 50)


@pytest.mark.parametrize(
    ("counted", "micro"), [(None, 950), ("10", 1_000), ("9.5", 950), ("20", 2_000), ("1", 100)]
)
def test_sound_is_charged_as_the_api_counts_it(counted: str | None, micro: int) -> None:
    bill = bill_audio(WHISPER, SENT_MS, None if counted is None else Decimal(counted))
    assert bill.amount_micro == micro
    assert "cannot be" not in (bill.price or "")


@pytest.mark.parametrize(
    "counted", ["0", "-3", "20.1", "999999999", "1e30", "1e999999999", "1e-999999", "-1e30"]
)
def test_a_count_that_cannot_be_is_charged_as_what_was_sent_and_told(counted: str) -> None:
    bill = bill_audio(WHISPER, SENT_MS, Decimal(counted))
    assert (bill.quantity, bill.amount_micro) == (SENT_MS, 950)
    assert "the API's own count cannot be: " in (bill.price or "")
    assert len(bill.price or "") < 200


def test_the_least_that_a_call_costs_may_be_counted() -> None:
    assert bill_audio(GROQ, 2_000, Decimal(10)).price == bill_audio(GROQ, 2_000).price
    assert bill_audio(GROQ, 2_000, Decimal(10)).amount_micro == 308


@pytest.mark.parametrize("price", [WHISPER, GROQ])
@pytest.mark.parametrize("ms", [1, 999, 1_000, 2_000, 9_500, 59_999])
def test_what_an_api_that_counts_whole_seconds_charges_was_reserved(price: Price, ms: int) -> None:
    reserved, charged = reserve_audio(price, ms), bill_audio(price, ms, Decimal(-(-ms // 1_000)))
    assert (charged.amount_micro or 0) <= (reserved.amount_micro or 0)


def test_an_unknown_price_bounds_the_count_all_the_same() -> None:
    assert bill_audio(None, SENT_MS, Decimal("1e30")).quantity == SENT_MS


def _answered(text: str, **usage: Any) -> Any:
    body = f'{{"choices": [{{"message": {{"content": "{text}"}}}}], "usage": {usage}}}'.replace("'", '"')
    return parse_chat(body.encode(), Target("openai", "gpt-4o-mini"))


def test_tokens_are_charged_as_the_api_counts_them() -> None:
    bill = bill_chat(CHAT, QUESTION, _answered("Noon.", prompt_tokens=12, completion_tokens=3))
    assert bill.quantity == 15
    assert "12 in, 3 out (" in (bill.price or "")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 10**30, "completion_tokens": 10**30},
        {"prompt_tokens": 999_999_999, "completion_tokens": 3},
        {"prompt_tokens": 12, "completion_tokens": 101},
        {"prompt_tokens": 0, "completion_tokens": 3},
        {"prompt_tokens": 12, "completion_tokens": 0},
    ],
)
def test_tokens_that_cannot_be_are_charged_as_the_most_that_they_can_be_and_told(
    usage: dict[str, int],
) -> None:
    bill = bill_chat(CHAT, QUESTION, _answered("Noon.", **usage))
    assert 0 < (bill.amount_micro or 0) <= (reserve_chat(CHAT, QUESTION).amount_micro or 0)
    assert "at most" in (bill.price or "")
    assert "the API's own count cannot be: " in (bill.price or "")


def test_no_token_written_for_no_text_can_be() -> None:
    bill = bill_chat(CHAT, QUESTION, _answered("", prompt_tokens=12, completion_tokens=0))
    assert bill.quantity == 12
