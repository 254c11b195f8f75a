"""The paid call: slot, reserve, send, record, settle or retry.

Every request of the program goes through `Caller.obtain`, and no other place reserves money. What differs
between a transcription, a translation, a chat and a speech is a `PaidCall`: an adapter that says what is
sent, whether its answer can be used, and what it costs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar
from weakref import WeakValueDictionary

from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.ledger import Ledger, Request
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity
from stenoflow.storage.errors import (
    AnsweredError,
    DiskFullError,
    ObjectStoreError,
    StenoflowError,
    TakenError,
)
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.errors import CallError, UnknownOutcomeError, UnreachableError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.api.providers import EMBEDDED
from stenoflow.tasks.api.request_ids import collected_request_ids
from stenoflow.tasks.api.retry import RetryPolicy, with_retries
from stenoflow.tasks.api.tracing import traced
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.billing.prices import Price
from stenoflow.tasks.calls.failover import Breaker
from stenoflow.tasks.calls.routes import Route, Routes
from stenoflow.tasks.calls.waits import Waits
from stenoflow.tasks.context import AppContext

_log = logging.getLogger(__name__)
# How often to look for the answer to what another run has asked.
_LOOK_AGAIN_S = 1.0

_KINDS = {Activity.CHAT: ModelKind.CHAT, Activity.SPEECH: ModelKind.SPEECH}

A = TypeVar("A")


class NoDiskSpaceError(CallError):
    """It was not sent: there is no room to store what comes back."""

    kind = DiskFullError.kind
    scope = "provider"


@dataclass(frozen=True, slots=True)
class Accepted:
    """An answer is taken.

    Attributes:
        stored: the text that is stored as the answer.
        suspect: why it is not to be trusted; None: it is.
    """

    stored: str
    suspect: str | None = None


@dataclass(frozen=True, slots=True)
class Suspected:
    """An answer is too suspect to be taken; it was paid for, so it is kept.

    Attributes:
        stored: the text that is kept.
        error: why nothing more is asked; None: it is asked for again.
        unsure: whether `PaidCall.prepare` judges it before anything is asked again.
    """

    stored: str
    error: StenoflowError | None = None
    unsure: bool = False


Verdict = Accepted | Suspected


@dataclass(slots=True, kw_only=True)
class PaidCall(ABC, Generic[A]):
    """One thing that is asked of the API for one segment of a job, until it has an answer.

    The segment is stored, and its job is claimed by this run. ``A`` is what comes back from the API.

    Attributes:
        index: the segment's number.
        cache_key: the answer is stored under it.
        target: who is asked, as in prices and charges.
        policy: how often it is tried; None: as the caller has it.
        is_one_of_several: other providers can be asked as well, each by its name alone; the caller's breaker
            says who is.
        is_last: nobody can be asked after it.
        patience_s: how long an answer is waited for, where that is less than the client does.
    """

    noun: ClassVar[str] = "segment"
    """Names it in messages, with the number behind it."""

    context: AppContext
    job_id: str
    index: int
    cache_key: str
    target: Target
    activity: Activity
    policy: RetryPolicy | None = None
    is_one_of_several: bool = False
    is_last: bool = True
    patience_s: float | None = None

    @property
    def kind(self) -> ModelKind:
        """What the model does that is asked."""
        return _KINDS.get(self.activity, ModelKind.TRANSCRIPTION)

    @property
    def price(self) -> Price | None:
        """What the model costs; None where that is unknown."""
        return self.context.prices.find(self.target.provider, self.target.model)

    @abstractmethod
    def reserve(self) -> Bill:
        """Return the most that the next attempt may cost."""

    @abstractmethod
    async def send(self, api: AudioApi) -> A:
        """Send it once. What it raises is recorded as the attempt's end."""

    @abstractmethod
    def accept(self, answer: A) -> Verdict:
        """Judge what came back."""

    @abstractmethod
    def bill(self, answer: A) -> Bill:
        """Return what it has cost, whether it is accepted or not."""

    def is_answered(self) -> bool:
        """Look whether the answer is stored already; blocks."""
        return bool(self.context.ledger.answered([self.cache_key]))

    async def prepare(self) -> None:
        """Wait for what has to come first, while no slot is held; for an answer that is not stored.

        Raises:
            AnsweredError: there is an answer now, for a kept one was accepted.
        """

    async def before_attempt(self) -> None:
        """Make ready for the next attempt, in its slot. What it raises keeps that from being made."""

    async def recorded(self) -> None:
        """Take note that the answer is stored, before the next call goes out."""

    def find_fallback(self) -> tuple[str, str] | None:
        """Return the kept answer that is taken where no better one is to be had; blocks.

        Returns:
            The attempt's id, and why its answer is not to be trusted; None where there is none.
        """
        return None


