"""Metrics in Prometheus' format, read from the database."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, date, datetime
from datetime import time as clock_time
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from stenoflow.storage.database.costs import CHARACTER, MS
from stenoflow.storage.database.metrics import Calls, Entries, MetricsSnapshot
from stenoflow.storage.database.states import Activity, ChargeKind
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.model_table import UsedModel
from stenoflow.tasks.billing.amounts import MICRO
from stenoflow.tasks.operations.model_list import KIND_OF_ACTIVITY

# Reading takes seconds where there are millions of charges: it must not be all that the database does.
_REST_S = 15.0
_REST_FACTOR = 9

TIMEOUT_S = 8.0
"""Prometheus gives a scrape up after 10 s, and would then know nothing at all."""


class DatabaseCollector(Collector):
    """Answers scrapes, from any thread. It keeps no counts of its own: all of them are in the database.

    Args:
        read: takes a snapshot; may raise StenoflowError, or hang.
        say: told why the database does not answer, once as long as the reason stays the same.
        last_day: tells when a model ends at its provider.
        timeout_s: how long a scrape waits for a reading.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[], MetricsSnapshot],
        say: Callable[[str], object],
        *,
        last_day: Callable[[UsedModel], date | None] = lambda _: None,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._say = say
        self._last_day = last_day
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._reading: Future[MetricsSnapshot] | None = None
        self._good_until = 0.0
        self._complaint = ""

    def collect(self) -> Iterator[Metric]:
        """Yield all families; only ``stenoflow_database_up`` while the database does not answer."""
        snapshot = self._latest()
        yield up(is_up=snapshot is not None)
        if snapshot is not None:
            yield from families(snapshot)
            yield _last_days(snapshot, self._last_day)

    def _latest(self) -> MetricsSnapshot | None:
        try:
            snapshot = self._begun().result(self._timeout_s)
        except TimeoutError:
            self._complain(f"the database did not answer in {self._timeout_s:g} s")
        except StenoflowError as error:
            self._complain(str(error))
        else:
            self._complaint = ""
            return snapshot
        return None

    def _begun(self) -> Future[MetricsSnapshot]:
        """Return the reading that is under way or still good, or begin one: there are never two at once."""
        with self._lock:
            if self._reading is None or (self._reading.done() and self._clock() >= self._good_until):
                self._reading = Future()
                # Not one of a pool: the program must be able to end while the database hangs.
                threading.Thread(target=self._fulfil, args=(self._reading,), daemon=True).start()
            return self._reading

    def _fulfil(self, reading: Future[MetricsSnapshot]) -> None:
        began = self._clock()
        try:
            snapshot = self._read()
        except BaseException as error:  # noqa: BLE001 - raised again where it is asked for
            reading.set_exception(error)
            return
        now = self._clock()
        self._good_until = now + max(_REST_S, _REST_FACTOR * (now - began))
        reading.set_result(snapshot)

    def _complain(self, why: str) -> None:
        with self._lock:
            is_new, self._complaint = why != self._complaint, why
        if is_new:
            self._say(why)


_Labels = tuple[str, ...]
_BY_MODEL: Final = ("provider", "model")
_PAID_TO: Final = ("provider", "model", "currency")


def up(*, is_up: bool) -> Metric:
    """Say whether the database answered."""
    return GaugeMetricFamily("stenoflow_database_up", "Whether the database answered in time.", int(is_up))


