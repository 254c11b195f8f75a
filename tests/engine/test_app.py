"""Serving on an address."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from stenoflow.tasks.engine.app import serve
from stenoflow.tasks.engine.engine import open_engine
from stenoflow.tasks.errors import SettingsError

_PROGRAM = """
from stenoflow.tasks.engine.engine import open_engine
from stenoflow.tasks.engine.app import serve
serve(open_engine(), port=0, on_ready=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


def test_it_says_where_it_is_and_ends_in_order_on_ctrl_c() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert httpx.get(f"{url}/models").json()["object"] == "list"
        server.send_signal(signal.SIGINT)
        rest, complaints = server.communicate(timeout=30)
    assert (rest, complaints, server.returncode) == ("ended\n", "", 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - it must refuse
def test_it_is_not_open_to_others_without_a_key(host: str) -> None:
    with pytest.raises(SettingsError, match="open to everyone"):
        serve(open_engine(), host=host)


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=str(port)):
            serve(open_engine(), port=port)
