"""`stenoflow deploy`, from a wheel that was installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from stenoflow.flows.prefect_server import start_server
from tests.flows.conftest import Command, write_settings

_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import sys, stenoflow
print(stenoflow.__file__, file=sys.stderr)
from stenoflow.flows.cli import main
main()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Python of an environment into which the wheel was installed; the libraries are the tests' own."""
    build = pytest.importorskip("hatchling.build")
    with monkeypatch.context() as here:
        here.chdir(_ROOT)
        wheel = tmp_path / build.build_wheel(str(tmp_path))
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    with ZipFile(wheel) as archive:
        archive.extractall(packages)
    libraries = [
        sysconfig.get_path("purelib"),
        *(path for path in sys.path if path.endswith("site-packages")),
    ]
    (packages / "libraries.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in libraries)
    )
    return environment / "bin" / "python"


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Prefect's own server, which takes whatever is to be executed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("plain")))
        monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        server = start_server()
        try:
            server.wait()
            yield server.api_url
        finally:
            server.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "image"), [("process", None), ("docker", "ours:1"), ("kubernetes", "registry.example/ours:1")]
)
def test_a_wheel_registers_every_deployment_for_a_pool_and_makes_its_queues(
    kind: str, image: str | None, installed: Path, home: Path, tmp_path: Path, plain_server: str
) -> None:
    pool = f"stenoflow {kind}"
    arguments = ["deploy", "--pool", pool, "--type", kind, *(["--image", image] if image else [])]
    write_settings('[[inboxes]]\nname = "meetings"\naddress = "s3://meetings/inbox/"\nevery = 30\n')
    folder = tmp_path / "elsewhere"
    (folder / "flows").mkdir(parents=True)
    assert home.exists()
    for _ in range(2):
        done = subprocess.run(
            [str(installed), "-c", _PROGRAM, *arguments],
            cwd=folder,
            env=os.environ | {"PREFECT_API_URL": plain_server},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert str(installed.parents[1]) in done.stderr.splitlines()[0]
    names = done.stdout.split("\n")[:-1]
    assert "transcribe/stenoflow" in names
    assert "ingest/meetings" in names
    found, queues, made = _registered(plain_server, pool)
    assert set(names) <= set(found)
    assert made == kind
    assert all(found[name][0] == pool for name in names)
    assert {found[name][3].get("image") for name in names} == {image}
    assert {name for name in names if found[name][1] == "bulk"} == {"verify/stenoflow", "retain/stenoflow"}
    assert all(found[name][2].startswith("stenoflow.flows.deployable.") for name in names)
    assert queues["urgent"] < queues["normal"] < queues["bulk"]


def _registered(
    url: str, pool: str
) -> tuple[dict[str, tuple[str | None, str | None, str, dict[str, Any]]], dict[str, int], str]:
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - reads its settings when imported
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - the same

    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        found: dict[str, tuple[str | None, str | None, str, dict[str, Any]]] = {
            f"{client.read_flow(each.flow_id).name}/{each.name}": (
                each.work_pool_name,
                each.work_queue_name,
                each.entrypoint or "",
                each.job_variables or {},
            )
            for each in client.read_deployments()
            if each.work_pool_name == pool
        }
        where = {"work_pool_name": pool}
        reply = client.request(
            "POST", "/work_pools/{work_pool_name}/queues/filter", path_params=where, json={}
        )
        queues = {each["name"]: each["priority"] for each in reply.json()}
        return found, queues, client.read_work_pool(pool).type


@pytest.mark.program
def test_a_desks_own_server_takes_no_images(home: Path, prefect_api: str, tmp_path: Path) -> None:
    assert not home.exists()
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "deploy", "--pool", "images", "--type", "docker", "--image", "x"],
        cwd=tmp_path,
        env=os.environ | {"PREFECT_API_URL": prefect_api, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    words = " ".join(done.stderr.split())
    assert (done.returncode, "DEBUG" in words) == (3, False), words
    assert "'job_variables' may not be set" in words
    assert "prefect server start" in words


def test_deploying_needs_a_server_and_an_image_where_containers_are_started(
    stenoflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    refused = stenoflow("deploy", "--pool", "x")
    assert (refused.exit_code, "PREFECT_API_URL" in refused.err) == (2, True)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    refused = stenoflow("deploy", "--pool", "x", "--type", "docker")
    assert (refused.exit_code, "--image" in refused.err) == (2, True)
    refused = stenoflow("deploy", "--pool", "x", "--image", "ours:1")
    assert (refused.exit_code, "--type docker" in refused.err) == (2, True)


@pytest.mark.parametrize("pool", ["bad name/x", "50%", " ", "a\nb", "prefect-ours"])
def test_a_name_that_no_pool_can_have_is_refused_in_plain_words(
    pool: str, stenoflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    refused = stenoflow("deploy", "--pool", pool)
    assert (refused.exit_code, "no work pool can be called" in refused.err) == (2, True), refused.err


@pytest.mark.slow
def test_whom_deployments_are_taken_from_is_said(home: Path, plain_server: str, tmp_path: Path) -> None:
    def deploy(pool: str, *inboxes: str) -> str:
        write_settings("".join(f'[[inboxes]]\nname = "{each}"\naddress = "{tmp_path}"\n' for each in inboxes))
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, "deploy", "--pool", pool],
            cwd=tmp_path,
            env=os.environ | {"PREFECT_API_URL": plain_server, "PYTHONPATH": str(_ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return " ".join(done.stderr.split())

    assert not home.exists()
    deploy("first", "left", "stays")
    assert "until now" not in deploy("first", "left", "stays")
    said = deploy("second", "stays")
    assert "in the pool first until now" in said
    assert "ingest/left in the pool first is of no inbox of these settings" in said
    assert "ingest/stays" not in said


@pytest.mark.program
@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (401, '{"detail": "Unauthorized"}', "PREFECT_API_AUTH_STRING"),
        (403, "[]", "pools of processes only"),
        (404, "no page", "PREFECT_API_URL"),
    ],
)
def test_a_server_that_refuses_is_said_in_plain_words(
    status: int, said: str, hint: str, stenoflow: Command, home: Path
) -> None:
    assert stenoflow("jobs").exit_code == 0
    with answering(status, said) as url:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, "deploy", "--pool", "x"],
            env=os.environ | {"PREFECT_API_URL": f"{url}/api", "PREFECT_CLIENT_MAX_RETRIES": "0"},
            cwd=_ROOT.parent,
            capture_output=True,
            text=True,
            check=False,
        )
    words = " ".join(done.stderr.split())
    assert (done.returncode, f"the server answers {status}" in words, hint in words) == (3, True, True), words
    assert "http" not in words.partition("registered")[2]
    assert home.exists()


@contextmanager
def answering(status: int, said: str) -> Iterator[str]:
    """Serve one answer to every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said.encode())

        do_POST = do_GET  # noqa: N815 - http.server looks for these

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
