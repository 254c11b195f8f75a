"""What holds for every paid call, whatever it asks for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from stenoflow.storage.database.ledger import Request
from stenoflow.storage.errors import BudgetError, DiskFullError
from stenoflow.tasks.api.errors import (
    BillingStoppedError,
    CallError,
    KeyRefusedError,
    SegmentRefusedError,
    UnknownOutcomeError,
    UnreachableError,
)
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.calls.chat import ChatCall, UnusableAnswerError
from stenoflow.tasks.calls.paid_call import NoDiskSpaceError
from stenoflow.tasks.calls.speak import SpeakCall
from tests.calls.desk import KINDS, Desk, obtain, open_desk, other_run
from tests.servers.audio_api import audio_api_server

# What answers a call under whatever name it is asked for, and costs nothing or may have cost something.
FREE = ("429-retry-after-ms", "429", "429-retry-after-zero", "400", "401")
DOUBTFUL = ("500", "502", "reset-after-body", "close-after-body")


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=1_000):
        yield


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One desk for all tests, since each call has a job of its own: a database takes a second to make."""
    with audio_api_server() as server, open_desk(tmp_path_factory.mktemp("shared"), server) as opened:
        yield opened


@pytest.fixture
def desk(shared_desk: Desk) -> Desk:
    """The desk, with an API that has done nothing yet and behaves."""
    shared_desk.reset()
    return shared_desk


every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
async def test_an_answer_is_bought_once_and_reserved_before(desk: Desk, kind: str) -> None:
    call = desk.call(kind)
    assert await obtain(desk, call, call) == [None, None]
    assert desk.billed == [True]
    assert desk.charges(call) == ["reserve", "release", "actual"]
    (attempt,) = desk.attempts(call)
    assert (attempt.state, attempt.cache_key, attempt.activity) == ("ok", call.cache_key, call.activity)
    assert (attempt.provider, attempt.model) == (call.target.provider, call.target.model)
    assert call.cache_key in desk.context.ledger.answered([call.cache_key])
    assert desk.state(call) == "done"


@every_kind
async def test_the_same_from_two_jobs_at_once_is_asked_for_once(desk: Desk, kind: str) -> None:
    calls = [desk.call(kind, text="The same for both.") for _ in range(2)]
    assert await obtain(desk, *calls) == [None, None]
    assert len(desk.billed) == len(desk.attempts(*calls)) == 1


@every_kind
async def test_trouble_passes_and_every_bill_is_in_the_ledger(desk: Desk, kind: str) -> None:
    desk.server.script(["429-retry-after-ms", "500", "429-retry-after-zero"])
    call = desk.call(kind)
    assert await obtain(desk, call) == [None]
    assert [attempt.state for attempt in desk.attempts(call)] == ["refused", "unknown", "refused", "ok"]
    assert [kind for kind in desk.charges(call) if kind in {"possible", "actual"}] == ["possible", "actual"]
    assert len(desk.billed) == 4


@every_kind
async def test_what_is_of_unknown_outcome_is_paid_for_twice_at_most(desk: Desk, kind: str) -> None:
    desk.server.mode = "502"
    call = desk.call(kind)
    (error,) = await obtain(desk, call)
    assert isinstance(error, UnknownOutcomeError)
    assert desk.charges(call).count("possible") == len(desk.billed) == 2
    segment = desk.context.catalog.segment(call.job_id, call.index)
    assert (segment.state, segment.error_kind) == ("failed", "api-unknown-outcome")


@every_kind
async def test_what_is_refused_costs_nothing_and_stops_nobody_else(desk: Desk, kind: str) -> None:
    desk.server.script(["400"])
    first, second = desk.call(kind), desk.call(kind)
    limiter = Limiter(1)
    assert [type(error) for error in await obtain(desk, first, limiter=limiter)] == [SegmentRefusedError]
    assert await obtain(desk, second, limiter=limiter) == [None]
    assert desk.charges(first) == ["reserve", "release"]
    assert (desk.state(first), desk.charges(second)[-1]) == ("failed", "actual")


@every_kind
@pytest.mark.parametrize(
    ("mode", "error"), [("401", KeyRefusedError), ("429-insufficient_quota", BillingStoppedError)]
)
async def test_a_provider_that_is_done_with_us_is_not_stormed(
    desk: Desk, kind: str, mode: str, error: type[CallError]
) -> None:
    desk.server.mode = mode
    desk.server.delay_s = 0.02
    calls = [desk.call(kind) for _ in range(10)]
    assert [type(each) for each in await obtain(desk, *calls, at_once=3)] == [error] * 10
    assert len(desk.billed) == len(desk.attempts(*calls)) <= 3


