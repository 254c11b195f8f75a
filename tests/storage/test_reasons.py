"""Why something failed, without a library's words."""

from __future__ import annotations

import errno
import json
import socket
import ssl
import tomllib

import pytest

from stenoflow.storage.reasons import plain_reason


def _raised_from(cause: Exception) -> Exception:
    try:
        raise ConnectionError("All connection attempts failed") from cause
    except ConnectionError as error:
        return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "/nosuch"),
            "no such file or directory",
        ),
        (OSError("[Errno 111] Connection refused"), "connection refused"),
        (_raised_from(ConnectionRefusedError(errno.ECONNREFUSED, "x")), "connection refused"),
        (_raised_from(ExceptionGroup("x", [OSError(errno.EHOSTUNREACH, "x")])), "no route to host"),
        (_raised_from(socket.gaierror(-2, "Name or service not known")), "there is no host of that name"),
        (ConnectionError("All connection attempts failed"), "it cannot be reached"),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1)"),
            "wrong version number",
        ),
        ("[Errno -2] Name or service not known", "there is no host of that name"),
        (
            json.JSONDecodeError("Expecting property name", '{"a": 1,\n}', 9),
            "it is not valid JSON at line 2, column 1",
        ),
        (
            tomllib.TOMLDecodeError("Invalid value (at line 1, column 7)"),
            "it is not valid TOML at line 1, column 7",
        ),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "it is not UTF-8"),
        ("SSL is needed", "SSL is needed"),
        (TimeoutError(), "timeout error"),
    ],
)
def test_a_reason_has_no_words_of_a_library(error: BaseException | str, reason: str) -> None:
    assert plain_reason(error) == reason
