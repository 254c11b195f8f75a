from __future__ import annotations

import httpx
import pytest

from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.providers import load_providers
from stenoflow.tasks.errors import SettingsError


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://API.OpenAI.com/v1/", "openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("http://localhost:8000/v1", "localhost"),
        ("https://user:secret@stt.example.com:8443/v1", "stt.example.com"),
    ],
)
def test_the_provider_is_told_from_the_address(base_url: str, provider: str) -> None:
    assert AudioApiSettings(base_url).provider == provider
    assert AudioApiSettings(base_url).provider == provider


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://h/v1", "https://h/v1/audio/speech"),
        ("https://h/v1/", "https://h/v1/audio/speech"),
        ("https://h", "https://h/audio/speech"),
        (
            "https://h/openai/deployments/D?api-version=2025-01-01",
            "https://h/openai/deployments/D/audio/speech?api-version=2025-01-01",
        ),
        ("https://h/a%2Fb/?x=1&y=%26#part", "https://h/a%2Fb/audio/speech?x=1&y=%26"),
        ("https://user:secret@h/v1", "https://user:secret@h/v1/audio/speech"),
    ],
)
def test_an_endpoint_stands_before_the_query(base_url: str, url: str) -> None:
    assert str(AudioApiSettings(base_url).url("audio/speech")) == str(httpx.URL(url))


def test_a_provider_that_is_given_stays() -> None:
    assert AudioApiSettings("http://engine/v1", provider="embedded").provider == "embedded"


_NO_ADDRESSES = (
    *(
        "",
        "api.openai.com/v1",
        "ftp://host/v1",
        "https://",
        "http://[::1",
        "http://h:99999/v1",
        "http://h:x/v1",
    ),
    *("http://h:0/v1", "http://a b/v1", "http://:80/v1", "http://h\r\nx: y/v1"),
)


@pytest.mark.parametrize("base_url", _NO_ADDRESSES)
def test_an_address_that_is_none_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL"):
        AudioApiSettings(base_url)
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL"):
        load_providers().at(base_url)


@pytest.mark.parametrize("key", ["", " sk-1", "sk-1\n", "sk-\u00e9", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY") as caught:
        AudioApiSettings("https://api.openai.com/v1", key)

    assert "sk-" not in str(caught.value)


def test_secrets_stay_out_of_sight() -> None:
    settings = AudioApiSettings("https://user:secret@example.com/v1", "sk-hidden")

    assert "sk-hidden" not in repr(settings)
    assert settings.address == "https://example.com/v1"
    assert AudioApiSettings("https://example.com/v1?key=secret").address == "https://example.com/v1"
