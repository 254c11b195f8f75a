"""A digest's questions, and what is made of those that are answered; calls nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from storage.database.catalog import CutSegment
from storage.database.states import Activity
from tasks.audio_api.chat import ChatAnswer, ChatRequest, parse_chat
from tasks.audio_api.exchange import Target
from tasks.digest.settings import DigestSettings, hash_of_lines
from tasks.errors import SettingsError
from tasks.minutes.lines import Line, lines_of, size
from tasks.minutes.minutes import Minutes, joined, notes_of
from tasks.minutes.planning import NoRoomError, Room, Step, plan
from tasks.minutes.prompt import ask_of_lines, ask_of_notes, size_around
from tasks.minutes.reading import read_minutes
from tasks.speech.timecode import ms_to_samples
from tasks.speech.transcript import Transcript
from tasks.workshop import Workshop


@dataclass(frozen=True)
class Work:
    """What there is to do for a digest.

    Attributes:
        transcript: what it is of, as it is now.
    """

    settings: DigestSettings
    transcript: Transcript

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The transcript, as it is read and referred to."""
        return lines_of(self.transcript)

    @property
    def is_of_this_transcript(self) -> bool:
        """Whether the transcript is still the one that the settings are about."""
        return hash_of_lines(self.lines) == self.settings.transcript

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The questions, each behind those whose answers it needs."""
        return plan([size(line.written) + 1 for line in self.lines], self.room)

    @cached_property
    def room(self) -> Room:
        """How much goes into one. Raises SettingsError where that is too little."""
        settings = self.settings
        try:
            return Room.of(settings.context, settings.answer, size_around())
        except NoRoomError as error:
            raise too_small(settings.model, error) from error

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The work key of each step."""
        keys: list[str] = []
        for step in self.steps:
            notes = [keys[index] for index in step.of]
            lines = self.lines[step.first : step.end]
            keys.append(self.settings.key_of_notes(notes) if notes else self.settings.key_of_lines(lines))
        return tuple(keys)

    def segments(self) -> list[CutSegment]:
        """Return the steps as the database keeps them: each with its stretch of the recording, in samples."""
        end_ms = self.transcript.duration_ms
        starts = [*(line.at_ms for line in self.lines), end_ms]
        return [
            CutSegment(
                step.index,
                ms_to_samples(starts[step.first]),
                ms_to_samples(max(starts[step.first], starts[step.end])),
                forced=False,
                speech=(),
                activity=Activity.CHAT,
            )
            for step in self.steps
        ]

    def request(self, step: Step, answers: Mapping[int, Minutes]) -> ChatRequest:
        """Return the question of a step.

        Args:
            step: the step.
            answers: of the steps that it sums up, by index.
        """
        shown = self.shown(step, answers)
        return self.settings.request(ask_of_notes(shown) if step.of else ask_of_lines(shown))

    def shown(self, step: Step, answers: Mapping[int, Minutes]) -> tuple[Line, ...]:
        """Return the lines or notes that the model is shown, and may refer to."""
        if not step.of:
            return self.lines[step.first : step.end]
        return tuple(note for index in step.of for note in notes_of(answers[index], self.room.notes))

    def longest_request(self, step: Step) -> ChatRequest:
        """Return a question as long as a step's can be, before what it sums up is known; to price it."""
        if not step.of:
            return self.request(step, {})
        # `size` counts a token for two bytes.
        note = Line(0, 0, None, "x" * (2 * self.room.notes * len(step.of)))
        return self.settings.request(ask_of_notes((note,)))

    def read(self, step: Step, answer: ChatAnswer, answers: Mapping[int, Minutes]) -> Minutes | None:
        """Read what a model answered; None where nothing can be made of it."""
        shown = self.shown(step, answers)
        return read_minutes(answer.text, {line.number: line.at_ms for line in shown if line.number})


@dataclass(frozen=True)
class Answers:
    """What came of a digest so far.

    Attributes:
        by_step: the minutes of each step that is answered, by index.
    """

    work: Work
    by_step: Mapping[int, Minutes]

    @classmethod
    def stored(cls, workshop: Workshop, work: Work) -> Answers:
        """Read all that are stored."""
        stored = workshop.ledger.answers(work.keys)
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
    def missing(self) -> tuple[Step, ...]:
        """The parts of the transcript that no answer is about."""
        return tuple(step for step in self.work.steps if not step.of and step.index not in self.by_step)

    def _of(self, step: Step) -> Minutes:
        found = self.by_step.get(step.index)
        if found is not None:
            return found
        return joined(self._of(self.work.steps[index]) for index in step.of)


def too_small(model: str, error: NoRoomError) -> SettingsError:
    """Say that minutes cannot be made within a model's context."""
    return SettingsError(
        f"the context of {model} is too small for minutes: {error}",
        f'name another model, or say its context under [chat_models."{model}"] in stenoflow.toml',
    )
