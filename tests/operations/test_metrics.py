"""What is measured is named as Prometheus advises, and exact to the micro-unit.

Readings are bounded, never two at once, kept for a while, and back when the database is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from stenoflow.storage.database.charges import Scope
from stenoflow.storage.database.metrics import Calls, Entries, MetricsSnapshot
from stenoflow.storage.errors import DatabaseError
from stenoflow.tasks.operations.metrics import DatabaseCollector

WHISPER = ("openai", "whisper-1")
SNAPSHOT = MetricsSnapshot(
    recordings=2,
    jobs={"new": 0, "complete": 2},
    segments={"done": 7, "cut": 0},
    calls=(Calls(*WHISPER, "ok", None, 5), Calls(*WHISPER, "unknown", "api-unknown-outcome", 1)),
    entries=(
        Entries(*WHISPER, "USD", "reserve", "ms", 6, 0, 360_000, 3_600_000),
        Entries(*WHISPER, "USD", "release", "ms", 5, 0, -300_000, -3_000_000),
        Entries(*WHISPER, "USD", "actual", "ms", 4, 0, 240_000, 2_400_500),
        Entries(*WHISPER, "EUR", "actual", "ms", 1, 1, 0, 600_000),
        Entries("openai", 'tts"1\n', "USD", "actual", "character", 1, 0, 15, 1_000),
        Entries(*WHISPER, "USD", "possible", "ms", 2, 0, 120_000, 1_200_000),
        Entries(*WHISPER, "USD", "reconcile", "ms", 1, 0, -60_000, -600_000),
    ),
    exposure_micro={"USD": 360_001},
    budgets=((Scope("2026-03"), 360_001, 5_000_000), (Scope("2026-03", "board"), 7, 8)),
    oldest_job_s=12.5,
    oldest_arrival_s=0.0,
    runs=3,
)


def scrape(snapshot: MetricsSnapshot | None) -> str:
    def read() -> MetricsSnapshot:
        if snapshot is None:
            raise DatabaseError("away")
        return snapshot

    registry = CollectorRegistry()
    registry.register(DatabaseCollector(read, lambda _: None))
    return generate_latest(registry).decode()


@pytest.fixture(scope="module")
def families() -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(scrape(SNAPSHOT))}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("stenoflow_database_up", {}, 1),
        ("stenoflow_recordings", {}, 2),
        ("stenoflow_jobs", {"state": "complete"}, 2),
        ("stenoflow_jobs", {"state": "new"}, 0),
        ("stenoflow_segments", {"state": "done"}, 7),
        (
            "stenoflow_calls",
            {"provider": "openai", "model": "whisper-1", "state": "unknown", "error": "api-unknown-outcome"},
            1,
        ),
        ("stenoflow_calls_begun_total", {"provider": "openai", "model": "whisper-1"}, 6),
        (
            "stenoflow_transcribed_audio_seconds_total",
            {"provider": "openai", "model": "whisper-1"},
            3_000.5,
        ),
        ("stenoflow_transcribed_audio_seconds_total", {"provider": "openai", "model": 'tts"1\n'}, 0),
        ("stenoflow_spoken_characters_total", {"provider": "openai", "model": 'tts"1\n'}, 1_000),
        ("stenoflow_unpriced_calls_total", {"provider": "openai", "model": "whisper-1"}, 1),
        ("stenoflow_spend_total", {"provider": "openai", "model": "whisper-1", "currency": "USD"}, 0.24),
        ("stenoflow_spend_total", {"provider": "openai", "model": "whisper-1", "currency": "EUR"}, 0),
        ("stenoflow_spend_possible", {"provider": "openai", "model": "whisper-1", "currency": "USD"}, 0.06),
        ("stenoflow_spend_reserved", {"provider": "openai", "model": "whisper-1", "currency": "USD"}, 0.06),
        ("stenoflow_month_exposure", {"currency": "USD"}, 0.360001),
        ("stenoflow_budget_exposure_usd", {"budget": "month", "tag": ""}, 0.360001),
        ("stenoflow_budget_limit_usd", {"budget": "tag", "tag": "board"}, 0.000008),
        ("stenoflow_oldest_open_job_age_seconds", {}, 12.5),
        ("stenoflow_oldest_open_arrival_age_seconds", {}, 0),
        ("stenoflow_runs_alive", {}, 3),
    ],
)
def test_a_sample(families: dict[str, Metric], name: str, labels: dict[str, str], value: float) -> None:
    samples = [sample for family in families.values() for sample in family.samples if sample.name == name]
    assert [sample.value for sample in samples if sample.labels == labels] == [value]


def test_names_are_as_prometheus_advises(families: dict[str, Metric]) -> None:
    assert len(families) > 15
    for family in families.values():
        assert family.name.startswith("stenoflow_")
        assert len(family.documentation) > 10
        assert all(sample.name.endswith("_total") == (family.type == "counter") for sample in family.samples)
        assert not family.name.endswith(("_ms", "_micro", "_count"))


def test_a_database_that_is_away_is_all_that_is_told() -> None:
    (family,) = text_string_to_metric_families(scrape(None))
    assert [(sample.name, sample.value) for sample in family.samples] == [("stenoflow_database_up", 0)]


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

    def read(self) -> MetricsSnapshot:
        self.readings += 1
        self.go_on.wait(LONG_S)
        self.now += self.takes_s
        if self.away is not None:
            raise self.away
        return SNAPSHOT

    def collector(self, timeout_s: float = LONG_S) -> DatabaseCollector:
        return DatabaseCollector(self.read, self.said.append, timeout_s=timeout_s, clock=lambda: self.now)


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
    collector = base.collector(timeout_s=0.05)
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
