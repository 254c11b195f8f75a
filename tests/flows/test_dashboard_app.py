"""The dashboard's login and what it refuses, over real sockets; an app that tells stands for Prefect."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from stenoflow.flows.dashboard_app import Login, LoginCheck
from stenoflow.flows.desk.users import Users
from stenoflow.tasks.engine.access import HostCheck, is_own_host
from tests.waiting import wait_for

LOGIN = Login("stenoflow:secret")
BASIC = "Basic " + base64.b64encode(LOGIN.auth.encode()).decode()
SHELL = {"prefect.deployments.steps.run_shell_script": {"script": "id"}}
PREFECT = Subprotocol("prefect")


async def _tell(request: Request) -> Response:
    return PlainTextResponse(f"reached {(await request.body()).decode()}")


async def _events(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="prefect")
    await websocket.receive_json()
    await websocket.send_text("an event")
    await websocket.close()


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """Serve an app on loopback; gives the port."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, lifespan="off", log_level="critical", proxy_headers=False)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    methods = ["GET", "POST", "PATCH"]
    inner = Starlette(
        routes=[WebSocketRoute("/api/events/out", _events), Route("/{path:path}", _tell, methods=methods)]
    )
    with served(HostCheck(LoginCheck(inner, LOGIN))) as number:
        yield number


class Asking:
    """Sends requests whose headers are just what a test says."""

    def __init__(self, port: int) -> None:
        self.own = f"127.0.0.1:{port}"
        self._port = port

    def __call__(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"host": self.own, **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        connection.putheader("content-length", str(len(content)))
        connection.endheaders(content)
        reply = connection.getresponse()
        told = reply.status, reply.read().decode(), {key.lower(): value for key, value in reply.getheaders()}
        connection.close()
        return told


@pytest.fixture
def ask(port: int) -> Asking:
    return Asking(port)


@pytest.fixture
def cookie(ask: Asking) -> str:
    status, _, headers = ask("GET", f"/login?token={LOGIN.link_token}")
    assert status == 200
    assert {"httponly", "samesite=strict"} <= {
        each.strip().lower() for each in headers["set-cookie"].split(";")
    }
    return headers["set-cookie"].partition(";")[0]


def test_nothing_but_its_health_is_told_to_who_is_not_logged_in(ask: Asking) -> None:
    assert ask("GET", "/api/health")[0] == 200
    for path in ("/", "/api/csrf-token?client=x", "/api/deployments/filter", "/ui-settings", "/docs"):
        assert ask("GET", path)[:2] == (
            401,
            json.dumps(
                {"detail": "Unauthorized", "exception_message": "Unauthorized"}, separators=(",", ":")
            ),
        ), path
    assert ask("POST", "/api/health")[0] == 401
    assert ask("GET", "/", authorization="Basic eDp5")[0] == 401
    status, page, _ = ask("GET", "/", accept="text/html")
    assert (status, "Log in" in page) == (401, True)


def test_the_password_of_a_client_and_the_cookie_of_a_browser_let_in(ask: Asking, cookie: str) -> None:
    assert ask("POST", "/api/logs/", ["line"], authorization=BASIC)[:2] == (200, 'reached ["line"]')
    assert ask("GET", "/", cookie=cookie)[0] == 200
    assert ask("GET", "/", cookie=cookie[:-1] + "0x")[0] == 401


def test_the_form_takes_the_password(ask: Asking) -> None:
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert "set-cookie" in ask("POST", "/login", b"user=stenoflow&password=secret", **form)[2]
    for wrong in (
        b"",
        b"user=stenoflow&password=",
        b"user=x&password=secret",
        b"password=secret" + b"x" * 5000,
    ):
        status, _, headers = ask("POST", "/login", wrong, **form)
        assert (status, "set-cookie" in headers) == (403, False)
    assert ask("GET", "/login?token=x")[0] == 403


def test_a_cookie_is_secure_where_the_browser_came_by_https() -> None:
    inner = Starlette(routes=[Route("/{path:path}", _tell)])
    public = "https://desk.example.com"

    def is_secure(proxies: tuple[str, ...], public: str | None, **headers: str) -> bool:
        with served(HostCheck(LoginCheck(inner, LOGIN, None, proxies, public), public=public)) as number:
            asking = Asking(number)
            status, _, sent = asking("GET", f"/login?token={LOGIN.link_token}", **headers)
            form = {"content_type": "application/x-www-form-urlencoded", **headers}
            by_form = asking("POST", "/login", b"user=stenoflow&password=secret", **form)[2]
        assert status == 200
        flags = [{each.strip().lower() for each in told["set-cookie"].split(";")} for told in (sent, by_form)]
        assert all({"httponly", "samesite=strict"} <= each for each in flags)
        assert len({"secure" in each for each in flags}) == 1
        return "secure" in flags[0]

    by_https = {"x_forwarded_proto": "https"}
    assert is_secure(("127.0.0.1",), None, **by_https)
    assert is_secure(("127.0.0.0/8",), None, x_forwarded_proto="HTTPS, http")
    assert is_secure((), public, host="desk.example.com")
    assert not is_secure(("127.0.0.1",), public, host="desk.example.com", x_forwarded_proto="http")
    assert not is_secure((), public)
    # From nobody else: a browser would keep such a cookie to itself.
    for proxies in ((), ("10.0.0.0/8",)):
        assert not is_secure(proxies, None, **by_https)
        assert not is_secure(proxies, None, forwarded="proto=https")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4200", "127.0.0.1.evil.example", "192.0.2.1", "a@127.0.0.1", "", "::1]"],
)
def test_a_foreign_host_is_refused(ask: Asking, host: str) -> None:
    assert ask("GET", "/", host=host, authorization=BASIC)[0] == 403
    assert ask("GET", f"/login?token={LOGIN.link_token}", host=host)[0] == 403


