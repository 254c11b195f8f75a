from __future__ import annotations

import httpx
import pytest

from stenoflow.tasks.api.network import open_http, proxy_for
from stenoflow.tasks.errors import SettingsError


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_reached_without_a_proxy(
    scheme: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://proxy:1")
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1")
    assert proxy_for(httpx.URL(f"{scheme}://{host}:8000/v1")) is None


@pytest.mark.parametrize(
    ("variable", "value", "url", "proxy"),
    [
        ("HTTP_PROXY", "http://p:1", "http://h/v1", "http://p:1"),
        ("https_proxy", "http://p:1", "https://h/v1", "http://p:1"),
        ("HTTP_PROXY", "http://p:1", "https://h/v1", None),
        ("ALL_PROXY", "p:1", "https://h/v1", "http://p:1"),
        ("all_proxy", "socks5h://p:1", "https://h/v1", "socks5h://p:1"),
        ("ALL_PROXY", "", "https://h/v1", None),
    ],
)
def test_the_proxy_of_the_environment(
    variable: str, value: str, url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert proxy_for(httpx.URL(url)) == (proxy and (variable, proxy))


@pytest.mark.parametrize(
    ("entries", "url", "is_covered"),
    [
        ("*", "https://h/", True),
        ("a.example, h.example", "https://h.example/", True),
        (".example", "https://h.example/", True),
        ("example", "https://h.example/", True),
        ("xample", "https://h.example/", False),
        ("h.example:8443", "https://h.example:8443/", True),
        ("h.example:443", "https://h.example/", True),
        ("h.example:80", "https://h.example/", False),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("fd00::1", "https://[fd00::1]/", True),
        ("[fd00::1]", "https://[fd00::1]/", True),
        ("[fd00::1]:443", "https://[fd00::1]/", True),
        ("fd00::/8,::1", "https://[fd00::1]:8443/", True),
        ("::1,[::1],fe80::/10", "https://h.example/", False),
    ],
)
def test_what_no_proxy_covers(
    entries: str, url: str, is_covered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://p:1")
    monkeypatch.setenv("NO_PROXY", entries)
    assert (proxy_for(httpx.URL(url)) is None) == is_covered


@pytest.mark.parametrize("value", ["ftp://p:1", "http://:3128", "http://[::1", "socks4://p:1", "p:99999"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(SettingsError, match="ALL_PROXY") as refused:
        open_http("https://h/")
    assert (refused.value.exit_code, value in str(refused.value)) == (2, False)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_not_there_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/nowhere/ca.pem")
    with pytest.raises(SettingsError, match=f"{name} names /nowhere"):
        open_http("https://h/")


def test_socks_without_its_support_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://p:1")
    with pytest.raises(SettingsError, match="ALL_PROXY names a SOCKS proxy"):
        open_http("https://h/")
