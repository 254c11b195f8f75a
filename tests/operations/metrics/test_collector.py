"""Readings: bounded, never two at once, kept for a while, and back when the database is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from stenoflow.storage.database.metrics import Snapshot
from stenoflow.storage.errors import DatabaseError
from stenoflow.tasks.operations.metrics import DatabaseCollector
from tests.operations.metrics.test_families import SNAPSHOT

LONG_S = 60.0


class Base:
    """A database that can be away, slow, or hang."""

    def __init__(self) -> None:
        self.now = 0.0
        self.takes_s = 0.0
        self.away: Exception | None = None
        self.readings = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.said: list[str] = []

    def read(self) -> Snapshot:
        self.readings += 1
        self.go_on.wait(LONG_S)
        self.now += self.takes_s
        if self.away is not None:
            raise self.away
        return SNAPSHOT

    def collector(self, patience_s: float = LONG_S) -> DatabaseCollector:
        return DatabaseCollector(self.read, self.said.append, patience_s=patience_s, clock=lambda: self.now)


@pytest.fixture
def base() -> Iterator[Base]:
    base = Base()
    yield base
    base.go_on.set()


def is_up(collector: DatabaseCollector) -> bool:
    families = list(collector.collect())
    up = families[0].samples[0]
    assert up.name == "stenoflow_database_up"
    assert (len(families) > 1) == bool(up.value)
    return bool(up.value)


@pytest.mark.parametrize(("takes_s", "kept_s"), [(0.1, 15), (4.0, 36)])
def test_a_reading_is_kept_the_longer_the_longer_it_took(base: Base, takes_s: float, kept_s: float) -> None:
    base.takes_s = takes_s
    collector = base.collector()
    assert is_up(collector)
    base.now += kept_s - 0.5
    assert is_up(collector)
    assert base.readings == 1
    base.now += 1.0
    assert is_up(collector)
    assert base.readings == 2


def test_a_database_that_is_away_is_asked_each_time_and_complained_of_once(base: Base) -> None:
    collector = base.collector()
    base.away = DatabaseError("the server is away")
    assert [is_up(collector) for _ in range(3)] == [False] * 3
    assert base.readings == 3
    assert base.said == ["the server is away"]
    base.away = None
    assert is_up(collector)
    base.away, base.now = DatabaseError("the server is away"), base.now + 100
    assert not is_up(collector)
    assert len(base.said) == 2


def test_a_database_that_hangs_holds_up_no_scrape_and_is_asked_once(base: Base) -> None:
    base.go_on.clear()
    collector = base.collector(patience_s=0.05)
    assert [is_up(collector) for _ in range(3)] == [False] * 3
    assert base.readings == 1
    assert len(base.said) == 1
    base.go_on.set()
    assert is_up(base.collector())


def test_scrapes_at_once_share_a_reading(base: Base) -> None:
    base.go_on.clear()
    collector = base.collector()
    with ThreadPoolExecutor(8) as pool:
        scrapes = [pool.submit(is_up, collector) for _ in range(8)]
        base.go_on.set()
        assert all(scrape.result() for scrape in scrapes)
    assert base.readings == 1


def test_a_fault_of_our_own_is_not_taken_for_an_absence(base: Base) -> None:
    base.away = RuntimeError("a fault")
    with pytest.raises(RuntimeError, match="a fault"):
        list(base.collector().collect())
