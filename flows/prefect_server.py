"""Prefect's server: started beside us, or one that is in use; and Prefect's own start."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from dotenv import dotenv_values

from stenoflow.flows.desk import ADDRESS_FILE
from stenoflow.storage.private import make_folder
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.api.network import is_loopback
from stenoflow.tasks.errors import FailedError, SettingsError

if TYPE_CHECKING:
    from stenoflow.flows.dashboard_app import Login

# The first start in a new home runs a few hundred migrations: a quarter of a minute, and minutes on a machine
# that is short of processors. One that ends is noticed at once.
_TIMEOUT_S = 600.0
_LOOK_EVERY_S = 0.1
_SOON_S = 2.0
_PREFECT = "prefect.server.api.server:create_app"
# As Prefect marks the server that it starts for itself: no pages, nothing scheduled. Nobody reads its
# events, which name recordings.
_EMBEDDED = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}
PREFECT_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
"""What Prefect's own server would ask for; whoever has set it means the same."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound to here


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A server that starts or runs.

    Attributes:
        api_url: where it answers.
    """

    api_url: str
    _process: subprocess.Popen[bytes]
    # Its standard input is a pipe that only we hold.
    _guard: subprocess.Popen[bytes]

    @staticmethod
    def answers_at(api_url: str) -> bool:
        """Tell whether a server answers at an address now."""
        with httpx.Client(trust_env=False, timeout=_SOON_S) as client:
            return _answers(client, api_url)

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its process has not ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it, and wait for that."""
        self._process.terminate()
        self._process.wait()

    def wait(self) -> None:
        """Wait until it answers. Raises RuntimeError or TimeoutError if it never will."""
        ends_at = time.monotonic() + _TIMEOUT_S
        with httpx.Client(trust_env=False) as client:
            while not _answers(client, self.api_url):
                if self._process.poll() is not None:
                    raise RuntimeError(f"its server ended with code {self._process.returncode}")
                if time.monotonic() > ends_at:
                    raise TimeoutError(f"its server did not answer within {_TIMEOUT_S:.0f} s")
                time.sleep(_LOOK_EVERY_S)


def _answers(client: httpx.Client, api_url: str) -> bool:
    try:
        return client.get(f"{api_url}/health").is_success
    except (httpx.TransportError, httpx.InvalidURL):
        return False


def start_server(
    host: str = "127.0.0.1",
    port: int = 0,
    login: Login | None = None,
    environment: Mapping[str, str] | None = None,
    app: str | None = None,
) -> PrefectServer:
    """Start one; `PrefectServer.wait` waits for it.

    Args:
        host: an address of this machine.
        port: 0 takes a free one.
        login: what it asks for; None: nobody is asked, and any page in a browser may use it.
        environment: of its process, over ours.
        app: what is served behind the login; None: the desk with Prefect.

    Raises:
        OSError: the address cannot be had.
    """
    from stenoflow.flows.dashboard_app import APP, AUTH  # noqa: PLC0415 - starlette, for those who start one

    environment = {**os.environ, **(environment or {})}
    folder = os.environ.get("PREFECT_HOME")
    if folder is not None:
        # In a new home nobody has made it yet, and the server's process begins in it.
        make_folder(Path(folder))
    if login is not None:
        # We ask for it; asked by Prefect too, its pages would want it typed in. And no page of another origin
        # is let in, as by default every one is.
        environment |= {AUTH: login.auth, "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ""}
        environment.pop(PREFECT_AUTH, None)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        # Handed over open, so that no other program can take the port between.
        # Who asks is told by the connection: by a header, anybody could say that they are a trusted proxy.
        args = ["--factory", _PREFECT if login is None else app or APP, "--fd", str(listening.fileno())]
        args += ["--no-proxy-headers"]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "uvicorn", *args, "--log-level", "error", "--lifespan", "on"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
            pass_fds=[listening.fileno()],
            # Ctrl-C is for us, who still store the replies of calls in flight.
            start_new_session=True,
            # Prefect reads settings from the folder that it is in.
            cwd=folder,
            umask=0o077,
        )
        port = listening.getsockname()[1]
    name = _ANY.get(host, host)
    name = f"[{name}]" if ":" in name else name
    return PrefectServer(f"http://{name}:{port}/api", process, _end_with_us(process.pid))


