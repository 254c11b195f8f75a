from __future__ import annotations

import json

import pytest

from stenoflow.tasks.assembly.assemble import is_to_be_translated
from stenoflow.tasks.assembly.job_settings import JobSettings


@pytest.mark.parametrize(
    ("told", "language", "expected"),
    [("german", None, True), ("English", "de", False), (None, None, True), (None, "en", False)],
)
def test_what_is_said_to_be_english_is_not_translated(
    told: str | None, language: str | None, *, expected: bool
) -> None:
    settings = JobSettings("openai", "gpt-4o-transcribe", "json", 60_000, 6_000, language, translate=True)
    answer = {"text": "Gut."} | ({} if told is None else {"language": told})
    assert is_to_be_translated(json.dumps(answer), settings) is expected
    assert not is_to_be_translated(json.dumps({**answer, "text": " "}), settings)
