"""What minutes of a meeting will cost, by its length alone: nobody knows yet what will be said."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.audio_api.chat_models import ChatModel
from tasks.minutes.planning import Room, plan
from tasks.minutes.prompt import size_around
from tasks.money.prices import Price, Tokens

# People in a meeting say 150 words a minute, in lines of 12; a word is 1.35 tokens of English and 5.7 bytes,
# and a line has 11 tokens and 22 bytes of number, time and name before it.
_LINES_A_MINUTE = 12.5
_TOKENS_A_LINE = 27
_BYTES_A_LINE = 90
# What a question says besides, and what is written of an hour, or of a part of it.
_TOKENS_AROUND = 900
_TOKENS_WRITTEN = 1_200


@dataclass(frozen=True, slots=True)
class DigestEstimate:
    """About what minutes take.

    Attributes:
        questions: to the chat model.
        tokens: that it reads and writes.
        cost_micro: in micro-units of the price's currency; None where the price is unknown.
    """

    provider: str
    model: str
    questions: int
    tokens: Tokens
    cost_micro: int | None


def estimate_digest(
    duration_ms: int, provider: str, name: str, model: ChatModel, price: Price | None
) -> DigestEstimate:
    """Estimate the minutes of a meeting that lasts so long. Raises NoRoomError for a context too small."""
    tokens, questions = expected_tokens(duration_ms, model)
    return DigestEstimate(
        provider, name, questions, tokens, price.charge_tokens(tokens) if price is not None else None
    )


def expected_tokens(duration_ms: int, model: ChatModel) -> tuple[Tokens, int]:
    """Return the tokens that minutes take, and in how many questions."""
    lines = max(1, round(duration_ms / 60_000 * _LINES_A_MINUTE))
    steps = plan([_BYTES_A_LINE // 2] * lines, Room.of(model.context, model.answer, size_around()))
    written = len(steps) * _TOKENS_WRITTEN
    # All answers but the last are read again.
    read = lines * _TOKENS_A_LINE + len(steps) * _TOKENS_AROUND + written - _TOKENS_WRITTEN
    return Tokens(read, written), len(steps)
