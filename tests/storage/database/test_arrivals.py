from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

import pytest

from stenoflow.storage.database.arrivals import Arrivals, arrival_id
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import LEASE, Leases
from tests.storage.database.at_once import at_once
from tests.storage.database.rows import Hands

TALK = ("file:///inbox/talk.mp3", "5-1")
ID = arrival_id(*TALK)
# The hands go on whenever the time is asked for.
_A_MOMENT = timedelta(seconds=20)


@pytest.fixture
def leases(database: Database, hands: Hands) -> Leases:
    return Leases(database, clock=hands)


def arrivals(database: Database, hands: Hands, leases: Leases, run: str) -> Arrivals:
    return Arrivals(database, run, hands, leases)


def test_an_arrival_is_taken_by_one_and_ends_once(database: Database, hands: Hands, leases: Leases) -> None:
    first, second = (arrivals(database, hands, leases, run) for run in ("first", "second"))
    with leases.held("first"), leases.held("second"):
        assert first.take(*TALK)
        assert not second.take(*TALK)
        assert first.ended([ID]) == set()
        first.end(ID, "complete", "job", None)
        assert not first.take(*TALK)
        assert not second.take(*TALK)
    assert second.ended([ID, "another"]) == {ID}


def test_what_a_dead_run_had_taken_is_taken_over(database: Database, hands: Hands, leases: Leases) -> None:
    first, second = (arrivals(database, hands, leases, run) for run in ("first", "second"))
    with leases.held("first"):
        assert first.take(*TALK)
        assert not second.take(*TALK)
        hands.now += LEASE
        assert second.take(*TALK)


def test_what_is_given_back_is_free(database: Database, hands: Hands, leases: Leases) -> None:
    first, second = (arrivals(database, hands, leases, run) for run in ("first", "second"))
    with leases.held("first"), leases.held("second"):
        assert first.take(*TALK)
        second.let_go(ID)
        assert not second.take(*TALK)
        first.let_go(ID)
        assert second.take(*TALK)


def test_what_is_put_off_is_free_and_due_after_as_long_as_it_was_here(
    database: Database, hands: Hands, leases: Leases
) -> None:
    first, second = (arrivals(database, hands, leases, run) for run in ("first", "second"))
    with leases.held("first"), leases.held("second"):
        assert first.take(*TALK)
        hands.now += timedelta(minutes=5)
        second.put_off(ID, "not its own")
        assert first.put_off_before([ID]) == {}
        first.put_off(ID, "over the budget")
        assert first.ended([ID]) == set()
        put_off = second.put_off_before([ID])[ID]
        assert put_off.run_id == "first"
        assert put_off.due_at - hands.now == pytest.approx(timedelta(minutes=5), abs=_A_MOMENT)
        in_hand, last_try = second.is_in_hand(ID)
        assert not in_hand
        assert second.take(*TALK)
        assert first.put_off_before([ID]) == {}
        hands.now += timedelta(days=3)
        second.put_off(ID, "again")
        due_at = second.put_off_before([ID])[ID].due_at
        assert due_at - hands.now == pytest.approx(timedelta(hours=1), abs=_A_MOMENT)
        assert second.is_in_hand(ID)[1] != last_try


def test_what_waits_is_taken_in_order_by_whoever_is_free(
    database: Database, hands: Hands, leases: Leases
) -> None:
    first, second = (arrivals(database, hands, leases, run) for run in ("first", "second"))
    waiting = [(f"file:///inbox/{number}.mp3", "5-1") for number in (3, 1, 2, 4)]
    ids = [arrival_id(*each) for each in waiting]
    addresses = [address for address, _ in waiting]
    with leases.held("first"), leases.held("second"):
        first.expect("these", waiting[:3])
        first.expect("others", waiting[3:])
        assert first.waiting_at({"these"}) == set(addresses[:3])
        assert first.take_next("these", {ids[0]}) == (ids[1], addresses[1])
        assert first.has_waiting("these")
        assert second.take_next("these") == (ids[0], addresses[0])
        second.put_off(ids[0], "over the budget")
        first.end(ids[1], "complete", "job", None)
        assert first.take_next("these") == (ids[2], addresses[2])
        assert second.take_next("these") is None
        # A run that begins again under its id takes what it had; nobody else does.
        assert not any(each.has_waiting("these") for each in (first, second))
        assert first.take_next("these") == (ids[2], addresses[2])
        assert second.waiting_at({"these"}) == {addresses[2]}
        hands.now += LEASE
        assert second.has_waiting("these")
        assert second.take_next("these") == (ids[2], addresses[2])
        first.drop(ids[2])
        assert second.waiting_at({"these"}) == {addresses[2]}
        second.drop(ids[2])
        assert second.waiting_at({"these"}) == set()
        assert second.waiting_at({"these", "others"}) == {addresses[3]}


