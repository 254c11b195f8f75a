"""Row drop: many recordings dropped at once, calls of 2 s; what that takes beside the calls themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.bench import product
from tests.bench.api import running_api
from tests.bench.report import Figure, Measured
from tests.bench.scale import Scale
from tests.bench.sources import stereo
from tests.bench.watching import OURS, cpu_s, descendants, name_of, resident_mb

_RECORDINGS = 200
_HOURS = 10 / 60
_CALL_S = 2.0
_CALLS_AT_ONCE = 6
_EVERY_S = 1.0
_SERVER = "Prefect's server"


@dataclass(slots=True)
class Course:
    """A run as it went, looked at once a second.

    Attributes:
        resident_mb: of our process.
        cpu_s: of the processor, by name; that of programs which have ended is in "programs".
    """

    resident_mb: list[float] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)

    def look(self, pid: int) -> None:
        """Look once more."""
        own, ended = cpu_s(pid)
        self.cpu_s[OURS] = own
        self.cpu_s["programs"] = ended
        self.resident_mb.append(resident_mb(pid))
        for child in descendants(pid):
            if name_of(child) == _SERVER:
                self.cpu_s[_SERVER] = cpu_s(child)[0]


def measure_drop(scale: Scale) -> Measured:
    """Ingest a folder of recordings of ten minutes, each with content of its own."""
    recordings = _RECORDINGS if scale.long_hours >= 1 else 10
    course = Course()
    with running_api("swift") as api, product.empty_home() as home:
        inbox = home / "inbox"
        inbox.mkdir()
        content = stereo(_HOURS).read_bytes()
        for number in range(recordings):
            # Another hash, so that nothing is known of it; decoders pass it over.
            (inbox / f"meeting {number}.mp3").write_bytes(content + number.to_bytes(4, "little"))
        with _watching(course) as watch:
            ended = product.transcribe(home, api, inbox, "--looks", "1", command="ingest", watch=watch)
        calls = len(api.take_log())
    return Measured(list(_figures(course, recordings, ended.wall_s)), {"calls": calls, **_raw(course)})


def _figures(course: Course, recordings: int, wall_s: float) -> Iterator[Figure]:
    calls_s = recordings * _CALL_S / _CALLS_AT_ONCE
    cpu_s = sum(course.cpu_s.values())
    quarter = max(1, len(course.resident_mb) // 4)
    first, last = max(course.resident_mb[: 2 * quarter]), max(course.resident_mb[-quarter:])
    yield Figure(f"{recordings} recordings of 10 min: an hour", f"{recordings / wall_s * 3600:.0f}")
    yield Figure("wall time against that of the calls alone", f"{wall_s / calls_s:.2f}")
    yield Figure("processor time against two cores' wall time", f"{cpu_s / 2 / wall_s:.2f}")
    for name, spent in course.cpu_s.items():
        each_s = spent / recordings
        yield Figure(
            f"processor time a recording, {name}", f"{each_s:.2f} s, {each_s / _CALL_S:.0%} of its call"
        )
    memory = f"{first:.0f}, {last:.0f} MB"
    yield Figure("memory, first half and last quarter", memory, "≤ 1.1 of that", last <= 1.1 * first)


def _raw(course: Course) -> dict[str, object]:
    return {"resident_mb": course.resident_mb[::10], "cpu_s": course.cpu_s}


@contextmanager
def _watching(course: Course) -> Iterator[Callable[[int], None]]:
    over = threading.Event()
    threads: list[threading.Thread] = []

    def follow(pid: int) -> None:
        while not over.wait(_EVERY_S):
            # It may end between any two looks.
            with suppress(OSError, ValueError):
                course.look(pid)

    def watch(pid: int) -> None:
        threads.append(threading.Thread(target=follow, args=(pid,), daemon=True))
        threads[0].start()

    try:
        yield watch
    finally:
        over.set()
        for thread in threads:
            thread.join()
