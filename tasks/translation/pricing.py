"""What translations by chat will cost, by the length of what is said: nobody knows yet what that is."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.audio_api.chat_models import ChatModel
from tasks.audio_api.exchange import Target
from tasks.money.prices import Price, Tokens
from tasks.translation.prompt import ask_for
from tasks.translation.room import Room, tokens_written

# People say 150 words a minute, in lines of 12; a word is 1.35 tokens of English and up to 2 of other
# languages, and 5.7 bytes. Each line has its number before it, and more than that in the answer.
_LINES_A_MINUTE = 12.5
_TOKENS_A_LINE_READ = 28
_TOKENS_A_LINE_WRITTEN = 30
_BYTES_A_LINE = 80
# English has four bytes a token.
_BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class TranslationEstimate:
    """About what the translation of a recording takes.

    Attributes:
        requests: to the chat model.
        tokens: that it reads and writes.
        cost_micro: in micro-units of the price's currency; None where the price is unknown.
    """

    provider: str
    model: str
    requests: int
    tokens: Tokens
    cost_micro: int | None


def estimate_translation(
    duration_ms: int, segments: int, target: Target, model: ChatModel, price: Price | None
) -> TranslationEstimate:
    """Estimate the translation of so much speech, in so many segments."""
    lines, requests = _lines(duration_ms), _requests(duration_ms, segments, model)
    around = requests * (_around() // _BYTES_A_TOKEN)
    tokens = Tokens(lines * _TOKENS_A_LINE_READ + around, lines * _TOKENS_A_LINE_WRITTEN)
    return TranslationEstimate(
        target.provider,
        target.model,
        requests,
        tokens,
        price.charge_tokens(tokens) if price is not None else None,
    )


def most_tokens(duration_ms: int, segments: int, model: ChatModel) -> Tokens:
    """Return what is reserved for it in all: bytes as tokens, and the longest answers."""
    requests = _requests(duration_ms, segments, model)
    return Tokens(_lines(duration_ms) * _BYTES_A_LINE + requests * _around(), requests * model.answer)


def _lines(duration_ms: int) -> int:
    return max(1, round(duration_ms / 60_000 * _LINES_A_MINUTE))


def _requests(duration_ms: int, segments: int, model: ChatModel) -> int:
    written = _lines(duration_ms // segments) * tokens_written(_BYTES_A_LINE)
    return segments * -(-written // Room.of(model).written)


def _around() -> int:
    return ask_for("", 0, ()).most_input_tokens
