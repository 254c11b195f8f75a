"""Over a real socket: signed, sent again where that helps, and never for long."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import stamina

from stenoflow.tasks.operations.webhooks import (
    DeliveryQueue,
    Event,
    EventType,
    GoneError,
    Limits,
    UndeliveredError,
    open_sender,
)
from stenoflow.tasks.settings import Endpoint
from tests.servers.webhook import SECRET, WebhookServer, webhook_server

# Longer than any test takes but one that hangs.
NEVER_S = 3600.0
PATIENT = Limits(tries=3, try_s=NEVER_S, total_s=NEVER_S)
# A try that a receiver does not answer is over soon; so may be one of a machine that is busy.
QUICK = Limits(tries=100, try_s=0.3, total_s=NEVER_S)
TRIES = 3


@pytest.fixture
def receiver() -> Iterator[WebhookServer]:
    with webhook_server() as server, stamina.set_testing(testing=True, attempts=TRIES):
        yield server


def event(of: str = "job 1", kind: EventType = EventType.FAILED) -> Event:
    return Event(kind, of, "run 1", datetime(2026, 3, 14, tzinfo=UTC), {"source": "file:///café \ud83d.mp3"})


async def send(
    receiver: WebhookServer, *events: Event, url: str | None = None, limits: Limits = PATIENT
) -> None:
    async with open_sender(Endpoint(url or receiver.url, SECRET), limits) as sender:
        for each in events:
            await sender.send(each)


async def test_an_event_is_signed_and_says_what_happened(receiver: WebhookServer) -> None:
    await send(receiver, event())
    (taken,) = receiver.taken
    assert taken.signed
    assert taken.headers["content-type"] == "application/json"
    assert taken.event == {
        "type": "recording.failed",
        "timestamp": "2026-03-14T00:00:00Z",
        "data": {"source": "file:///café \ud83d.mp3", "run": "run 1"},
    }


async def test_another_secret_does_not_verify() -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    with webhook_server(other) as receiver:
        await send(receiver, event())
        assert [each.signed for each in receiver.taken] == [False]


@pytest.mark.parametrize("passing", ["500", "503", "429", "408"])
async def test_it_is_sent_again_under_the_same_id_until_it_is_taken(
    receiver: WebhookServer, passing: str
) -> None:
    receiver.script([passing, passing])
    await send(receiver, event())
    assert len(receiver.deliveries) == 3
    assert {each.id for each in receiver.deliveries} == {event().id}
    assert all(each.signed for each in receiver.deliveries)
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_it_is_sent_again_under_the_same_id_to_one_that_does_not_answer(
    receiver: WebhookServer, fault: str
) -> None:
    receiver.script([fault, fault])
    with stamina.set_testing(testing=True, attempts=QUICK.tries):
        await send(receiver, event(), limits=QUICK)
    assert {each.id for each in receiver.deliveries} == {event().id}
    assert all(each.signed for each in receiver.deliveries)
    # What was taken too late, for all that the sender knows, is sent again.
    assert receiver.taken == receiver.deliveries[2:]
    assert receiver.taken


@pytest.mark.parametrize("refusal", ["400", "401", "404"])
async def test_what_will_not_change_is_not_tried_again(receiver: WebhookServer, refusal: str) -> None:
    receiver.mode = refusal
    with pytest.raises(UndeliveredError, match=refusal):
        await send(receiver, event())
    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize("redirect", ["301", "302", "307", "308"])
async def test_redirects_are_not_followed(receiver: WebhookServer, redirect: str) -> None:
    receiver.mode = redirect
    with pytest.raises(UndeliveredError, match="redirects are not followed"):
        await send(receiver, event())
    assert (len(receiver.deliveries), receiver.elsewhere) == (1, 0)


@pytest.mark.parametrize("fault", ["hang", "drip", "500"])
async def test_trying_ends(receiver: WebhookServer, fault: str) -> None:
    receiver.mode = fault
    with pytest.raises(UndeliveredError):
        await send(receiver, event(), limits=Limits(tries=TRIES, try_s=0.3, total_s=NEVER_S))
    assert receiver.taken == []


async def test_all_tries_together_have_a_deadline(receiver: WebhookServer) -> None:
    receiver.mode = "hang"
    with pytest.raises(UndeliveredError, match="in time"):
        await send(receiver, event(), limits=Limits(tries=3, try_s=NEVER_S, total_s=0.2))


async def test_nobody_there_is_said_without_the_address(receiver: WebhookServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/hooks/path-canary?token=query-canary"
    with pytest.raises(UndeliveredError) as caught:
        await send(receiver, event(), url=url)
    assert "127.0.0.1" in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_gone_is_gone(receiver: WebhookServer) -> None:
    receiver.mode = "410"
    with pytest.raises(GoneError):
        await send(receiver, event())
    assert len(receiver.deliveries) == 1


async def _courier(receiver: WebhookServer, events: list[Event], timeout_s: float = NEVER_S) -> list[str]:
    said: list[str] = []
    async with open_sender(Endpoint(receiver.url, SECRET), PATIENT) as sender:
        queue = DeliveryQueue(sender.send, said.append)
        for each in events:
            queue.take(each)
        await queue.close(timeout_s)
    return said


async def test_a_courier_delivers_all_in_order_and_each_once(receiver: WebhookServer) -> None:
    receiver.script(["200", "500"])
    said = await _courier(receiver, [event("a"), event("b"), event("a"), event("c")])
    assert [each.id for each in receiver.taken] == [event(of).id for of in "abc"]
    assert said == []


async def test_what_is_not_taken_is_said_and_the_next_goes_out(receiver: WebhookServer) -> None:
    receiver.script(["400"])
    said = await _courier(receiver, [event("a"), event("b")])
    assert [each.id for each in receiver.taken] == [event("b").id]
    assert len(said) == 1
    assert "recording.failed of a" in said[0]


async def test_after_410_nothing_more_is_sent(receiver: WebhookServer) -> None:
    receiver.mode = "410"
    said = await _courier(receiver, [event("a"), event("b"), event("c")])
    assert len(receiver.deliveries) == 1
    assert len(said) == 1


async def test_the_end_does_not_wait_for_a_receiver_that_hangs(receiver: WebhookServer) -> None:
    receiver.mode = "hang"
    said: list[str] = []
    async with open_sender(Endpoint(receiver.url, SECRET), PATIENT) as sender:
        queue = DeliveryQueue(sender.send, said.append)
        for of in "abc":
            queue.take(event(of))
        await queue.close(0.2)
    assert [of for of in "abc" if any(f"of {of}:" in line for line in said)] == ["a", "b", "c"]


async def test_a_fault_of_our_own_does_not_end_the_deliveries() -> None:
    sent: list[str] = []

    async def send_(each: Event) -> None:
        if each.of == "a":
            raise RuntimeError("canary")
        sent.append(each.of)

    said: list[str] = []
    queue = DeliveryQueue(send_, said.append)
    queue.take(event("a"))
    queue.take(event("b"))
    await queue.close(NEVER_S)
    assert sent == ["b"]
    assert "RuntimeError" in said[0]
    assert "canary" not in said[0]


async def test_a_receiver_that_is_away_fills_no_memory() -> None:
    async def never(_: Event) -> None:
        await asyncio.Event().wait()

    said: list[str] = []
    queue = DeliveryQueue(never, said.append)
    for number in range(3_000):
        queue.take(event(str(number)))
    assert 1_900 < len(said) < 3_000
    await queue.close(0)
    assert len(said) == 3_000
