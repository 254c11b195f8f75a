"""The token budget of minutes: divides a transcript among questions, and says what they will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stenoflow.tasks.api.chat_models import ChatModel, ContextTooSmallError
from stenoflow.tasks.billing.prices import Price, Tokens
from stenoflow.tasks.jobs.minutes.prompt import size_around
from stenoflow.tasks.jobs.translate.plan import LINES_A_MINUTE

# Of what stands in the middle of more than this, models leave out too much.
_LARGEST_PART = 60_000
# The longest line of a transcript fits.
_LEAST_READ = 1_200


@dataclass(frozen=True, slots=True)
class MinutesTokenBudget:
    """How much goes into one question, in tokens as `stenoflow.tasks.transcript.minutes.size` counts them.

    Attributes:
        read: lines or notes.
        notes: what one answer, written as notes, may take of that.
    """

    read: int
    notes: int

    @classmethod
    def of(cls, context: int, answer: int, around: int) -> MinutesTokenBudget:
        """Work it out.

        Args:
            context: the model's, in tokens.
            answer: what an answer may have.
            around: what a question has besides what is read.

        Raises:
            ContextTooSmallError: too little is left.
        """
        read = min(context - answer - around, _LARGEST_PART)
        if read < _LEAST_READ:
            message = f"{context} tokens, less {answer} for the answer and {around} for the question"
            raise ContextTooSmallError(message)
        # In bytes, an answer is about twice what its tokens are counted as here.
        return cls(read, min(2 * answer, read // 2))


@dataclass(frozen=True, slots=True)
class QuestionStep:
    """One question.

    Attributes:
        first: the first line that it is about, counted from 0.
        end: the one behind the last.
        of: the steps whose answers it sums up; none, where it reads the lines themselves.
    """

    index: int
    first: int
    end: int
    of: tuple[int, ...] = ()


def plan(sizes: Sequence[int], budget: MinutesTokenBudget) -> tuple[QuestionStep, ...]:
    """Divide lines into steps, each behind those that it sums up; the last one is about all lines.

    Args:
        sizes: of the lines.
        budget: of a question; a line that is larger gets a step of its own.
    """
    steps = [QuestionStep(index, *part) for index, part in enumerate(_parts(sizes, budget.read))]
    level = list(steps)
    at_once = max(2, budget.read // budget.notes)
    while len(level) > 1:
        level = [_summed_up(steps, group) for group in _groups(level, at_once)]
    return tuple(steps)


def _summed_up(steps: list[QuestionStep], group: Sequence[QuestionStep]) -> QuestionStep:
    """Return the step that sums a group up, added to all steps; one alone needs none."""
    if len(group) == 1:
        return group[0]
    step = QuestionStep(len(steps), group[0].first, group[-1].end, tuple(each.index for each in group))
    steps.append(step)
    return step


def _parts(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Fill parts evenly: as few as there must be, and none much shorter than the others."""
    total = sum(sizes)
    if not sizes:
        return []
    aim = -(-total // max(1, -(-total // most)))
    parts, first, size = list[tuple[int, int]](), 0, 0
    for index, each in enumerate(sizes):
        if index > first and (size + each > most or size >= aim):
            parts.append((first, index))
            first, size = index, 0
        size += each
    return [*parts, (first, len(sizes))]


def _groups(level: Sequence[QuestionStep], at_once: int) -> list[Sequence[QuestionStep]]:
    """Put neighbours together, in groups of about the same number."""
    count = -(-len(level) // at_once)
    edges = [round(number * len(level) / count) for number in range(count + 1)]
    return [level[first:end] for first, end in pairwise(edges)]


# A word is 1.35 tokens of English and 5.7 bytes, a line twelve words, with 11 tokens and 22 bytes of number,
# time and name before it.
_TOKENS_A_LINE = 27
_BYTES_A_LINE = 90
# What a question says besides, and what is written of an hour, or of a part of it.
_TOKENS_AROUND = 900
_TOKENS_WRITTEN = 1_200


@dataclass(frozen=True, slots=True)
class MinutesEstimate:
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


def estimate_minutes(
    duration_ms: int, provider: str, name: str, model: ChatModel, price: Price | None
) -> MinutesEstimate:
    """Estimate the minutes of a meeting that lasts so long. Raises ContextTooSmallError."""
    tokens, questions = expected_tokens(duration_ms, model)
    return MinutesEstimate(
        provider, name, questions, tokens, price.charge_tokens(tokens) if price is not None else None
    )


def expected_tokens(duration_ms: int, model: ChatModel) -> tuple[Tokens, int]:
    """Return the tokens that minutes take, and in how many questions."""
    lines = max(1, round(duration_ms / 60_000 * LINES_A_MINUTE))
    steps = plan(
        [_BYTES_A_LINE // 2] * lines, MinutesTokenBudget.of(model.context, model.answer, size_around())
    )
    written = len(steps) * _TOKENS_WRITTEN
    # All answers but the last are read again.
    read = lines * _TOKENS_A_LINE + len(steps) * _TOKENS_AROUND + written - _TOKENS_WRITTEN
    return Tokens(read, written), len(steps)