def test_what_was_put_off_waits_again_once_it_is_expected_again(
    database: Database, hands: Hands, leases: Leases
) -> None:
    first, second = (arrivals(database, hands, leases, run) for run in ("first", "second"))
    waiting = [(f"file:///inbox/{number}.mp3", "5-1") for number in range(4)]
    ids = [arrival_id(*each) for each in waiting]
    with leases.held("first"), leases.held("second"):
        first.expect("before", waiting)
        assert [first.take_next("before", ids[:number])[0] for number in range(3)] == ids[:3]  # type: ignore[index]
        first.put_off(ids[0], "over the budget")
        first.end(ids[1], "complete", "job", None)
        second.expect("again", waiting)
        assert second.put_off_before(ids) == {}
        assert second.take_next("again") == (ids[0], waiting[0][0])
        assert second.take_next("again", {ids[0]}) == (ids[3], waiting[3][0])
        # The one that another has in hand stays where it was.
        assert second.take_next("again", {ids[0], ids[3]}) is None
        assert first.waiting_at({"before"}) == {waiting[2][0]}


def test_one_that_waits_behind_many_in_hand_is_found(
    database: Database, hands: Hands, leases: Leases
) -> None:
    first, second = (arrivals(database, hands, leases, run) for run in ("first", "second"))
    waiting = [(f"file:///inbox/{number}.mp3", "5-1") for number in range(120)]
    first.expect("many", waiting)
    with leases.held("first"), leases.held("second"):
        assert all(first.take_next("many", {arrival_id(*each) for each in waiting[:n]}) for n in range(119))
        assert second.take_next("many") == (arrival_id(*waiting[-1]), waiting[-1][0])


def test_of_many_who_take_the_next_each_gets_another(
    database: Database, hands: Hands, leases: Leases
) -> None:
    waiting = [(f"file:///inbox/{number}.mp3", "5-1") for number in range(8)]
    arrivals(database, hands, leases, "0").expect("many", waiting)

    def take_all(run: int) -> list[str]:
        mine, taken = arrivals(database, hands, leases, str(run)), list[str]()
        while (found := mine.take_next("many", taken)) is not None:
            taken.append(found[0])
        return taken

    with ExitStack() as stack:
        for run in range(4):
            stack.enter_context(leases.held(str(run)))
        taken = at_once(4, take_all)
    assert sorted(id_ for each in taken for id_ in each) == sorted(arrival_id(*each) for each in waiting)


def test_two_looks_at_once_that_find_the_same_do_not_lock_each_other_out(
    database: Database, hands: Hands, leases: Leases
) -> None:
    waiting = [(f"file:///inbox/{number}.mp3", "5-1") for number in range(600)]

    def expect(run: int) -> None:
        found = waiting[:: 1 if run else -1]
        arrivals(database, hands, leases, str(run)).expect(str(run), found)

    at_once(2, expect)
    mine = arrivals(database, hands, leases, "mine")
    # The later one has them all, in its order.
    [batch] = [each for each in ("0", "1") if mine.has_waiting(each)]
    assert len(mine.waiting_at({batch})) == len(waiting)
    taken = mine.take_next(batch)
    assert taken is not None
    assert taken[1] == waiting[0 if batch == "1" else -1][0]


def test_another_content_at_an_address_is_known(database: Database, hands: Hands, leases: Leases) -> None:
    mine = arrivals(database, hands, leases, "mine")
    mine.take(*TALK)
    assert mine.taken_before({TALK[0]: TALK[1]}) == set()
    assert mine.taken_before({TALK[0]: "6-2", "file:///inbox/other.mp3": "5-1"}) == {TALK[0]}
    mine.take("file:///inbox/said.mp3", "5-1 options that cannot be used")
    assert mine.taken_before({"file:///inbox/said.mp3": "5-1"}) == set()


def test_new_content_at_an_address_is_another_arrival(
    database: Database, hands: Hands, leases: Leases
) -> None:
    mine = arrivals(database, hands, leases, "mine")
    assert mine.take(*TALK)
    mine.end(ID, "refused", None, "no \0 sound")
    assert mine.take(TALK[0], "6-2")


def test_of_many_who_take_one_gets_it(database: Database, hands: Hands, leases: Leases) -> None:
    with ExitStack() as stack:
        for run in range(8):
            stack.enter_context(leases.held(str(run)))
        taken = at_once(8, lambda run: arrivals(database, hands, leases, str(run)).take(*TALK))
    assert sum(taken) == 1


def test_many_are_asked_for_at_once(database: Database, hands: Hands, leases: Leases) -> None:
    mine = arrivals(database, hands, leases, "mine")
    names = [str(number) for number in range(1_200)]
    for name in names[::300]:
        mine.take(name, "")
        mine.end(arrival_id(name, ""), "complete", None, None)
    assert mine.ended([arrival_id(name, "") for name in names]) == {
        arrival_id(name, "") for name in names[::300]
    }
