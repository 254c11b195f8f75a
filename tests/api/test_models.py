from __future__ import annotations

from datetime import date

import pytest

from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.errors import SettingsError


@pytest.mark.parametrize(
    ("name", "response_format", "timed"),
    [
        ("whisper-1", "verbose_json", True),
        ("gpt-4o-transcribe", "json", False),
        ("gpt-4o-mini-transcribe", "json", False),
        ("gpt-4o-transcribe-diarize", "diarized_json", True),
        ("gpt-transcribe", "json", False),
        ("pocketsphinx", "verbose_json", True),
        ("faster-whisper", "verbose_json", True),
        ("Systran/faster-whisper-large-v3", "verbose_json", True),
        ("whisper-large-v3", "verbose_json", True),
    ],
)
def test_each_model_is_asked_for_the_richest_format_it_has(
    name: str, response_format: str, timed: bool
) -> None:
    model = load_models().get(name)

    assert (model.name, model.response_format, model.timed) == (name, response_format, timed)


def test_a_dated_snapshot_counts_as_its_model() -> None:
    model = load_models().get("gpt-4o-mini-transcribe-2025-12-15")

    assert model.name == "gpt-4o-mini-transcribe-2025-12-15"
    assert not model.timed
    assert model.max_seconds == 1400


def test_a_segment_stays_below_both_limits() -> None:
    table = load_models({"tiny": {"max_bytes": 1_000_000, "max_seconds": 1_000}})
    by_bytes = table.get("tiny").longest_ms()
    by_duration = table.get("gpt-4o-transcribe").longest_ms()

    assert by_bytes is not None
    assert by_bytes * 64 // 8 < 1_000_000
    assert by_duration is not None
    assert by_duration < 1_400_000
    assert load_models({"tiny": {"max_bytes": 1}}).get("tiny").longest_ms() == 0


def test_announced_shutdowns_are_dates() -> None:
    assert load_models().get("whisper-1").shutdown == date(2027, 2, 26)
    assert load_models().get("unheard-of").shutdown is None


def test_the_user_changes_one_ability_and_adds_a_model() -> None:
    table = load_models({"whisper-1": {"max_seconds": 600}, "mine": {"formats": ["json"], "keywords": True}})

    assert table.get("whisper-1").max_seconds == 600
    assert table.get("whisper-1").timed
    assert not table.get("mine").timed
    assert table.get("mine").keywords


@pytest.mark.parametrize(
    "entry", [{"formats": ["yaml"]}, {"formatz": ["json"]}, {"max_bytes": "many"}, {"shutdown": "soon"}]
)
def test_a_wrong_override_names_the_model_and_the_key(entry: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="mine") as caught:
        load_models({"mine": entry})

    assert next(iter(entry)) in caught.value.message


def test_a_plain_model_asks_for_nothing_timed() -> None:
    plain = load_models().get("whisper-1").plain()

    assert (plain.response_format, plain.granularities, plain.timed) == ("json", (), False)