@dataclass(slots=True)
class Caller:
    """Makes paid calls; belongs to one event loop.

    Attributes:
        api: of who transcribes.
        limiter: how many calls at once go there, and the stop for all of them.
        breaker: knows which providers are broken, of those that are one of several.
        routes: to all providers; None: all calls go to that one.
        waits: what calls wait for, to be shown.
    """

    context: AppContext
    api: AudioApi
    limiter: Limiter
    routes: Routes | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    waits: Waits = field(default_factory=Waits)
    breaker: Breaker = field(default_factory=Breaker)
    # The same may be asked for twice in one run; the second waits for the first one's answer.
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def route(self, provider: str, kind: ModelKind, *, exact: bool = False) -> Route:
        """Return the way to a provider; see `Routes.to`."""
        if self.routes is None:
            return Route(self.api, self.limiter)
        return await self.routes.to(provider, kind, exact=exact)

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is sent to anybody."""
        return self.limiter.is_stopped if self.routes is None else self.routes.is_stopped

    def stop(self, error: CallError) -> None:
        """Send nothing more to anybody."""
        self.limiter.stop(error)
        if self.routes is not None:
            self.routes.stop(error)

    @property
    def busy(self) -> int:
        """How many calls are in flight."""
        return self.limiter.busy if self.routes is None else self.routes.busy

    async def obtain(self, call: PaidCall[Any]) -> None:
        """Get a segment its answer and store it; nothing is sent where it is stored already.

        Raises:
            CallError: the API gave none; the segment has failed, and says so.
            BudgetError: the budget has no room for the call; the same.
            StenoflowError: nothing can be made of what the API gave, or it cannot be stored; the same.
        """
        async with self._locks.setdefault(call.cache_key, asyncio.Lock()):
            with traced("segment", job=call.job_id, segment=call.index, activity=call.activity):
                await self._obtain_or_fail(call)

    async def _obtain_or_fail(self, call: PaidCall[Any]) -> None:
        try:
            await self._obtain(call)
        except StenoflowError as error:
            await self._stop_where_all_would_fail(call, error)
            if not await self._fall_back(call, error):
                await run_blocking(self.context.ledger.fail_segment, call.job_id, call.index, error)
                raise

    async def _obtain(self, call: PaidCall[Any]) -> None:
        """Ask for it; while another run, which is alive, asks for the same, wait for its answer."""
        since = self.waits.clock()
        while not await run_blocking(call.is_answered):
            try:
                await call.prepare()
                is_accepted = await self._until_judged(call)
            except AnsweredError:
                continue
            except TakenError:
                with self.waits.for_another_run(since):
                    await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                if is_accepted:
                    return
        await run_blocking(self.context.ledger.mark_cached, call.job_id, call.index)

    async def _until_judged(self, call: PaidCall[Any]) -> bool:
        """Ask until an answer is accepted; False: one is kept and yet to be judged."""
        while True:
            with self.waits.trying():
                verdict = await with_retries(lambda _: self._attempt(call), policy=call.policy or self.policy)
            if isinstance(verdict, Accepted):
                return True
            if verdict.unsure:
                return False
            if verdict.error is not None:
                raise verdict.error

    async def _attempt(self, call: PaidCall[A]) -> Verdict:
        """Send it once: reserve, call, record."""
        ledger = self.context.ledger
        route = await self.route(call.target.provider, call.kind, exact=call.is_one_of_several)
        async with self._slot(call, route.limiter):
            await call.before_attempt()
            attempt_id = await run_blocking(ledger.begin, self._request(call))
            try:
                here = call.target.provider == EMBEDDED
                with self._told_of(call, attempt_id), self.waits.sending(here=here):
                    answer = await _in_time(call, route.api)
                    verdict, bill = call.accept(answer), call.bill(answer)
            except BaseException as error:
                await _settle_error(ledger, attempt_id, error, f"{call.noun} {call.index}")
                raise
            if isinstance(verdict, Accepted):
                await run_blocking(ledger.succeed, attempt_id, verdict.stored, bill, verdict.suspect)
                await call.recorded()
            else:
                await run_blocking(ledger.store_suspect, attempt_id, verdict.stored, bill, verdict.error)
            return verdict

    @asynccontextmanager
    async def _slot(self, call: PaidCall[Any], limiter: Limiter) -> AsyncIterator[None]:
        """Hold a place at a provider; of several, one that broke down meanwhile is not asked."""
        if not call.is_one_of_several:
            async with limiter.slot():
                yield
            return
        provider, patience_s = call.target.provider, None if call.policy is None else call.policy.timeout_s
        async with limiter.slot(patience_s=patience_s, stops=False):
            # What comes of it is noted before the next one gets this place.
            with self.breaker.trying(provider, is_last=call.is_last):
                yield

    @contextmanager
    def _told_of(self, call: PaidCall[Any], attempt_id: str) -> Iterator[None]:
        """Log and trace a call, with the ids by which it is found here and at the provider."""
        who: dict[str, Any] = {
            "run": self.context.run_id,
            "job": call.job_id,
            "segment": call.index,
            "activity": call.activity,
            "attempt": attempt_id,
        }
        begun = time.monotonic()
        with (
            traced("call", **who, provider=call.target.provider, model=call.target.model) as span,
            collected_request_ids() as ids,
        ):
            try:
                yield
            except BaseException as error:
                kind = error.kind if isinstance(error, StenoflowError) else type(error).__name__
                _log.info("a call failed", extra=who | {"error": kind} | _came_of(begun, ids))
                raise
            finally:
                span.note(request=" ".join(ids) or None)
            _log.debug("a call was answered", extra=who | _came_of(begun, ids))

    def _request(self, call: PaidCall[Any]) -> Request:
        return Request(
            call.job_id,
            call.index,
            call.cache_key,
            self.context.run_id,
            call.target.provider,
            call.target.model,
            call.reserve(),
            call.activity,
        )

    async def _stop_where_all_would_fail(self, call: PaidCall[Any], error: StenoflowError) -> None:
        if isinstance(error, UnreachableError) and not call.is_one_of_several:
            # Each of the others would find out as slowly.
            (await self.route(call.target.provider, call.kind)).limiter.stop(error)
        elif isinstance(error, DiskFullError | ObjectStoreError):
            # Its answer could not be stored, so nobody else's could.
            self.stop(NoDiskSpaceError(error.message, error.hint))

    async def _fall_back(self, call: PaidCall[Any], error: StenoflowError) -> bool:
        """Take a suspect answer that is kept: it was paid for. Not where all calls are stopped."""
        if isinstance(error, CallError) and error.scope == "provider":
            return False
        kept = await run_blocking(call.find_fallback)
        if kept is None:
            return False
        await run_blocking(self.context.ledger.accept_suspect, call.job_id, call.index, *kept)
        return True


async def _in_time(call: PaidCall[A], api: AudioApi) -> A:
    """Send a call, and wait for its answer as long as it has patience; what is given up may be charged."""
    try:
        async with asyncio.timeout(call.patience_s) as limit:
            return await call.send(api)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise UnknownOutcomeError(
            f"{call.target} did not answer in {call.patience_s:.0f} s",
            f"deadline_s under [providers.{call.target.provider}] gives it longer",
        ) from error


def _came_of(begun: float, ids: list[str]) -> dict[str, Any]:
    return {"seconds": round(time.monotonic() - begun, 3), "request": " ".join(ids) or None}


async def _settle_error(ledger: Ledger, attempt_id: str, error: BaseException, what: str) -> None:
    """Record a call without a result. One that was broken off here may have been charged too.

    Args:
        ledger: where.
        attempt_id: the call.
        error: what ended it.
        what: names it in the message, where it was broken off.
    """
    if isinstance(error, CallError) and error.charged == "no":
        await run_blocking(ledger.refuse, attempt_id, error)
    elif isinstance(error, StenoflowError):
        await run_blocking(ledger.mark_unknown, attempt_id, error)
    else:
        broken = UnknownOutcomeError(f"{what}: the call was broken off ({type(error).__name__})")
        await run_blocking(ledger.mark_unknown, attempt_id, broken)
