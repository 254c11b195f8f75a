"""Plan a translation: what is to be translated, how many lines fit a request, and what it will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from stenoflow.tasks.api.chat_models import ChatModel, ContextTooSmallError
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.billing.prices import Price, Tokens
from stenoflow.tasks.jobs.translate.prompt import TranslationLine, ask_for

# People say 150 words a minute, in lines of 12; a word is 1.35 tokens of English and up to 2 of other
# languages, and 5.7 bytes. Each line has its number before it, and more than that in the answer.
LINES_A_MINUTE = 12.5
"""Of speech, as they are asked about."""
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
    return max(1, round(duration_ms / 60_000 * LINES_A_MINUTE))


def _requests(duration_ms: int, segments: int, model: ChatModel) -> int:
    written = _lines(duration_ms // segments) * tokens_written(_BYTES_A_LINE)
    return segments * -(-written // TranslationTokenBudget.of(model).written)


def _around() -> int:
    return ask_for("", 0, ()).most_input_tokens


# A token for two bytes read is on the safe side; English is written at one for four bytes or more, and is
# seldom longer than what it is made from.
_BYTES_A_TOKEN_READ = 2
_BYTES_A_TOKEN_WRITTEN = 3
# `{"line": 123, "text": ""}, ` and what a model likes to put between.
_TOKENS_AROUND_A_LINE = 12
_LEAST_READ = 600
_LEAST_WRITTEN = 180


@dataclass(frozen=True, slots=True)
class TranslationTokenBudget:
    """What goes into one request, in tokens.

    Attributes:
        read: of lines.
        written: of their translation.
    """

    read: int
    written: int

    @classmethod
    def of(cls, model: ChatModel) -> Self:
        """Work out how much a model takes. Raises ContextTooSmallError."""
        around = ask_for("", 0, ()).most_input_tokens // _BYTES_A_TOKEN_READ
        room = cls(model.context - model.answer - around, model.answer * 3 // 4)
        if room.read < _LEAST_READ or room.written < _LEAST_WRITTEN:
            message = (
                f"{model.context} tokens, less {model.answer} for the answer and {around} for the question"
            )
            raise ContextTooSmallError(message)
        return room

    def first_of(self, lines: Sequence[TranslationLine]) -> tuple[TranslationLine, ...]:
        """Return as many lines as fit, and one at least."""
        read = written = 0
        for count, line in enumerate(lines):
            size = len(line.written.encode())
            read += size // _BYTES_A_TOKEN_READ + 1
            written += tokens_written(size)
            if count and (read > self.read or written > self.written):
                return tuple(lines[:count])
        return tuple(lines)


def tokens_written(size: int) -> int:
    """Estimate how many tokens the answer has for a line of so many bytes, on the safe side."""
    return size // _BYTES_A_TOKEN_WRITTEN + _TOKENS_AROUND_A_LINE