def test_its_own_names_are_answered_at_any_port(ask: Asking) -> None:
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:4200", "[::1]:4200"):
        assert ask("GET", "/", host=host, authorization=BASIC)[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:1", "http://localhost", "null", "", "file://"]
)
def test_a_foreign_origin_is_refused(ask: Asking, cookie: str, origin: str) -> None:
    for method, path in [
        ("GET", "/api/csrf-token?client=x"),
        ("POST", "/api/flow_runs/filter"),
        ("GET", "/login"),
    ]:
        status, _, headers = ask(method, path, origin=origin, cookie=cookie)
        assert (status, "access-control-allow-origin" in headers) == (403, False)


def test_its_own_pages_may_send(ask: Asking, cookie: str) -> None:
    own = {"origin": f"http://{ask.own}", "cookie": cookie, "sec_fetch_site": "same-origin"}
    assert ask("POST", "/api/flow_runs/filter", {}, **own)[0] == 200


def test_a_page_at_another_port_gets_nothing_but_may_link_here(ask: Asking, cookie: str) -> None:
    for site in ("same-site", "cross-site"):
        sent = {"sec_fetch_site": site, "cookie": cookie}
        assert ask("GET", "/api/logs", sec_fetch_dest="empty", **sent)[0] == 403
        assert ask("GET", "/", sec_fetch_dest="iframe", **sent)[0] == 403
        assert ask("POST", "/login", sec_fetch_dest="document", **sent)[0] == 403
        assert ask("GET", "/", sec_fetch_dest="document", **sent)[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/deployments/", {"name": "x", "pull_steps": [SHELL]}),
        ("/api/deployments/0", {"pull_steps": [SHELL]}),
        ("/api/deployments/0", {"job_variables": {"command": "id"}}),
        ("/api/deployments/0", {"entrypoint": "./evil.py:flow"}),
        ("/api/deployments/0", {"entrypoint": "os.path"}),
        ("/api/deployments/0", {"entrypoint": "stenoflow.flows.x:y"}),
        ("/api/deployments/0", {"storage_document_id": "1"}),
        (
            "/api/deployments/0/create_flow_run",
            {"job_variables": {"env": {"OPENAI_BASE_URL": "http://evil"}}},
        ),
        ("/api/deployments/0/create_flow_run/bulk", [{"job_variables": {"env": {"LD_PRELOAD": "x"}}}]),
        ("/api/flow_runs/0", {"job_variables": {"env": {"A": "b"}}}),
        ("/api/automations/", {"actions": [{"type": "run-deployment", "job_variables": {"command": "id"}}]}),
    ],
)
def test_nobody_says_what_a_flow_run_executes(ask: Asking, path: str, body: object) -> None:
    for method in ("POST", "PATCH"):
        for kind in ("application/json", "text/plain"):
            status, said, _ = ask(method, path, body, authorization=BASIC, content_type=kind)
            assert (status, "may not be set" in said) == (403, True)


def test_a_browser_does_not_say_what_workers_execute(ask: Asking, cookie: str) -> None:
    body = {
        "name": "stenoflow",
        "type": "process",
        "base_job_template": {"job_configuration": {"command": "id"}},
    }
    own = {"origin": f"http://{ask.own}", "cookie": cookie, "sec_fetch_site": "same-origin"}
    for method, path in [("POST", "/api/work_pools/"), ("PATCH", "/api/work_pools/stenoflow")]:
        assert ask(method, path, body, **own)[0] == 403
        assert ask(method, path, {"is_paused": True}, **own)[0] == 200
        # A worker describes its pool by it.
        assert ask(method, path, body, authorization=BASIC)[0] == 200


