"""A digest's questions, and what is made of those that are answered; calls nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.storage.database.states import Activity
from stenoflow.tasks.api.chat import ChatAnswer, ChatRequest, parse_chat
from stenoflow.tasks.api.chat_models import ContextTooSmallError
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.minutes.budget import MinutesTokenBudget, QuestionStep, plan
from stenoflow.tasks.jobs.minutes.prompt import ask_of_lines, ask_of_notes, read_minutes, size_around
from stenoflow.tasks.jobs.minutes.settings import MinutesSettings, hash_of_lines
from stenoflow.tasks.transcript.minutes import Minutes, TranscriptLine, joined, lines_of, notes_of, size
from stenoflow.tasks.transcript.timecode import ms_to_samples
from stenoflow.tasks.transcript.types import Transcript


@dataclass(frozen=True)
class MinutesPlan:
    """What there is to do for a digest.

    Attributes:
        transcript: what it is of, as it is now.
    """

    settings: MinutesSettings
    transcript: Transcript

    @cached_property
    def lines(self) -> tuple[TranscriptLine, ...]:
        """The transcript, as it is read and referred to."""
        return lines_of(self.transcript)

    @property
    def is_of_this_transcript(self) -> bool:
        """Whether the transcript is still the one that the settings are about."""
        return hash_of_lines(self.lines) == self.settings.transcript

    @cached_property
    def steps(self) -> tuple[QuestionStep, ...]:
        """The questions, each behind those whose answers it needs."""
        return plan([size(line.written) + 1 for line in self.lines], self.token_budget)

    @cached_property
    def token_budget(self) -> MinutesTokenBudget:
        """How much goes into one. Raises SettingsError where that is too little."""
        settings = self.settings
        try:
            return MinutesTokenBudget.of(settings.context, settings.answer, size_around())
        except ContextTooSmallError as error:
            raise too_small(settings.model, error) from error

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The cache key of each step."""
        keys: list[str] = []
        for step in self.steps:
            notes = [keys[index] for index in step.of]
            lines = self.lines[step.first : step.end]
            keys.append(self.settings.key_of_notes(notes) if notes else self.settings.key_of_lines(lines))
        return tuple(keys)

    def segments(self) -> list[SegmentPlan]:
        """Return the steps as the database keeps them: each with its stretch of the recording, in samples."""
        end_ms = self.transcript.duration_ms
        starts = [*(line.at_ms for line in self.lines), end_ms]
        return [
            SegmentPlan(
                step.index,
                ms_to_samples(starts[step.first]),
                ms_to_samples(max(starts[step.first], starts[step.end])),
                forced=False,
                speech=(),
                activity=Activity.CHAT,
            )
            for step in self.steps
        ]

    def request(self, step: QuestionStep, answers: Mapping[int, Minutes]) -> ChatRequest:
        """Return the question of a step.

        Args:
            step: the step.
            answers: of the steps that it sums up, by index.
        """
        shown = self.shown(step, answers)
        return self.settings.request(ask_of_notes(shown) if step.of else ask_of_lines(shown))

    def shown(self, step: QuestionStep, answers: Mapping[int, Minutes]) -> tuple[TranscriptLine, ...]:
        """Return the lines or notes that the model is shown, and may refer to."""
        if not step.of:
            return self.lines[step.first : step.end]
        return tuple(note for index in step.of for note in notes_of(answers[index], self.token_budget.notes))

    def longest_request(self, step: QuestionStep) -> ChatRequest:
        """Return a question as long as a step's can be, before what it sums up is known; to price it."""
        if not step.of:
            return self.request(step, {})
        # `size` counts a token for two bytes.
        note = TranscriptLine(0, 0, None, "x" * (2 * self.token_budget.notes * len(step.of)))
        return self.settings.request(ask_of_notes((note,)))

    def read(self, step: QuestionStep, answer: ChatAnswer, answers: Mapping[int, Minutes]) -> Minutes | None:
        """Read what a model answered; None where nothing can be made of it."""
        shown = self.shown(step, answers)
        return read_minutes(answer.text, {line.number: line.at_ms for line in shown if line.number})


@dataclass(frozen=True)
class MinutesAnswers:
    """What came of a digest so far.

    Attributes:
        by_step: the minutes of each step that is answered, by index.
    """

    work: MinutesPlan
    by_step: Mapping[int, Minutes]

    @classmethod
    def stored(cls, context: AppContext, work: MinutesPlan) -> MinutesAnswers:
        """Read all that are stored."""
        stored = context.ledger.answers(work.keys)
        target = Target(work.settings.provider, work.settings.model)
        found: dict[int, Minutes] = {}
        for step, key in zip(work.steps, work.keys, strict=True):
            if key not in stored or any(index not in found for index in step.of):
                continue
            minutes = work.read(step, parse_chat(stored[key].encode(), target), found)
            if minutes is not None:
                found[step.index] = minutes
        return cls(work, found)

    @property
    def is_complete(self) -> bool:
        """Whether the last step is answered, which is about all."""
        return bool(self.work.steps) and self.work.steps[-1].index in self.by_step

    @property
    def minutes(self) -> Minutes:
        """The minutes: of the last step, or where that has no answer, of the parts one behind the other."""
        return self._of(self.work.steps[-1]) if self.work.steps else Minutes()

    @property
    def missing(self) -> tuple[QuestionStep, ...]:
        """The parts of the transcript that no answer is about."""
        return tuple(step for step in self.work.steps if not step.of and step.index not in self.by_step)

    def _of(self, step: QuestionStep) -> Minutes:
        found = self.by_step.get(step.index)
        if found is not None:
            return found
        return joined(self._of(self.work.steps[index]) for index in step.of)


def too_small(model: str, error: ContextTooSmallError) -> SettingsError:
    """Say that minutes cannot be made within a model's context."""
    return SettingsError(
        f"the context of {model} is too small for minutes: {error}",
        f'name another model, or say its context under [chat_models."{model}"] in stenoflow.toml',
    )
