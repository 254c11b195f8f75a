"""A segment's translation by a chat model: a few lines a request, and each of them in the ledger.

What an answer says of some lines is kept until all are there; after a run that was broken off, or a model
that leaves lines out, those that lack are asked for and no others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stenoflow.storage.database.ledger import Request
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Segment
from stenoflow.tasks.api.answers import parse_answer
from stenoflow.tasks.api.chat import ChatAnswer, ChatRequest, parse_chat
from stenoflow.tasks.api.chat_models import ChatModel
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.error_body import hint_for
from stenoflow.tasks.api.errors import ModelNotFoundError, NotTranslatedError, WrongAddressError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.settings import JobSettings
from stenoflow.tasks.billing.prices import Price
from stenoflow.tasks.calls.bills import bill_chat, reserve_chat
from stenoflow.tasks.calls.paid_call import settle_error
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


@dataclass(slots=True)
class TranslateCall:
    """One segment's way to its translation.

    Attributes:
        context: the tools.
        api: who is asked.
        limiter: how many calls at once, and the stop for all.
        segment: what was heard.
        settings: its job's, with the chat model.
    """

    context: AppContext
    api: AudioApi
    limiter: Limiter
    segment: Segment
    settings: JobSettings
    _asked: Counter[int] = field(default_factory=Counter)

    @property
    def cache_key(self) -> str:
        """What the translation is stored under."""
        return self.settings.translation_key(self.segment.cache_key)

    @property
    def _target(self) -> Target:
        return Target(self.settings.provider, self.settings.translator or "")

    async def attempt(self, _number: int) -> bool:
        """Ask once for lines that lack: reserve, call, record.

        Returns:
            Whether the translation is there now; if not, there is more to ask for.

        Raises:
            NotInEnglishError: most lines lack, though all were asked for often enough.
        """
        ledger = self.context.ledger
        async with self.limiter.slot():
            known = await run_blocking(self._read)
            asked = self._next(known)
            if not asked:
                # All of it was kept before.
                await run_blocking(ledger.put_result, self.cache_key, known.stored)
                return True
            request = self._request(asked)
            attempt_id = await self._begin(request)
            try:
                answer = await self._send(request)
            except BaseException as error:
                what = f"the translation of segment {self.segment.index}"
                await settle_error(ledger, attempt_id, error, what)
                raise
            numbers = [line.number for line in asked]
            self._asked.update(numbers)
            bill = bill_chat(self._price, request, answer)
            known = known.with_(_said_in(answer, numbers))
            if self._is_enough(known):
                suspect = UNTRANSLATED if known.lacking else None
                await run_blocking(ledger.succeed, attempt_id, known.stored, bill, suspect)
                return True
            why = self._left_out(known, answer) if self._is_exhausted(known) else None
            await run_blocking(ledger.store_suspect, attempt_id, _kept(answer, numbers), bill, why)
            if why is not None:
                raise why
            return False

    async def accept_suspect(self) -> bool:
        """Tell that it is not: the next run asks for the lines that lack."""
        return False

    def _is_enough(self, known: _Known) -> bool:
        """Tell whether all is there, or the little that lacks will not come."""
        few = 2 * len(known.lacking) <= len(known.lines)
        return not known.lacking or (few and self._is_exhausted(known))

    def _is_exhausted(self, known: _Known) -> bool:
        return all(self._asked[line.number] >= _TIMES for line in known.lacking)

    def _left_out(self, known: _Known, answer: ChatAnswer) -> NotInEnglishError:
        refusal = f": {answer.refusal}" if answer.refusal else ""
        lacking = f"{len(known.lacking)} of {len(known.lines)} lines of segment {self.segment.index}"
        return NotInEnglishError(
            f"{self._target} left out {lacking}, though asked twice{refusal}",
            "what it said is kept, stenoflow resume asks for the rest; STENOFLOW_CHAT_MODEL names another",
        )

    def _read(self) -> _Known:
        """Return the lines of what was heard, and what earlier answers say of them."""
        key, spans = self.segment.cache_key, Excerpt(self.segment.spans)
        heard = parse_answer(
            self.context.ledger.answers([key])[key].encode(),
            Target(self.settings.provider, self.settings.model),
            spans.duration_ms,
        )
        speech = [Region(start, end) for start, end in self.segment.regions]
        lines = lines_of(heard, spans.duration_ms, spans.joined(speech, self.segment.start_sample))
        known = _Known(lines, {})
        for kept in self.context.ledger.stored_suspects(self.cache_key):
            whole = json.loads(kept)
            answer = parse_chat(json.dumps(whole["answer"]).encode(), self._target)
            known = known.with_(_said_in(answer, whole["asked"]))
        return known

    def _next(self, known: _Known) -> tuple[TranslationLine, ...]:
        """Return what to ask for: first what was not asked for yet."""
        new = [line for line in known.lacking if not self._asked[line.number]]
        again = [line for line in known.lacking if self._asked[line.number] < _TIMES]
        return TranslationTokenBudget.of(self._model).first_of(new or again)

    def _request(self, asked: Sequence[TranslationLine]) -> ChatRequest:
        again = any(self._asked[line.number] for line in asked)
        return ask_for(self._target.model, self._model.answer, asked, again=again)

    @property
    def _model(self) -> ChatModel:
        return self.context.chat_models.get(self._target.model)

    async def _send(self, request: ChatRequest) -> ChatAnswer:
        try:
            return await self.api.chat(request)
        except (ModelNotFoundError, WrongAddressError) as error:
            # Who hears does so all the same: the others are to go on.
            hint = hint_for(NotTranslatedError, self._target)
            raise NotTranslatedError(error.message, hint, error.status) from error

    async def _begin(self, request: ChatRequest) -> str:
        begun = Request(
            self.segment.job_id,
            self.segment.index,
            self.cache_key,
            self.context.run_id,
            self.settings.provider,
            request.model,
            reserve_chat(self._price, request),
            Activity.TRANSLATION,
        )
        return await run_blocking(self.context.ledger.begin, begun)

    @property
    def _price(self) -> Price | None:
        return self.context.prices.find(self.settings.provider, self._target.model)


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
        """As a model that hears gives a translation; what lacks stands as it was said, and is marked."""
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
