"""A real server of S3, Ceph's radosgw with its store, run from Debian's packages without root's services.

The packages are only unpacked (tests/README.md). All is kept in memory and gone at the end.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from tests.waiting import FOREVER

NAMED_BY = "STENOFLOW_TEST_CEPH"
"""The environment variable that names the folder into which the packages were unpacked."""

_SETTINGS = """
[global]
fsid = {fsid}
run dir = {folder}
log file = {folder}/$name.log
pid file = {folder}/$name.pid
admin socket = {folder}/$name.asok
mon host = v2:{monitor}
mon data = {folder}/mon
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 0
public addr = 127.0.0.1
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd crush chooseleaf type = 0
osd data = {folder}/osd
osd objectstore = memstore
osd class dir = {libraries}/rados-classes
memstore device bytes = 2147483648
plugin dir = {libraries}/ceph
erasure code dir = {libraries}/ceph/erasure-code

[client.rgw]
rgw frontends = beast endpoint={gateway}
rgw data = {folder}/gateway
rgw thread pool size = 32
"""


def packages() -> Path | None:
    """Return the folder of the unpacked packages; None where the environment names none."""
    named = os.environ.get(NAMED_BY)
    return Path(named).resolve() if named else None


@contextmanager
def start_ceph(root: Path, access_key: str, secret_key: str) -> Iterator[str]:
    """Run monitor, store and gateway for the block, with one user; gives the endpoint's URL.

    Args:
        root: where the packages were unpacked.
        access_key: the user's.
        secret_key: the user's.

    Raises:
        FileNotFoundError: there is no radosgw in the folder.
        TimeoutError: it never answered.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ceph-")))
        ceph = _Ceph(root, folder, f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}")
        ceph.prepare()
        stack.enter_context(ceph.started("ceph-mon", "-f", "-i", "a"))
        device = str(uuid4())
        ceph.run("ceph", "osd", "new", device)
        ceph.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", device)
        stack.enter_context(ceph.started("ceph-osd", "-f", "-i", "0"))
        user = ["--uid", "tests", "--display-name", "tests"]
        keys = ["--access-key", access_key, "--secret-key", secret_key]
        ceph.run("radosgw-admin", "-n", "client.rgw", "user", "create", *user, *keys)
        gateway = stack.enter_context(ceph.started("radosgw", "-f", "-n", "client.rgw"))
        ceph.wait(gateway)
        yield ceph.endpoint


@dataclass(frozen=True, slots=True)
class _Ceph:
    root: Path
    folder: Path
    monitor: str
    gateway: str

    @property
    def endpoint(self) -> str:
        return f"http://{self.gateway}"

    @property
    def log(self) -> Path:
        return self.folder / "output"

    @property
    def libraries(self) -> Path:
        (found,) = self.root.glob("usr/lib/*/ceph")
        return found.parent

    def prepare(self) -> None:
        """Write the settings and the monitor's first state."""
        if not (self.root / "usr/bin/radosgw").exists():
            raise FileNotFoundError(f"{NAMED_BY}: there is no usr/bin/radosgw in {self.root}")
        for name in ("mon", "osd", "gateway"):
            (self.folder / name).mkdir()
        fsid, where = str(uuid4()), {"folder": self.folder, "libraries": self.libraries}
        said = _SETTINGS.format(fsid=fsid, monitor=self.monitor, gateway=self.gateway, **where)
        (self.folder / "ceph.conf").write_text(said)
        map_file = str(self.folder / "monmap")
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:{self.monitor}]", map_file)
        self.run("ceph-mon", "-i", "a", "--mkfs", "--monmap", map_file)

    def run(self, *command: str) -> None:
        """Run a program to its end."""
        with self.started(*command) as process:
            code = process.wait()
        if code != 0:
            raise RuntimeError(f"{command} ended with {code}:\n{self.log.read_text()[-2000:]}")

    @contextmanager
    def started(self, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program; it is ended with the block."""
        command = [str(self.root / "usr/bin" / program), "-c", str(self.folder / "ceph.conf"), *arguments]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment()
            )
        with process:
            try:
                yield process
            finally:
                # They would bring what is in memory to an end, which is of no use here.
                process.kill()

    def wait(self, gateway: subprocess.Popen[bytes]) -> None:
        """Wait until the gateway answers."""
        with httpx.Client(trust_env=False, timeout=FOREVER) as client:
            while not _answers(client, self.endpoint):
                if gateway.poll() is not None:
                    raise RuntimeError(f"Ceph did not come up:\n{self.log.read_text()[-2000:]}")
                time.sleep(0.1)

    def _environment(self) -> dict[str, str]:
        libraries = [self.libraries, self.libraries / "ceph", self.root / "lib" / self.libraries.name]
        return {
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "PYTHONPATH": str(self.root / "usr/lib/python3/dist-packages"),
        }


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
