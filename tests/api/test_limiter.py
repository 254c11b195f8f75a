from __future__ import annotations

import asyncio

import pytest

from stenoflow.tasks.api.errors import (
    CallError,
    KeyRefusedError,
    RateLimitedError,
    SegmentRefusedError,
    UnknownOutcomeError,
)
from stenoflow.tasks.api.limiter import Limiter


class Caller:
    """Calls through a limiter and counts who is inside."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.inside = 0
        self.peak = 0
        self.calls = 0

    async def call(self, error: Exception | None = None) -> None:
        async with self.limiter.slot():
            self.calls += 1
            self.inside += 1
            self.peak = max(self.peak, self.inside)
            await asyncio.sleep(0.001)
            self.inside -= 1
            if error is not None:
                raise error


async def test_no_more_than_the_limit_at_once_and_everyone_comes_through() -> None:
    caller = Caller(Limiter(3))

    await asyncio.gather(*(caller.call() for _ in range(20)))

    assert (caller.peak, caller.calls) == (3, 20)


async def test_an_error_of_the_provider_stops_those_who_wait_and_those_who_come() -> None:
    caller = Caller(Limiter(1))
    refused = KeyRefusedError("no such key", "look", 401)

    results = await asyncio.gather(
        caller.call(refused), *(caller.call() for _ in range(9)), return_exceptions=True
    )

    assert caller.calls == 1
    assert [str(result) for result in results] == [str(refused)] * 10
    with pytest.raises(KeyRefusedError):
        await caller.call()


async def test_calls_in_flight_finish_when_the_provider_stops() -> None:
    caller = Caller(Limiter(2))
    flying = asyncio.create_task(caller.call())
    await asyncio.sleep(0)
    caller.limiter.stop(KeyRefusedError("no"))

    await flying


@pytest.mark.parametrize("error", [SegmentRefusedError("x"), UnknownOutcomeError("x"), ValueError("ours")])
async def test_an_error_of_one_segment_stops_no_one(error: Exception) -> None:
    caller = Caller(Limiter(1))

    with pytest.raises(type(error)):
        await caller.call(error)
    await caller.call()

    assert caller.calls == 2


async def test_the_first_error_stays() -> None:
    limiter = Limiter(1)
    limiter.stop(KeyRefusedError("first"))
    limiter.stop(KeyRefusedError("second"))

    with pytest.raises(KeyRefusedError, match="first"):
        async with limiter.slot():
            pass


async def test_each_one_stopped_gets_an_error_of_its_own() -> None:
    limiter = Limiter(1)
    limiter.stop(KeyRefusedError("no"))
    caught: list[CallError] = []
    for _ in range(2):
        with pytest.raises(KeyRefusedError) as each:
            async with limiter.slot():
                pass
        caught.append(each.value)

    assert caught[0] is not caught[1]


async def test_rate_limits_halve_the_limit_and_successes_raise_it_again() -> None:
    caller = Caller(Limiter(8))
    with pytest.raises(RateLimitedError):
        await caller.call(RateLimitedError("x"))
    assert caller.limiter.limit == 4

    for _ in range(40):
        await caller.call()
    assert caller.limiter.limit == 8


async def test_refusals_of_one_burst_halve_it_once() -> None:
    caller = Caller(Limiter(8))

    burst = (caller.call(RateLimitedError("x")) for _ in range(8))
    await asyncio.gather(*burst, return_exceptions=True)

    assert caller.limiter.limit == 4


async def test_the_limit_never_falls_below_one() -> None:
    limiter = Limiter(2)
    for _ in range(5):
        limiter.on_rate_limited(RateLimitedError("x"))

    assert limiter.limit == 1


async def test_no_one_passes_while_the_api_asks_to_wait() -> None:
    limiter = Limiter(4)
    loop = asyncio.get_running_loop()
    start = loop.time()
    limiter.on_rate_limited(RateLimitedError("x", "", 429, 0.2))

    await Caller(limiter).call()

    assert loop.time() - start >= 0.2


async def test_who_would_have_to_wait_too_long_gets_the_refusal_until_then() -> None:
    now = 0.0
    limiter = Limiter(4, timeout_s=60, clock=lambda: now)
    limiter.on_rate_limited(RateLimitedError("come back tomorrow", "", 429, 86_400.0))

    with pytest.raises(RateLimitedError, match="tomorrow"):
        await Caller(limiter).call()

    now = 86_400.0
    await Caller(limiter).call()


async def test_a_caller_that_is_cancelled_leaves_its_place() -> None:
    caller = Caller(Limiter(1))
    first = asyncio.create_task(caller.call())
    waiting = asyncio.create_task(caller.call())
    await asyncio.sleep(0)
    waiting.cancel()
    first.cancel()
    await asyncio.gather(first, waiting, return_exceptions=True)

    await caller.call()


def test_a_gate_for_no_one_is_refused() -> None:
    with pytest.raises(ValueError, match="0 calls"):
        Limiter(0)
