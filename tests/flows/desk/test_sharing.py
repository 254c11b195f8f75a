"""Links for readers, trusted proxies, and the glossary that corrections teach."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from stenoflow.flows.dashboard_app import LoginCheck
from stenoflow.flows.desk.app import DeskBefore, create_desk
from stenoflow.flows.desk.prefect_api import PrefectApi
from stenoflow.flows.desk.users import Users
from stenoflow.storage.database.connection import make_ready, open_database
from stenoflow.storage.database.links import Links
from stenoflow.tasks.engine.access import HostCheck
from stenoflow.tasks.settings import UserSettings, load_settings
from tests.flows.conftest import Command, Meeting
from tests.flows.desk.conftest import LOGIN, Desk, StandIn
from tests.flows.desk.test_correcting import _fields, _first_passage
from tests.flows.test_dashboard_app import served
from tests.waiting import FOREVER


def _anonymous(desk: Desk) -> httpx.Client:
    return httpx.Client(base_url=desk.url, timeout=FOREVER, trust_env=False)


def _links(desk: Desk, job: str) -> list[str]:
    page = desk.text(f"/desk/jobs/{job}/details")
    return [html.unescape(each) for each in re.findall(r'href="([^"]+/desk/shared/[^"]+)"', page)]


@pytest.mark.program
def test_a_link_shows_one_transcript_with_its_sound_and_nothing_else(
    desk: Desk, transcribed: dict[str, Any], meeting: Meeting
) -> None:
    job = transcribed["job"]
    assert _links(desk, job) == []
    for days in ("0", "367", "-1", "much", ""):
        assert desk.send(f"/desk/jobs/{job}/share", days=days).status_code == 400
    assert desk.send(f"/desk/jobs/{job}/share", days="2").status_code == 303
    (link,) = _links(desk, job)
    with _anonymous(desk) as reader:
        page = reader.get(link)
        assert page.status_code == 200
        assert meeting.words[0].text in page.text
        assert "noindex" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        whole = meeting.path.read_bytes()
        assert reader.get(f"{link}sound").content == whole
        assert reader.get(f"{link}sound", headers={"Range": "bytes=5-9"}).content == whole[5:10]
        for asset in re.findall(r'(?:href|src)="(/desk/[^"]+)"', page.text):
            assert reader.get(asset).status_code == 200, asset
        # No cost, no tag, no way on to the desk, and nothing of it without a login.
        assert not re.search(
            r'href="(/|details|transcript\.|https?:)[^"]*"', page.text.replace("/desk/assets/", "#")
        )
        assert "board &amp;" not in page.text
        for path in ("details", "transcript.txt", "act", "share", "../", "../../jobs/", "%2e%2e/health"):
            assert reader.get(f"{link}{path}").status_code in {401, 404, 405}, path
        for path in ("/", "/desk/health", f"/desk/jobs/{job}/", "/api/flow_runs", "/desk/shared", "/desk/"):
            assert reader.get(path).status_code == 401, path
        assert reader.post(link).status_code == 401
        wrong = [
            f"{link[:-2]}{'0' if link[-2] != '0' else '1'}/",
            f"{link[:-33]}/",
            f"{link[:-65]}{'0' * 64}/",
        ]
        assert [reader.get(each).status_code for each in wrong] == [404, 404, 404]
        assert "Recordings" not in reader.get(wrong[0]).text
    details = desk.text(f"/desk/jobs/{job}/details")
    assert '<td class="number">1</td>' in details
    (revoke,) = re.findall(r'name="revoke" value="(\w+)"', details)
    assert desk.send(f"/desk/jobs/{job}/share", revoke=revoke).status_code == 303
    assert desk.send(f"/desk/jobs/{job}/share", revoke=revoke).status_code == 404
    with _anonymous(desk) as reader:
        for path in (link, f"{link}sound"):
            assert reader.get(path).status_code == 404
    after = desk.text(f"/desk/jobs/{job}/details")
    assert all(f"<td>{action}</td>" in after for action in ("share", "unshare"))
    assert _links(desk, job) == []


def test_a_link_ends_with_its_time(transcribed: dict[str, Any]) -> None:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    database = make_ready(open_database(load_settings().database_url))
    link = Links(database, lambda: now).make(transcribed["job"], "anna", timedelta(days=1))
    assert Links(database, lambda: now + timedelta(hours=23)).find(link.id) is not None
    assert Links(database, lambda: now + timedelta(days=1)).find(link.id) is None
    database.close()


@contextmanager
def _behind_proxy(*proxies: str) -> Iterator[httpx.Client]:
    """Serve a desk that trusts proxies, to somebody who may say to come by one."""
    roles = {"anna": "editor", "Zoë": "operator", "ben": "reader"}
    given = {name: UserSettings.model_validate({"role": role}) for name, role in roles.items()}
    stand_in = Starlette(routes=[Route("/{path:path}", StandIn().__call__, methods=["GET", "POST"])])
    desk = create_desk(load_settings, PrefectApi.of_app(stand_in), LOGIN.derived)
    app = LoginCheck(DeskBefore(desk, stand_in), LOGIN, Users(given, LOGIN.derived), proxies)
    with (
        served(HostCheck(app, public="https://desk.example.com")) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=FOREVER, trust_env=False) as http,
    ):
        yield http


def _as(name: str) -> dict[str, str]:
    return {"X-Forwarded-User": name}


@pytest.mark.usefixtures("home")
def test_a_trusted_proxy_says_who_asks_and_users_say_what_they_may() -> None:
    with _behind_proxy("10.0.0.0/8", "127.0.0.1") as http:
        expected = {
            "ben": (200, 403, 403),
            "anna": (200, 200, 403),
            "Zoë": (200, 200, 200),
            "eve": (401,) * 3,
        }
        for name, codes in expected.items():
            headers = [(b"X-Forwarded-User", name.encode())]
            paths = ("/", "/desk/send", "/dashboard")
            assert tuple(http.get(path, headers=headers).status_code for path in paths) == codes, name
        # Whatever else came along, and none where two are named.
        basic = httpx.BasicAuth(*LOGIN.auth.split(":"))
        assert http.get("/dashboard", headers=_as("ben"), auth=basic).status_code == 403
        two = [("X-Forwarded-User", "anna"), ("X-Forwarded-User", "ben")]
        assert http.get("/", headers=two).status_code == 401
        assert http.get("/").status_code == 401
        assert http.get("/dashboard", auth=basic).status_code == 200
        # By the proxy's own name, or by the one that it is reached by.
        public = {"Host": "desk.example.com", "Origin": "https://desk.example.com", **_as("anna")}
        assert http.get("/", headers=public).status_code == 200
        assert http.get("/", headers={**public, "Host": "127.0.0.1"}).status_code == 200
        assert http.get("/", headers={**public, "Host": "evil.example.com"}).status_code == 403
        assert http.get("/", headers={**public, "Origin": "https://evil.example.com"}).status_code == 403


@pytest.mark.usefixtures("home")
def test_nobody_else_may_say_who_asks() -> None:
    for proxies in ((), ("10.0.0.0/8",), ("127.0.0.2",)):
        with _behind_proxy(*proxies) as http:
            forged = [(b"X-Forwarded-For", b"10.0.0.1"), (b"Forwarded", b"for=10.0.0.1")]
            headers = [(b"X-Forwarded-User", "Zoë".encode()), *forged]
            assert http.get("/", headers=headers).status_code == 401
            assert http.post("/login", data={"user": "anna", "password": ""}).status_code == 403


@pytest.mark.program
def test_corrected_names_are_told_to_the_models_of_what_comes_next_into_the_inbox(
    desk: Desk, stenoflow: Command, transcribed: dict[str, Any], meeting: Meeting, api: Any
) -> None:
    job = transcribed["job"]
    fields = _fields(desk.text(_first_passage(desk, job)))
    first = meeting.words[0].text
    said = {**fields, "text": fields["text"].replace(first, "Kubernetes,", 1), "speaker": "Ms <b>Ødegård"}
    sent = desk.http.post(f"/desk/jobs/{job}/edit", data={**said, "glossary": "1"})
    assert sent.status_code == 303
    health = desk.text("/desk/health")
    assert re.findall(r'name="remove" value="([^"]*)"', health) == ["Kubernetes", "Ms &lt;b&gt;Ødegård"]
    inbox = load_settings().inboxes[0].address
    (load := meeting.path.with_name("next.flac")).write_bytes(meeting.path.read_bytes() + b"\0")
    load.rename(f"{inbox}/next.flac")
    assert stenoflow("ingest", inbox, "--looks", "1", "--json").exit_code == 0
    prompts = [each.values("prompt") for each in api.calls if each.values("prompt")]
    assert any("Kubernetes" in text and "Ødegård" in text for (text,) in prompts)
    assert desk.send("/desk/glossary", inbox="meetings", remove="Kubernetes").status_code == 303
    assert desk.send("/desk/glossary", inbox="meetings", remove="Kubernetes").status_code == 404
    assert "Kubernetes" not in desk.text("/desk/health")
    assert "the last at" in desk.text("/desk/health")
    # What a recording taught goes with it.
    assert (
        stenoflow("forget", transcribed["recording"], "--dry-run", "--json").line["would_erase"]["glossary"]
        == 1
    )
    assert "1 word that it taught" in desk.text(f"/desk/jobs/{job}/forget")
    assert stenoflow("forget", transcribed["recording"], "--yes").exit_code == 0
    assert "Ødegård" not in desk.text("/desk/health")
