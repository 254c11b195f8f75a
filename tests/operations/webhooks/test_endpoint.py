from __future__ import annotations

import base64
from pathlib import Path

import pytest

from stenoflow.tasks.api.error_body import Redaction
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import load_settings
from tests.servers.webhook import SECRET

URL = "https://user:password@hooks.example:8443/path-canary?token=query-canary"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_an_address_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_WEBHOOK_SECRET", SECRET)
    assert load_settings().webhook is None


def test_an_address_and_a_secret_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_WEBHOOK_URL", URL)
    monkeypatch.setenv("STENOFLOW_WEBHOOK_SECRET", SECRET)
    settings = load_settings()
    assert settings.webhook is not None
    assert (settings.webhook.url, settings.webhook.secret) == (URL, SECRET)
    assert settings.webhook.origin == "https://hooks.example:8443"
    assert SECRET not in repr(settings)
    assert "canary" not in repr(settings.webhook)


def test_an_address_without_a_secret_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_WEBHOOK_URL", URL)
    with pytest.raises(SettingsError, match="openssl rand") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        "canary-of-no-base64-at-all-0123456789",
        base64.b64encode(bytes(32)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_" + base64.b64encode(bytes(32)).decode() + "!canary",
        "whsec_canary\u00e9" + "A" * 30,
    ],
)
def test_a_secret_that_is_none_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("STENOFLOW_WEBHOOK_URL", URL)
    monkeypatch.setenv("STENOFLOW_WEBHOOK_SECRET", secret)
    with pytest.raises(SettingsError, match="STENOFLOW_WEBHOOK_SECRET") as caught:
        load_settings()
    assert secret not in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("hooks.example/canary", "ftp://hooks.example/canary", "http://", "http://[::1"),
        *("http://h:99999/canary", "http://a b/canary"),
    ],
)
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("STENOFLOW_WEBHOOK_URL", url)
    monkeypatch.setenv("STENOFLOW_WEBHOOK_SECRET", SECRET)
    with pytest.raises(SettingsError, match="STENOFLOW_WEBHOOK_URL") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("at https://b.example/k?X-Amz-Signature=1&a=b now", "at https://b.example/k now"),
        ("HTTP://user:pw@b.example/k#part", "HTTP://b.example/k"),
        ("'https://b.example?sig=1'", "'https://b.example"),
        ("key sk-test-0123456789.", "key ***."),
        ("Really? s3://bucket/a?b.mp3", "Really? s3://bucket/a?b.mp3"),
        ("https://a.example/?x=1 https://b.example/?y=2", "https://a.example/ https://b.example/"),
    ],
)
def test_what_makes_an_address_a_key_is_taken_out(text: str, cleaned: str) -> None:
    redaction = Redaction(["sk-test-0123456789", None, "e"])
    assert redaction.clean({"a": [text, (text, 1, None)]}) == {"a": [cleaned, [cleaned, 1, None]]}
