"""Workers are forked from one server, end with their block, and outlive what happens to others."""

from __future__ import annotations

import io
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stenoflow.tasks.media.probe import probe, probing
from stenoflow.tasks.media.worker import Worker
from tests.flows.processes import command_line, descendants
from tests.instrument.recording import write
from tests.instrument.script import script
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("talk") / "talk.mp3", script(3), 3, "-b:a", "64k")


def _server() -> int:
    (server,) = [pid for pid in descendants(os.getpid()) if "_worker_server" in command_line(pid)]
    return server


def test_many_are_read_by_one_server_and_leave_nothing(talk: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(probe, [talk] * 24))
    assert {info.default_stream.demuxed_end_ms for info in found} == {found[0].default_stream.demuxed_end_ms}
    wait_for(lambda: not descendants(_server()))
    assert len(list(Path(f"/proc/{_server()}/fd").iterdir())) < 16


def test_a_server_that_is_gone_is_replaced(talk: Path) -> None:
    probe(talk)
    gone = _server()
    os.kill(gone, signal.SIGKILL)
    assert probe(talk).container == "mp3"
    assert _server() != gone


def test_a_worker_ends_with_its_block(talk: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(_begin, [talk] * 24))
    wait_for(lambda: not descendants(_server()))


def test_a_worker_can_be_killed_while_another_thread_waits_for_its_end() -> None:
    ours, servers = socket.socketpair()
    servers.send((4711).to_bytes(4))
    out, err = (io.FileIO(os.open(os.devnull, os.O_RDONLY)) for _ in range(2))
    with ThreadPoolExecutor(1) as threads, servers, out, err:
        worker = Worker(ours, out, err)
        waiting = threads.submit(worker.wait)
        wait_for(waiting.running)
        worker.kill_group()
        assert servers.recv(1) == b"", "the server is told to kill it"
        servers.send((-9).to_bytes(4, signed=True))
        assert waiting.result() == -9


def _begin(path: Path) -> None:
    with probing(path):
        pass
