"""A segment's translation by a chat model, as a paid call: a few lines a request.

What an answer says of some lines is kept until all are there; after a run that was broken off, or a model
that leaves lines out, those that lack are asked for and no others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Segment
from stenoflow.storage.errors import AnsweredError
from stenoflow.tasks.api.chat import ChatAnswer, ChatRequest, parse_chat
from stenoflow.tasks.api.chat_models import ChatModel
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.error_body import hint_for
from stenoflow.tasks.api.errors import ModelNotFoundError, NotTranslatedError, WrongAddressError
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.job_settings import JobSettings
from stenoflow.tasks.assembly.review import read_answer, reviewed
from stenoflow.tasks.calls.bills import bill_chat, reserve_chat
from stenoflow.tasks.calls.paid_call import Accepted, PaidCall, Suspected, Verdict
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.translate.plan import TranslationTokenBudget
from stenoflow.tasks.jobs.translate.prompt import TranslationLine, ask_for, lines_of, read_translation
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.types import Region

UNTRANSLATED = "untranslated"
"""Why a translation is not to be trusted in which some lines are as they were said."""
# How often a run asks for a line.
_TIMES = 2


class NotInEnglishError(FailedError):
    """The model answered, and left out most of what it was to translate; what it said is kept."""

    kind = "not-in-english"
    lies_in_recording = True


@dataclass(slots=True, kw_only=True)
class TranslateCall(PaidCall[ChatAnswer]):
    """Has a chat model translate what was transcribed in one segment.

    Attributes:
        segment: what was transcribed.
        settings: its job's, with the chat model.
    """

    noun: ClassVar[str] = "the translation of segment"

    activity: Activity = Activity.TRANSLATION
    segment: Segment
    settings: JobSettings
    _asked: Counter[int] = field(default_factory=Counter, init=False)
    # Of the attempt that is made.
    _known: _Known = field(init=False, repr=False)
    _numbers: list[int] = field(init=False, repr=False)
    _request: ChatRequest = field(init=False, repr=False)

    @property
    def kind(self) -> ModelKind:
        """A model that writes."""
        return ModelKind.CHAT

    @classmethod
    def of(cls, context: AppContext, segment: Segment, settings: JobSettings) -> Self:
        """Return the call for a segment that was transcribed."""
        return cls(
            context=context,
            job_id=segment.job_id,
            index=segment.index,
            cache_key=settings.translation_key(segment.cache_key),
            target=Target(settings.chat_provider, settings.translator or ""),
            segment=segment,
            settings=settings,
        )

    async def before_attempt(self) -> None:
        """Choose the lines to ask for among those that lack.

        Raises:
            AnsweredError: all of it was kept before; it is stored as the answer now.
        """
        self._known = await run_blocking(self._read)
        asked = self._next(self._known)
        if not asked:
            await run_blocking(self.context.ledger.put_result, self.cache_key, self._known.stored)
            raise AnsweredError(f"{self.noun} {self.index} was kept before")
        again = any(self._asked[line.number] for line in asked)
        self._numbers = [line.number for line in asked]
        self._request = ask_for(self.target.model, self._model.answer, asked, again=again)

    def reserve(self) -> Bill:
        """Reserve the question, and the longest answer."""
        return reserve_chat(self.price, self._request)

    async def send(self, api: AudioApi) -> ChatAnswer:
        """Ask for the lines."""
        request = replace(self._request, effort=self._model.reasoning_effort)
        try:
            return await api.chat(request)
        except (ModelNotFoundError, WrongAddressError) as error:
            # The provider does so all the same: the others are to go on.
            hint = hint_for(NotTranslatedError, self.target)
            raise NotTranslatedError(error.message, hint, error.status) from error

    def accept(self, answer: ChatAnswer) -> Verdict:
        """Take what is there once it is enough; until then keep what came, and ask for the rest.

        Most lines may lack though all were asked for often enough: that ends in NotInEnglishError.
        """
        self._asked.update(self._numbers)
        known = self._known.with_(_said_in(answer, self._numbers))
        exhausted = all(self._asked[line.number] >= _TIMES for line in known.lacking)
        few = 2 * len(known.lacking) <= len(known.lines)
        if not known.lacking or (few and exhausted):
            return Accepted(known.stored, UNTRANSLATED if known.lacking else None)
        return Suspected(_kept(answer, self._numbers), self._left_out(known, answer) if exhausted else None)

    def bill(self, answer: ChatAnswer) -> Bill:
        """Charge the tokens."""
        return bill_chat(self.price, self._request, answer)

    def _left_out(self, known: _Known, answer: ChatAnswer) -> NotInEnglishError:
        refusal = f": {answer.refusal}" if answer.refusal else ""
        lacking = f"{len(known.lacking)} of {len(known.lines)} lines of segment {self.index}"
        return NotInEnglishError(
            f"{self.target} left out {lacking}, though asked twice{refusal}",
            "what it said is kept, stenoflow resume asks for the rest; STENOFLOW_CHAT_MODEL names another",
        )

    def _read(self) -> _Known:
        """Return the lines of what was transcribed, and what earlier answers say of them."""
        key, duration_ms = self.segment.cache_key, Excerpt(self.segment.spans).duration_ms
        stored = self.context.ledger.answers([key])[key]
        heard = read_answer(stored, self.settings, Region(0, duration_ms))
        transcript, _ = reviewed(self.context, self.settings, self.segment, heard)
        known = _Known(lines_of(transcript), {})
        for kept in self.context.ledger.stored_suspects(self.cache_key):
            whole = json.loads(kept)
            answer = parse_chat(json.dumps(whole["answer"]).encode(), self.target)
            known = known.with_(_said_in(answer, whole["asked"]))
        return known

    def _next(self, known: _Known) -> tuple[TranslationLine, ...]:
        """Return what to ask for: first what was not asked for yet."""
        new = [line for line in known.lacking if not self._asked[line.number]]
        again = [line for line in known.lacking if self._asked[line.number] < _TIMES]
        return TranslationTokenBudget.of(self._model).first_of(new or again)

    @property
    def _model(self) -> ChatModel:
        return self.context.chat_models.get(self.target.model)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was said in a segment, and in English by the numbers of its lines."""

    lines: tuple[TranslationLine, ...]
    said: Mapping[int, str]

    @property
    def lacking(self) -> list[TranslationLine]:
        """The lines that are not in English yet."""
        return [line for line in self.lines if line.number not in self.said]

    def with_(self, more: Mapping[int, str]) -> _Known:
        """Return it with what another answer says; of two that say the same line, the first counts."""
        return replace(self, said={**more, **self.said})

    @property
    def stored(self) -> str:
        """As an audio model gives a translation; what lacks stands as it was said, and is marked."""
        utterances = [self._utterance(index, line) for index, line in enumerate(self.lines)]
        text = " ".join(str(each["text"]) for each in utterances)
        whole = {"task": "translate", "language": "english", "text": text, "segments": utterances}
        return json.dumps(whole, ensure_ascii=False)

    def _utterance(self, index: int, line: TranslationLine) -> dict[str, Any]:
        return {
            "id": index,
            "start": line.start_ms / 1_000,
            "end": line.end_ms / 1_000,
            "text": self.said.get(line.number) or f"[not translated] {line.text}",
            **({} if line.speaker is None else {"speaker": line.speaker}),
        }


def _said_in(answer: ChatAnswer, asked: Sequence[int]) -> dict[int, str]:
    return {} if answer.refusal else read_translation(answer.text, asked)


def _kept(answer: ChatAnswer, asked: Sequence[int]) -> str:
    return json.dumps({"asked": list(asked), "answer": json.loads(answer.raw)})
