"""Users of `[users]`: what each role may, and for how long a login holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Route

from stenoflow.flows.dashboard_app import LoginCheck
from stenoflow.flows.desk.app import DeskBefore, create_desk
from stenoflow.flows.desk.prefect_api import PrefectApi
from stenoflow.flows.desk.users import SESSION_S, Users, hash_password, is_password
from stenoflow.flows.desk.visitor import Role
from stenoflow.tasks.engine.access import HostCheck
from stenoflow.tasks.settings import UserSettings, load_settings
from tests.flows.desk.conftest import LOGIN, StandIn
from tests.flows.test_dashboard_app import served
from tests.waiting import FOREVER

PASSWORD = "Sesam, öffne dich"
HASH = hash_password(PASSWORD)


def users(now: float = 1_000_000.0, password: str = HASH) -> Users:
    named = {
        role.name.lower(): UserSettings.model_validate({"password": password, "role": role.name.lower()})
        for role in Role
        if role is not Role.GUEST
    }
    return Users(named, LOGIN.derived, lambda: now)


@contextmanager
def logged_in(name: str, password: str = PASSWORD) -> Iterator[httpx.Client]:
    """Serve a desk with a user of each role, and log one in by the form."""
    given = Users(users().settings, LOGIN.derived)
    prefect = Starlette(routes=[Route("/{path:path}", StandIn().__call__, methods=["GET", "POST"])])
    app = HostCheck(
        LoginCheck(
            DeskBefore(create_desk(load_settings, PrefectApi.of_app(prefect), LOGIN.derived), prefect),
            LOGIN,
            given,
        )
    )
    with (
        served(app) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=FOREVER, trust_env=False) as http,
    ):
        http.post("/login", data={"user": name, "password": password})
        yield http


@pytest.mark.parametrize(
    ("role", "may_send", "may_operate"),
    [("reader", False, False), ("editor", True, False), ("operator", True, True)],
)
def test_each_role_may_what_it_says_and_no_more(
    home: Path, role: str, may_send: bool, may_operate: bool
) -> None:
    assert not home.exists()
    with logged_in(role) as http:
        start = http.get("/").text
        assert "There is no recording yet" in start
        assert ("Send in" in start, "/dashboard" in start) == (may_send, may_operate)
        assert http.get("/desk/send").status_code == (200 if may_send else 403)
        assert http.get("/dashboard").status_code == (200 if may_operate else 403)
        assert http.get("/api/flow_runs").status_code == (200 if may_operate else 403)
        # Another's form is worth nothing.
        assert http.post("/desk/send", data={"csrf": LOGIN.csrf}).status_code == 403


@pytest.mark.usefixtures("home")
def test_a_wrong_password_lets_nobody_in() -> None:
    for name, password in (("reader", "wrong"), ("nobody", PASSWORD), ("", ""), ("reader", HASH)):
        with logged_in(name, password) as http:
            assert http.get("/").status_code == 401


def test_a_login_ends_with_its_time_and_with_the_password() -> None:
    cookie = users().session("editor")
    found = users().visitor(cookie)
    assert found is not None
    assert (found.name, found.role) == ("editor", Role.EDITOR)
    assert users(1_000_000.0 + SESSION_S + 1).visitor(cookie) is None
    assert users(password=hash_password("another")).visitor(cookie) is None
    name, expires, proof = cookie.split(".")
    wrong = ["", "x", "...", f"{name}.{int(expires) + 1}.{proof}", cookie[:-1], f"é.{expires}.{proof}"]
    assert [users().visitor(each) for each in wrong] == [None] * len(wrong)


def test_a_hash_is_of_one_password_and_does_not_show_it() -> None:
    assert is_password(PASSWORD, HASH)
    assert not is_password(f"{PASSWORD} ", HASH)
    assert hash_password(PASSWORD) != HASH
    assert not any(
        is_password(PASSWORD, wrong) for wrong in ("", "x", PASSWORD, "scrypt$0$0$0$$", "a$b$c$d$e$f")
    )
    assert HASH not in repr(UserSettings(password=SecretStr(HASH)))
