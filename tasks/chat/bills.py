"""What a question to a chat model may cost, and what it did cost."""

from __future__ import annotations

from storage.database.postings import Bill
from tasks.affording import bill_of_tokens
from tasks.audio_api.chat import ChatAnswer, ChatRequest
from tasks.money.prices import Price, Tokens


def reserve_of(price: Price | None, request: ChatRequest) -> Bill:
    """Return what a question may cost at most: its bytes as tokens, and the longest answer."""
    tokens = Tokens(request.most_input_tokens, request.most_tokens)
    return bill_of_tokens(price, tokens, price.reserve_tokens(tokens) if price else None)


def bill_of_answer(price: Price | None, request: ChatRequest, answer: ChatAnswer) -> Bill:
    """Charge what the API says that it counted; what it does not say, as the most that it can be."""
    read, written = answer.input_tokens, answer.output_tokens
    counted = read is not None and written is not None
    tokens = Tokens(
        request.most_input_tokens if read is None else read,
        min(request.most_tokens, len(answer.raw)) if written is None else written,
    )
    return bill_of_tokens(price, tokens, price.charge_tokens(tokens) if price else None, counted=counted)