@every_kind
async def test_an_api_out_of_reach_is_found_out_once(
    desk: Desk, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(desk.context.settings, "openai_base_url", f"http://127.0.0.1:{port}/v1")
    limiter, first, second = Limiter(1), desk.call(kind), desk.call(kind)
    for call in (first, second):
        assert [type(error) for error in await obtain(desk, call, limiter=limiter)] == [UnreachableError]
    assert {attempt.state for attempt in desk.attempts(first)} == {"refused"}
    assert (desk.attempts(second), desk.state(second)) == ([], "failed")


async def test_rate_limits_lower_the_number_of_calls_and_lose_none(desk: Desk) -> None:
    desk.server.script(["429-retry-after-ms"] * 4)
    calls = [desk.call(kind) for kind in KINDS for _ in range(3)]
    assert await obtain(desk, *calls) == [None] * len(calls)
    assert sum(desk.billed) == len(calls)
    assert desk.server.peak <= 4


@every_kind
async def test_without_room_in_the_budget_nothing_is_sent(desk: Desk, kind: str) -> None:
    call = desk.call(kind, budget_micro=0)
    (error,) = await obtain(desk, call)
    assert isinstance(error, BudgetError)
    assert (desk.billed, desk.attempts(call), desk.state(call)) == ([], [], "failed")


@every_kind
async def test_what_a_living_run_asks_for_is_waited_for_and_not_paid_again(desk: Desk, kind: str) -> None:
    waiting, theirs = (desk.call(kind, text="Both want it.") for _ in range(2))
    with other_run(desk) as other:
        await waiting.before_attempt()
        begun = other.ledger.begin(
            Request(
                theirs.job_id,
                0,
                theirs.cache_key,
                other.run_id,
                "openai",
                theirs.target.model,
                waiting.reserve(),
                theirs.activity,
            )
        )
        task = asyncio.create_task(obtain(desk, waiting))
        await asyncio.sleep(0.3)
        assert (task.done(), desk.billed) == (False, [])
        other.ledger.refuse(begun, UnreachableError("it never left"))
        # Now it is free to be asked for; the run that waited does so.
        assert await task == [None]
    assert desk.billed == [True]


@every_kind
async def test_a_call_that_is_broken_off_may_have_been_charged(desk: Desk, kind: str) -> None:
    desk.server.mode = "hang"
    call = desk.call(kind)
    task = asyncio.create_task(obtain(desk, call))
    await asyncio.to_thread(desk.wait_for_a_request)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (attempt,) = desk.attempts(call)
    assert (attempt.state, attempt.error_message) == (
        "unknown",
        f"{call.noun} 0: the call was broken off (CancelledError)",
    )
    assert desk.charges(call) == ["reserve", "release", "possible"]


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    st.lists(st.sampled_from([*FREE, *DOUBTFUL, "ok"]), max_size=12),
)
def test_whatever_happens_the_ledger_covers_the_bill(
    shared_desk: Desk, kinds: list[str], faults: list[str]
) -> None:
    desk = shared_desk
    desk.reset()
    desk.server.script(faults)
    calls = [desk.call(kind) for kind in kinds]
    errors = asyncio.run(obtain(desk, *calls, at_once=2))

    assert len(desk.attempts(*calls)) == len(desk.billed)
    for call, error in zip(calls, errors, strict=True):
        states = [attempt.state for attempt in desk.attempts(call)]
        assert "sent" not in states
        assert states.count("unknown") <= 2
        assert (error is None) == ("ok" in states)
        charges = desk.charges(call)
        assert charges.count("reserve") == charges.count("release") == len(states)
        assert charges.count("possible") == states.count("unknown")
    settled = [attempt for attempt in desk.attempts(*calls) if attempt.state in {"ok", "unknown"}]
    assert sum(desk.billed) <= len(settled)


async def test_a_question_is_asked_twice_and_both_answers_are_kept(desk: Desk) -> None:
    call = desk.call("chat")
    assert isinstance(call, ChatCall)
    desk.server.chat.chatter = lambda _: ""
    (error,) = await obtain(desk, call)
    assert isinstance(error, UnusableAnswerError)
    assert "gpt-4o-mini at openai answered 2 times" in error.message
    assert [chat.document.get("temperature") for chat in desk.server.chat.chats] == [None, 0.7]
    assert len(desk.context.ledger.stored_suspects(call.cache_key)) == 2
    assert desk.charges(call).count("actual") == 2


async def test_a_sound_that_is_gone_is_bought_again(desk: Desk) -> None:
    call = desk.call("speech")
    assert isinstance(call, SpeakCall)
    assert await obtain(desk, call) == [None]
    assert call.audio is not None
    desk.context.store.delete(call.audio.key)
    assert await obtain(desk, call) == [None]
    assert len(desk.billed) == 2
    assert desk.context.store.exists(call.audio.key)


async def test_two_strange_answers_are_compared_and_the_better_is_taken(desk: Desk) -> None:
    desk.server.script(["empty-text", "repetition"])
    call = desk.call("transcription")
    assert await obtain(desk, call) == [None]
    assert desk.context.ledger.suspects([call.cache_key]) == {call.cache_key: "repetition"}
    assert [each.values("temperature") for each in desk.server.calls] == [[], ["0.2"]]


async def test_a_doubted_answer_is_taken_where_no_better_one_is_to_be_had(desk: Desk) -> None:
    desk.server.script(["repetition", "400"])
    call = desk.call("transcription")
    assert await obtain(desk, call) == [None]
    assert desk.context.ledger.suspects([call.cache_key]) == {call.cache_key: "repetition"}
    stopped = desk.call("transcription")
    desk.server.script(["repetition", "401"])
    assert [type(error) for error in await obtain(desk, stopped)] == [KeyRefusedError]
    assert desk.state(stopped) == "failed"


async def test_a_full_disk_stops_all_calls(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    call, next_one = desk.call("speech"), desk.call("chat")

    def full(*_: object, **__: object) -> None:
        raise DiskFullError("no space left")

    monkeypatch.setattr(type(desk.context.store), "put_bytes", full)
    limiter = Limiter(1)
    for each, error in ((call, DiskFullError), (next_one, NoDiskSpaceError)):
        assert [type(raised) for raised in await obtain(desk, each, limiter=limiter)] == [error]
    assert desk.charges(call) == ["reserve", "release", "possible"]
    assert desk.attempts(next_one) == []
