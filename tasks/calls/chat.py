"""Asking a chat model: its answer from the store, or from the API, with every call in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from stenoflow.storage.database.ledger import Request
from stenoflow.storage.database.postings import Bill
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity, SegmentState
from stenoflow.storage.errors import AnsweredError, DiskFullError, StenoflowError, TakenError
from stenoflow.tasks.api.chat import ChatAnswer, ChatRequest
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.errors import UnreachableError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.retry import RetryPolicy, with_retries
from stenoflow.tasks.billing.prices import Price
from stenoflow.tasks.calls.bills import bill_chat, reserve_chat
from stenoflow.tasks.calls.paid_call import settle_error
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.transcribe.run import NoDiskSpaceError

# How often to look for the answer to what another run has asked.
_LOOK_AGAIN_S = 1.0
_TIMES = 2
# The second time: a model that is asked the same in the same way says the same.
_SECOND_TEMPERATURE = 0.7


class UnusableAnswerError(FailedError):
    """The model answered twice, and nothing can be made of either; both were paid for and are kept."""

    kind = "unusable-answer"


@dataclass(frozen=True, slots=True)
class ChatCall:
    """What is asked for one segment of a job.

    Attributes:
        provider: whose API; as in prices and charges.
        is_answered_by: whether an answer can be used.
        told: given the answer piece by piece, as it comes; None: it is had as a whole.
        begin: called before each call; what it raises keeps that from being made.
    """

    job_id: str
    index: int
    provider: str
    request: ChatRequest
    is_answered_by: Callable[[ChatAnswer], bool]
    told: Callable[[str], object] | None = None
    begin: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class ChatCaller:
    """Asks chat models at one provider; belongs to one event loop.

    Attributes:
        limiter: how many calls at once, and the stop for all; the same as for hearing, where both are asked.
    """

    context: AppContext
    api: AudioApi
    limiter: Limiter
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    async def ask(self, question: ChatCall) -> None:
        """Get a segment its answer and store it; nothing is sent where it is stored already.

        Raises:
            CallError: the API gave none; the segment is parked.
            UnusableAnswerError: nothing can be made of what it gave; the same.
            BudgetError: the budget has no room for the call; the same.
        """
        catalog, ledger = self.context.catalog, self.context.ledger
        segment = await run_blocking(catalog.segment, question.job_id, question.index)
        if segment.state == SegmentState.DONE:
            return
        try:
            if await run_blocking(ledger.answered, [segment.cache_key]):
                raise AnsweredError("it is stored")
            await self._until_usable(question, segment.cache_key)
        except AnsweredError:
            await run_blocking(ledger.mark_cached, question.job_id, question.index)
        except StenoflowError as error:
            self._stop_for_all(error)
            await run_blocking(ledger.fail_segment, question.job_id, question.index, error)
            raise

    async def _until_usable(self, question: ChatCall, cache_key: str) -> None:
        for time in range(_TIMES):
            again = replace(question.request, temperature=_SECOND_TEMPERATURE)
            asked = question if time == 0 else replace(question, request=again)
            call = _Call(self, asked, cache_key)
            if await _unless_taken(lambda call=call: with_retries(call.attempt, policy=self.policy)):  # type: ignore[misc]
                return
        model = f"{question.request.model} at {question.provider}"
        raise UnusableAnswerError(
            f"{model} answered {_TIMES} times, and not as it was asked to",
            "both answers are kept; try another --model",
        )

    def _stop_for_all(self, error: StenoflowError) -> None:
        """Stop all calls where none of them could do better."""
        if isinstance(error, UnreachableError):
            self.limiter.stop(error)
        elif isinstance(error, DiskFullError):
            self.limiter.stop(NoDiskSpaceError(error.message, error.hint))


@dataclass(frozen=True, slots=True)
class _Call:
    """One question's way to its answer."""

    chatter: ChatCaller
    question: ChatCall
    cache_key: str

    async def attempt(self, _number: int) -> bool:
        """Send it once: reserve, call, record; whether the answer can be used. What cannot is kept too."""
        ledger = self.chatter.context.ledger
        async with self.chatter.limiter.slot():
            self.question.begin()
            attempt_id = await self._begin()
            try:
                answer = await self._send()
            except BaseException as error:
                await settle_error(ledger, attempt_id, error, f"question {self.question.index}")
                raise
            if self.question.is_answered_by(answer):
                doubt = "cut-short" if answer.is_cut_short else None
                await run_blocking(ledger.succeed, attempt_id, answer.raw, self._bill(answer), doubt)
                return True
            await run_blocking(ledger.store_suspect, attempt_id, answer.raw, self._bill(answer))
            return False

    async def _send(self) -> ChatAnswer:
        request, told = self.question.request, self.question.told
        api = self.chatter.api
        return await (api.chat(request) if told is None else api.stream_chat(request, told))

    async def _begin(self) -> str:
        question = self.question
        request = Request(
            question.job_id,
            question.index,
            self.cache_key,
            self.chatter.context.run_id,
            question.provider,
            question.request.model,
            reserve_chat(self._price, question.request),
            Activity.CHAT,
        )
        return await run_blocking(self.chatter.context.ledger.begin, request)

    def _bill(self, answer: ChatAnswer) -> Bill:
        return bill_chat(self._price, self.question.request, answer)

    @property
    def _price(self) -> Price | None:
        prices = self.chatter.context.prices
        return prices.find(self.question.provider, self.question.request.model)


async def _unless_taken(ask: Callable[[], Awaitable[bool]]) -> bool:
    """Ask; while another run, which is alive, asks for the same, wait for its answer."""
    while True:
        try:
            return await ask()
        except TakenError:
            await asyncio.sleep(_LOOK_AGAIN_S)
