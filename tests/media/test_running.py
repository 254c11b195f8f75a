from __future__ import annotations

import os
import sys
import threading
from collections import deque
from pathlib import Path

import pytest

from stenoflow.tasks.errors import MediaError
from stenoflow.tasks.media.running import Bounds, OverdueError, Running, running
from tests.waiting import wait_for

BOUNDS = Bounds(cpu_s=60, file_bytes=100_000_000)
FOREVER = "import time; time.sleep(600)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def gone(pid: int) -> bool:
    """Ended, and not waiting for us to take note; an orphan may wait for its new parent."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z" and int(parent) != os.getpid()


def with_grandchild(run: Running) -> tuple[int, int]:
    return run.pid, int(run.read(8))


PARENT = (
    "import subprocess, sys, time\n"
    f"child = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
    "sys.stdout.write(f'{child.pid:08d}'); sys.stdout.flush(); time.sleep(600)"
)


def test_what_is_read_and_written_is_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_000
    code = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, open(sys.argv[1], 'wb'))"
    with running(
        python("import sys; sys.stdout.buffer.write(b'x' * 3_000_001)"), what="x", bounds=BOUNDS, reads=True
    ) as run:
        assert [len(run.read(2_000_000)), len(run.read(2_000_000)), len(run.read(1))] == [
            2_000_000,
            1_000_001,
            0,
        ]
        assert run.finish().code == 0
    target = tmp_path / "copy"
    with running([*python(code), str(target)], what="x", bounds=BOUNDS, writes=True) as run:
        run.write(data)
        assert run.finish().code == 0
    assert target.read_bytes() == data


def test_leaving_the_block_ends_the_whole_group() -> None:
    with running(python(PARENT), what="x", bounds=BOUNDS, reads=True) as run:
        pids = with_grandchild(run)
    wait_for(lambda: all(map(gone, pids)))


def test_an_error_in_the_block_ends_it_too() -> None:
    pids: list[int] = []

    def interrupted() -> None:
        with running(python(PARENT), what="x", bounds=BOUNDS, reads=True) as run:
            pids.extend(with_grandchild(run))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(pids) == 2
    wait_for(lambda: all(map(gone, pids)))


def test_another_thread_can_stop_a_read() -> None:
    with running(python(FOREVER), what="x", bounds=BOUNDS, reads=True) as run:
        threading.Timer(0.2, run.stop).start()
        assert run.read(10) == b""
        assert run.finish().code == -9


def test_a_silent_program_is_stopped_at_its_deadline() -> None:
    with running(python(FOREVER), what="talk.mp3", bounds=BOUNDS, reads=True, stall_s=0.3) as run:
        with pytest.raises(OverdueError, match=r"talk\.mp3.*too long"):
            run.read(1)
        assert run.finish().code == -9


def test_a_busy_program_is_stopped_at_the_deadline_of_the_whole() -> None:
    busy = "import sys\nwhile True: sys.stdout.write('x' * 1000)"
    with (
        running(python(busy), what="x", bounds=BOUNDS, reads=True, deadline_s=0.5) as run,
        pytest.raises(OverdueError),
    ):
        deque(iter(lambda: run.read(100_000), b""), maxlen=0)


def test_a_program_that_takes_nothing_is_stopped() -> None:
    with (
        running(python(FOREVER), what="x", bounds=BOUNDS, writes=True, stall_s=0.3) as run,
        pytest.raises(OverdueError),
    ):
        run.write(bytes(10_000_000))


def test_a_program_that_does_not_end_is_stopped() -> None:
    with running(python(FOREVER), what="x", bounds=BOUNDS, stall_s=0.3) as run, pytest.raises(OverdueError):
        run.finish()


def test_a_flood_of_complaints_neither_blocks_nor_fills_the_memory() -> None:
    flood = "import sys\nfor n in range(100_000): sys.stderr.write(f'complaint {n}\\n')"
    with running(python(flood), what="x", bounds=BOUNDS) as run:
        finished = run.finish()
    assert finished.lines == 100_000
    assert finished.said[-1] == "complaint 99999"
    assert len(finished.said) <= 20


def test_a_line_without_an_end_is_kept_short() -> None:
    with running(python("import sys; sys.stderr.write('x' * 5_000_000)"), what="x", bounds=BOUNDS) as run:
        finished = run.finish()
    assert sum(map(len, finished.said)) <= 20 * 500


def test_a_program_that_closes_its_input_says_why() -> None:
    dies = "import sys; sys.exit('no room for it')"
    with (
        running(python(dies), what="x", bounds=BOUNDS, writes=True) as run,
        pytest.raises(MediaError, match="no room for it"),
    ):
        run.write(bytes(10_000_000))


def test_a_program_that_is_not_there() -> None:
    with (
        pytest.raises(MediaError, match="no-such-program could not be started"),
        running(["no-such-program"], what="x", bounds=BOUNDS),
    ):
        pass


def test_nothing_stays_open() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(5):
        with running(python("print('x')"), what="x", bounds=BOUNDS, reads=True, writes=True) as run:
            run.read(1)
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("stderr")]
