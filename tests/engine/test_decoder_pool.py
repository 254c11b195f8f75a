"""Decoder processes: started when needed, replaced when they die, gone when the engine is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stenoflow.tasks.engine.decoder_pool import DecoderPool
from stenoflow.tasks.errors import EngineError

ONE_SECOND = bytes(32_000)
TIMEOUT_S = 30

# An engine that decodes half a minute of noise (many seconds of work) and says which processes do it.
_PROGRAM = """
import random, signal, sys, time
# Whoever runs the tests in the background has SIGINT ignored, and it is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
from stenoflow.tasks.engine.decoder_pool import DecoderPool
pool = DecoderPool(2)
jobs = [pool.submit(random.Random(seed).randbytes(2 * 16_000 * 30)) for seed in (1, 2)]
while len(pool.pids) < 2 or not all(job.running() or job.done() for job in jobs):
    time.sleep(0.01)
print(*pool.pids, flush=True)
time.sleep(600)
"""


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(1)
    yield pool
    pool.close()


def _wait_until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _runs(pid: int) -> bool:
    """Tell whether a process lives; one that is dead and not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] not in {"Z", "X"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; elsewhere they end after their chunk")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_their_engine_in_the_middle_of_a_decode(sign: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(_runs, pids))
        parent.send_signal(sign)
        parent.wait()
    assert _wait_until(lambda: not any(map(_runs, pids)))


def test_a_process_that_dies_is_replaced_and_its_chunk_decoded(pool: DecoderPool) -> None:
    assert isinstance(pool.submit(ONE_SECOND).result(TIMEOUT_S), list)
    (first,) = pool.pids
    os.kill(first, signal.SIGKILL)
    assert isinstance(pool.submit(ONE_SECOND).result(TIMEOUT_S), list)
    (second,) = pool.pids
    assert second != first


def test_a_chunk_over_which_two_processes_die_fails(pool: DecoderPool) -> None:
    job = pool.submit(bytes(32_000 * 3600))
    killed: set[int] = set()

    def kill_another() -> bool:
        for pid in set(pool.pids) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        return job.done()

    assert _wait_until(kill_another)
    with pytest.raises(EngineError, match="twice"):
        job.result()
    assert isinstance(pool.submit(ONE_SECOND).result(TIMEOUT_S), list), "the next chunk is heard again"


def test_nothing_runs_before_it_is_needed_and_start_runs_all() -> None:
    pool = DecoderPool(2)
    assert pool.pids == []
    pool.start()
    assert _wait_until(lambda: len(pool.pids) == 2)
    pids = pool.pids
    pool.close()
    assert not any(map(_runs, pids))


def test_closing_ends_what_is_queued(pool: DecoderPool) -> None:
    jobs = [pool.submit(bytes(32_000 * 600)) for _ in range(3)]
    pool.close()
    for job in jobs:
        with pytest.raises(EngineError):
            job.result(TIMEOUT_S)
    with pytest.raises(EngineError, match="closed"):
        pool.submit(ONE_SECOND)


def test_a_cancelled_chunk_is_not_decoded(pool: DecoderPool) -> None:
    first, second, third = (pool.submit(ONE_SECOND) for _ in range(3))
    assert second.cancel()
    third.result(TIMEOUT_S)
    assert first.done()
    assert second.cancelled()
