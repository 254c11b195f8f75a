from __future__ import annotations

from datetime import date

import pytest

from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.request import cut_rule


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
    by_bytes = table.get("tiny").longest_ms(64_000)
    by_duration = table.get("gpt-4o-transcribe").longest_ms(64_000)

    assert by_bytes is not None
    assert by_bytes * 64 // 8 < 1_000_000
    assert by_duration is not None
    assert by_duration < 1_400_000
    assert load_models({"tiny": {"max_bytes": 1}}).get("tiny").longest_ms(64_000) == 0


@pytest.mark.parametrize(
    ("max_seconds", "longest_ms"), [(1400, 1_380_000), (30, 27_000), (20, 18_000), (10, 9_000)]
)
def test_the_headroom_is_in_proportion_to_a_small_limit(max_seconds: int, longest_ms: int) -> None:
    model = load_models({"mine": {"max_seconds": max_seconds, "max_bytes": 26_214_400}}).get("mine")
    assert model.longest_ms(64_000) == longest_ms
    rule = cut_rule(model, None)
    assert min(600_000, longest_ms * 0.9) < rule.longest_ms + 2 * rule.overlap_ms <= longest_ms


def test_a_limit_that_is_next_to_nothing_is_refused_and_not_taken_for_none() -> None:
    model = load_models({"mine": {"max_seconds": 1}}).get("mine")
    with pytest.raises(SettingsError, match="mine") as refused:
        cut_rule(model, None)
    assert "max_seconds" in (refused.value.hint or "")


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
    "entry",
    [
        {"max_seconds": 0},
        {"max_bytes": -1},
        {"formats": ["yaml"]},
        {"formatz": ["json"]},
        {"max_bytes": "many"},
        {"shutdown": "soon"},
    ],
)
def test_a_wrong_override_names_the_model_and_the_key(entry: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="mine") as caught:
        load_models({"mine": entry})

    assert next(iter(entry)) in caught.value.message


def test_a_plain_model_asks_for_nothing_timed() -> None:
    plain = load_models().get("whisper-1").plain()

    assert (plain.response_format, plain.granularities, plain.timed) == ("json", (), False)