def _end_with_us(pid: int) -> subprocess.Popen[bytes]:
    """See to it that the server ends with this process, even if that is killed.

    A shell reads from a pipe that only we hold, and ends the server when the pipe closes.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", f"read -r _; kill {pid}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_SHOW_PROMO_NOTIFICATIONS": "false",
}


def surround(home: Path) -> None:
    """Set what Prefect reads from the environment, never over a value that the user set.

    Args:
        home: our own home; Prefect's lies in it.
    """
    for name, value in {**_QUIET, "PREFECT_HOME": str(home / "prefect")}.items():
        os.environ.setdefault(name, value)
    # Prefect starts flow runs by "python -m", which would import what lies in the folder that we stand in.
    os.environ["PYTHONSAFEPATH"] = "1"
    served = None if "PREFECT_API_URL" in os.environ else _served_from(home)
    if served is not None:
        os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"] = served
    if "PREFECT_API_URL" in os.environ:
        refuse_prefects_settings_here()
    if is_loopback(httpx.URL(os.environ.get("PREFECT_API_URL", "")).host):
        _go_round_proxies()


def refuse_prefects_settings_here() -> None:
    """Refuse to use Prefect in a folder with settings of its own: it would read them, and none can forbid it.

    That may be a drop folder, whose files others write: they could have it trust a server of theirs.

    Raises:
        SettingsError: there are some.
    """
    for name in (".env", "prefect.toml", "pyproject.toml"):
        if Path(name).is_file() and _is_of_prefect(Path(name)):
            raise SettingsError(
                f"{name} in this folder would become settings of Prefect's, whoever put it there",
                "run this in another folder; put what you want of it into the environment",
            )


def _is_of_prefect(path: Path) -> bool:
    """Tell whether a file has settings of Prefect's; one that cannot be read might."""
    try:
        text = path.read_text("utf-8-sig")
        if path.name == ".env":
            return any(key.upper().startswith("PREFECT_") for key in dotenv_values(stream=StringIO(text)))
        said = tomllib.loads(text)
        return bool(said if path.name == "prefect.toml" else said.get("tool", {}).get("prefect"))
    except (OSError, ValueError, RecursionError, AttributeError):
        return True


def _go_round_proxies() -> None:
    """See that Prefect's client asks no proxy for this machine, and can read what NO_PROXY holds."""
    said = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    entries = [entry.strip().strip("[]") for entry in said.split(",") if entry.strip()]
    if "*" not in entries:
        entries += [host for host in ("127.0.0.1", "localhost", "::1") if host not in entries]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(entries)


def has_server(home: Path) -> bool:
    """Tell whether a server is in use: one that is named, or that of `stenoflow serve` from this home."""
    surround(home)
    return "PREFECT_API_URL" in os.environ


def _served_from(home: Path) -> tuple[str, str] | None:
    """Return where a dashboard is being served from a home, and what it asks for: what runs is seen there."""
    try:
        api_url, auth = (home / ADDRESS_FILE).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return (api_url, auth) if PrefectServer.answers_at(api_url) else None


class PrefectError(FailedError):
    """Prefect could not be started or reached."""

    kind = "prefect"


class Start:
    """Prefect being imported and its server reached, in a thread that does not keep the program alive."""

    def __init__(self) -> None:
        self._started: Future[None] = Future()
        threading.Thread(target=self._run, name="prefect-start", daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether flows can run, or never will."""
        return self._started.done()

    async def ready(self) -> None:
        """Wait until flows can run.

        Raises:
            PrefectError: they never will.
        """
        try:
            # Others may wait for it too.
            await asyncio.shield(asyncio.wrap_future(self._started))
        except Exception as error:
            raise PrefectError(
                f"Prefect's server at {os.environ['PREFECT_API_URL']} cannot be reached: "
                f"{plain_reason(error)}",
                "check PREFECT_API_URL, or leave it away",
            ) from error

    def _run(self) -> None:
        try:
            # Only now: Prefect reads its settings when it is imported.
            import stenoflow.flows.orchestration  # noqa: F401, PLC0415 - takes seconds

            asyncio.run(_reach_server())
            self._started.set_result(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, ready() raises it
            self._started.set_exception(error)


@contextmanager
def temporary_server(home: Path) -> Iterator[PrefectServer]:
    """Run a server of our own for as long as the block lasts, and use it.

    Args:
        home: our own, in which the server keeps its database.
    """
    from stenoflow.flows.dashboard_app import Login  # noqa: PLC0415 - as above

    surround(home)
    refuse_prefects_settings_here()
    login = Login.of_home(home)
    server = start_server(login=login, environment=_EMBEDDED)
    ours = {"PREFECT_API_URL": server.api_url, "PREFECT_API_AUTH_STRING": login.auth}
    os.environ.update(ours)
    try:
        server.wait()
        yield server
    finally:
        for name in ours:
            del os.environ[name]
        server.stop()


@cache
def begin_start() -> Start:
    """Begin to start Prefect: once in a process."""
    return Start()


async def _reach_server() -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - loaded with the flows

    async with get_client() as client:
        await client.hello()
