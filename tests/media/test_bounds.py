"""What a hostile file could make a program do ends with that program."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from stenoflow.tasks.media.running import Bounds, Finished, running

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux bounds other processes")


# They are set from outside, a moment after the start: on a busy machine Python was quicker.
_BOUNDED = "import resource, time\nwhile resource.getrlimit(resource.RLIMIT_FSIZE)[0] < 0: time.sleep(0.01)\n"


def end_of(code: str, *args: str, bounds: Bounds) -> Finished:
    with running([sys.executable, "-c", _BOUNDED + code, *args], what="x", bounds=bounds) as run:
        return run.finish()


def test_processor_time_is_bounded() -> None:
    assert end_of("while True: pass", bounds=Bounds(cpu_s=1)).code < 0


def test_memory_is_bounded() -> None:
    finished = end_of("bytearray(3 << 30)", bounds=Bounds(cpu_s=60, memory_bytes=1 << 30))
    assert finished.code == 1
    assert "MemoryError" in finished.said[-1]


def test_what_it_writes_is_bounded(tmp_path: Path) -> None:
    target = tmp_path / "big"
    code = "import sys; open(sys.argv[1], 'wb').write(bytes(1_000_000))"
    assert end_of(code, str(target), bounds=Bounds(cpu_s=60, file_bytes=1_000)).code != 0
    assert target.stat().st_size <= 1_000


def test_its_children_are_bounded_too() -> None:
    child = "subprocess.run([sys.executable, '-c', 'bytearray(3 << 30)'])"
    code = f"import subprocess, sys; sys.exit({child}.returncode)"
    assert end_of(code, bounds=Bounds(cpu_s=60, memory_bytes=1 << 30)).code == 1
