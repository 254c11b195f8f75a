"""What is asked for at each scrape: the state of the database, read there and kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from storage.database.metrics import Snapshot
from storage.errors import StenoflowError
from tasks.metrics.families import families, up

# Reading takes seconds where there are millions of charges: it must not be all that the database does.
_REST_S = 15.0
_REST_FACTOR = 9

PATIENCE_S = 8.0
"""Prometheus gives a scrape up after 10 s, and would then know nothing at all."""


class DatabaseCollector(Collector):
    """Answers scrapes, from any thread. It keeps no counts of its own: all of them are in the database.

    Args:
        read: takes a snapshot; may raise StenoflowError, or hang.
        say: told why the database does not answer, once as long as the reason stays the same.
        patience_s: how long a scrape waits for a reading.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[], Snapshot],
        say: Callable[[str], object],
        *,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._say = say
        self._patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._reading: Future[Snapshot] | None = None
        self._good_until = 0.0
        self._complaint = ""

    def collect(self) -> Iterator[Metric]:
        """Yield all families; only ``stenoflow_database_up`` while the database does not answer."""
        snapshot = self._latest()
        yield up(is_up=snapshot is not None)
        if snapshot is not None:
            yield from families(snapshot)

    def _latest(self) -> Snapshot | None:
        try:
            snapshot = self._begun().result(self._patience_s)
        except TimeoutError:
            self._complain(f"the database did not answer in {self._patience_s:g} s")
        except StenoflowError as error:
            self._complain(str(error))
        else:
            self._complaint = ""
            return snapshot
        return None

    def _begun(self) -> Future[Snapshot]:
        """Return the reading that is under way or still good, or begin one: there are never two at once."""
        with self._lock:
            if self._reading is None or (self._reading.done() and self._clock() >= self._good_until):
                self._reading = Future()
                # Not one of a pool: the program must be able to end while the database hangs.
                threading.Thread(target=self._fulfil, args=(self._reading,), daemon=True).start()
            return self._reading

    def _fulfil(self, reading: Future[Snapshot]) -> None:
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