def families(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    """Yield the families of a snapshot."""
    yield GaugeMetricFamily(
        "stenoflow_recordings", "Recordings that are known, each content once.", snapshot.recordings
    )
    yield _gauge("stenoflow_jobs", "Jobs by state.", ("state",), _labelled(snapshot.jobs))
    yield _gauge("stenoflow_segments", "Segments by state.", ("state",), _labelled(snapshot.segments))
    yield _gauge(
        "stenoflow_calls",
        "Calls by outcome, of recordings that are not forgotten; unknown: may have been charged.",
        (*_BY_MODEL, "state", "error"),
        {_of_call(calls): calls.count for calls in snapshot.calls},
    )
    yield from _ledger(snapshot)
    yield from _budgets(snapshot)
    yield GaugeMetricFamily(
        "stenoflow_oldest_open_job_age_seconds",
        "Since the oldest job that is new, running or interrupted was opened; 0: there is none.",
        snapshot.oldest_job_s,
    )
    yield GaugeMetricFamily(
        "stenoflow_oldest_open_arrival_age_seconds",
        "Since the oldest recording in a drop folder that has not come to its end arrived; 0: there is none.",
        snapshot.oldest_arrival_s,
    )
    yield GaugeMetricFamily(
        "stenoflow_runs_alive", "Runs of the program that are alive, on all machines.", snapshot.runs
    )


def _ledger(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    entries = snapshot.entries
    yield _counter(
        "stenoflow_calls_begun",
        "Calls that money was reserved for, forgotten recordings' too.",
        _BY_MODEL,
        _sums(entries, _by_model, lambda each: each.count, ChargeKind.RESERVE),
    )
    yield _counter(
        "stenoflow_transcribed_audio_seconds",
        "Audio that was answered and charged; free of charge is charged at 0.",
        _BY_MODEL,
        _sums(entries, _by_model, _transcribed_ms, ChargeKind.ACTUAL, scale=1_000),
    )
    yield _counter(
        "stenoflow_spoken_characters",
        "Text that was spoken and charged.",
        _BY_MODEL,
        _sums(entries, _by_model, _spoken_characters, ChargeKind.ACTUAL),
    )
    yield _counter(
        "stenoflow_unpriced_calls",
        "Calls that were charged at a price that nobody knows; they are missing in the spend.",
        _BY_MODEL,
        _sums(entries, _by_model, lambda each: each.unpriced, ChargeKind.ACTUAL),
    )
    yield _counter(
        "stenoflow_spend",
        "What was charged, in units of the currency.",
        _PAID_TO,
        _sums(entries, _paid_to, _amount, ChargeKind.ACTUAL, scale=MICRO),
    )
    yield _gauge(
        "stenoflow_spend_possible",
        "What lost replies may have cost beside that, in units of the currency.",
        _PAID_TO,
        _sums(entries, _paid_to, _amount, ChargeKind.POSSIBLE, ChargeKind.RECONCILE, scale=MICRO),
    )
    yield _gauge(
        "stenoflow_spend_reserved",
        "What is reserved for calls in flight, in units of the currency.",
        _PAID_TO,
        _sums(entries, _paid_to, _amount, ChargeKind.RESERVE, ChargeKind.RELEASE, scale=MICRO),
    )


def _last_days(snapshot: MetricsSnapshot, last_day: Callable[[UsedModel], date | None]) -> Metric:
    """Say when the models end that were ever paid for, as far as that is announced."""
    used = {
        UsedModel(kind, each.provider, each.model)
        for each in snapshot.entries
        if (kind := KIND_OF_ACTIVITY.get(each.activity)) is not None
    }
    return _gauge(
        "stenoflow_model_last_day_timestamp_seconds",
        "The announced last day of each model in use, its first second (UTC); past, it answers no more.",
        ("kind", "provider", "model"),
        {
            (each.kind, each.provider, each.name): datetime.combine(last, clock_time(), UTC).timestamp()
            for each in used
            if (last := last_day(each)) is not None
        },
    )


def _budgets(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    yield _gauge(
        "stenoflow_month_exposure",
        "What this month's calls (UTC) cost, may have cost, or may yet cost, in units of the currency.",
        ("currency",),
        {(currency,): micro / MICRO for currency, micro in snapshot.exposure_micro.items()},
    )
    of = ("budget", "tag")
    caps = {
        ("tag" if scope.tag else "month", scope.tag): (used, cap) for scope, used, cap in snapshot.budgets
    }
    yield _gauge(
        "stenoflow_budget_exposure_usd",
        "What is used of each budget of this month (UTC).",
        of,
        {labels: used / MICRO for labels, (used, _) in caps.items()},
    )
    yield _gauge(
        "stenoflow_budget_limit_usd",
        "The cap of each budget of this month (UTC).",
        of,
        {labels: cap / MICRO for labels, (_, cap) in caps.items()},
    )


def _sums(
    entries: tuple[Entries, ...],
    labels: Callable[[Entries], _Labels],
    value: Callable[[Entries], int],
    *kinds: ChargeKind,
    scale: int = 1,
) -> Mapping[_Labels, float]:
    """Sum a value of the entries of some kinds, under labels; divided once at the end, so nothing drifts."""
    sums: Counter[_Labels] = Counter()
    for each in entries:
        if each.kind in kinds:
            sums[labels(each)] += value(each)
    return {under: total / scale for under, total in sums.items()}


def _transcribed_ms(entries: Entries) -> int:
    return entries.quantity if entries.unit == MS and entries.activity == Activity.TRANSCRIPTION else 0


def _spoken_characters(entries: Entries) -> int:
    return entries.quantity if entries.unit == CHARACTER else 0


def _amount(entries: Entries) -> int:
    return entries.amount_micro


def _by_model(entries: Entries) -> _Labels:
    return entries.provider, entries.model


def _paid_to(entries: Entries) -> _Labels:
    return entries.provider, entries.model, entries.currency


def _of_call(calls: Calls) -> _Labels:
    return calls.provider, calls.model, calls.state, calls.error_kind or ""


def _labelled(counts: Mapping[str, int]) -> Mapping[_Labels, float]:
    return {(name,): count for name, count in counts.items()}


def _gauge(name: str, text: str, labels: _Labels, values: Mapping[_Labels, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for under, value in sorted(values.items()):
        family.add_metric(under, value)
    return family


def _counter(name: str, text: str, labels: _Labels, values: Mapping[_Labels, float]) -> Metric:
    """Make a counter; its samples are named ``NAME_total``."""
    family = CounterMetricFamily(name, text, labels=labels)
    for under, value in sorted(values.items()):
        family.add_metric(under, value)
    return family
