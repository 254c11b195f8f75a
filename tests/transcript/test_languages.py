from __future__ import annotations

import pytest

from stenoflow.tasks.transcript.languages import NAME_OF, language_code


@pytest.mark.parametrize(
    ("said", "code"),
    [("english", "en"), ("English", "en"), ("en", "en"), ("en-GB", "en"), ("zh_TW", "zh"), ("klingon", None)],
)
def test_names_and_codes_become_codes(said: str, code: str | None) -> None:
    assert language_code(said) == code


def test_every_name_leads_back_to_its_code() -> None:
    assert len(NAME_OF) == 100
    assert all(language_code(name) == code for code, name in NAME_OF.items())
    assert language_code(None) is None