def test_what_our_own_deployments_say_is_passed_on_as_it_is(ask: Asking) -> None:
    body = {
        "name": "stenoflow",
        "entrypoint": "stenoflow.flows.deployable.ingest",
        "pull_steps": None,
        "path": ".",
    }
    assert ask("POST", "/api/deployments/", body, authorization=BASIC)[:2] == (
        200,
        f"reached {json.dumps(body)}",
    )
    assert ask("GET", "/api/deployments/0", authorization=BASIC)[:2] == (200, "reached ")


def test_bodies_that_are_huge_or_nested_deep_are_refused(ask: Asking) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert ask("POST", "/api/deployments/", deep, authorization=BASIC)[0] == 400
    assert ask("POST", "/api/deployments/", b"{}}", authorization=BASIC)[0] == 400
    assert ask("POST", "/api/deployments/", b" " * 2_100_000, authorization=BASIC)[0] == 413


def _first_event(port: int, message: Any, **options: Any) -> str:
    with connect(f"ws://127.0.0.1:{port}/api/events/out", **options) as websocket:
        websocket.send(json.dumps(message))
        return str(websocket.recv())


def test_events_are_for_who_is_logged_in(port: int, cookie: str) -> None:
    own = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{port}"}
    auth = {"type": "auth", "token": LOGIN.auth}
    assert _first_event(port, auth, subprotocols=[PREFECT]) == "an event"
    assert _first_event(port, {}, subprotocols=[PREFECT], additional_headers=own) == "an event"
    assert (
        _first_event(port, {}, subprotocols=[PREFECT], additional_headers={"Authorization": BASIC})
        == "an event"
    )
    wrongs: list[Any] = [{"type": "auth", "token": "x"}, {"type": "auth"}, [], {"type": "filter"}, None]
    for wrong in wrongs:
        with pytest.raises(ConnectionClosed):
            _first_event(port, wrong, subprotocols=[PREFECT])
    with pytest.raises(InvalidStatus):
        _first_event(port, auth)
    for foreign in ({"Origin": "http://evil.example"}, {"Origin": "http://127.0.0.1:1"}):
        with pytest.raises(InvalidStatus):
            _first_event(port, auth, subprotocols=[PREFECT], additional_headers={**own, **foreign})


def test_the_password_of_a_home_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = Login.of_home(home)
    secret = home / "dashboard.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    secret.chmod(0o644)
    assert (Login.of_home(home), secret.stat().st_mode & 0o777) == (first, 0o600)
    assert Login.of_home(tmp_path / "other") != first
    secret.write_text("")
    assert len(Login.of_home(home).auth) > 40
    assert first.auth not in repr(first)


def test_a_server_for_others_answers_to_addresses_and_to_this_machines_names() -> None:
    assert is_own_host("192.0.2.7:4200", "192.0.2.7")
    assert is_own_host("198.51.100.1", "0.0.0.0")  # noqa: S104 - not bound to
    assert is_own_host("localhost:4200", "::")
    assert not is_own_host("evil.example", "0.0.0.0")  # noqa: S104
    # A proxy's, where the settings have it.
    assert is_own_host("desk.example:443", "127.0.0.1", {"desk.example"})
    assert not is_own_host("desk.example.evil.example", "127.0.0.1", {"desk.example"})
    assert not is_own_host("198.51.100.1", "127.0.0.1")


def test_who_guesses_passwords_keeps_nobody_else_waiting() -> None:
    guesses, others_are_answered, at_once = 8, threading.Event(), []

    class Slow(Users):
        __slots__ = ()

        def accepts(self, name: str, password: str) -> bool:
            at_once.append(f"{name} {password}")
            assert others_are_answered.wait()
            return False

    app = Starlette(routes=[Route("/{path:path}", _tell)])
    with served(LoginCheck(app, LOGIN, Slow({}, LOGIN.derived))) as port:

        def guess() -> None:
            asking = _connected(port)
            asking.request("POST", "/login", "user=anna&password=x", {"Content-Type": _FORM_TYPE})
            assert asking.getresponse().status == 403
            asking.close()

        threads = [threading.Thread(target=guess) for _ in range(guesses)]
        for each in threads:
            each.start()
        wait_for(lambda: bool(at_once))
        asking = _connected(port)
        asking.request("GET", "/api/flows", headers={"Authorization": BASIC})
        assert asking.getresponse().status == 200
        asking.close()
        # Each takes a core and 16 MB, so they take turns.
        assert len(at_once) == 1
        others_are_answered.set()
        for each in threads:
            each.join()
        assert len(at_once) == guesses


_FORM_TYPE = "application/x-www-form-urlencoded"


def _connected(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port)
