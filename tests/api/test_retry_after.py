from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stenoflow.tasks.api.retry import retry_after_s

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "nonsense", "retry-after": "9"}, 9.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Tue, 24 Nov 2026 13:00:30 +0100"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 -0000"}, 30.0),
    ],
)
def test_each_form_of_retry_after(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_s(headers, NOW) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "Tue, 99 Nov", "1e999", "12:00"])
def test_nonsense_is_ignored(text: str) -> None:
    assert retry_after_s({"retry-after": text, "retry-after-ms": text}, NOW) is None


def test_no_header_says_nothing() -> None:
    assert retry_after_s({}, NOW) is None


@settings(deadline=None)
@given(st.integers(0, 10**7))
def test_a_date_means_the_time_until_then(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    assert retry_after_s({"retry-after": date}, NOW) == seconds


@settings(deadline=None)
@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    told = retry_after_s({"retry-after": text}, NOW)

    assert told is None or told >= 0
