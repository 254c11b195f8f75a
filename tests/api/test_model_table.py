from __future__ import annotations

from datetime import date, timedelta

import pytest

from stenoflow.tasks.api import model_table
from stenoflow.tasks.api.chat_models import load_chat_models
from stenoflow.tasks.api.model_table import ModelKind, ModelListing, listed_providers, order_at
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.speech_models import load_speech_models
from stenoflow.tasks.calls import chosen_models
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings

TABLES = {
    ModelKind.TRANSCRIPTION: load_models(),
    ModelKind.CHAT: load_chat_models(),
    ModelKind.SPEECH: load_speech_models(),
}
ENTRIES: list[ModelListing] = [entry for table in TABLES.values() for entry in table.listed.values()]  # type: ignore[attr-defined]
NOW = date(2026, 11, 28)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_entry_says_who_offers_it_and_where_and_when_that_was_read(entry: ModelListing) -> None:
    assert entry.providers
    assert entry.source
    assert entry.read_on is not None


@pytest.mark.parametrize("kind", list(ModelKind))
@pytest.mark.parametrize("provider", sorted({*listed_providers(), "other"}))
def test_an_order_names_models_of_the_table(provider: str, kind: ModelKind) -> None:
    for name in order_at(provider, kind):
        if "*" in name:
            continue
        listing: ModelListing = TABLES[kind].listed[name]  # type: ignore[attr-defined]
        assert provider in {*listing.providers, "other"}


@pytest.mark.parametrize(
    ("name", "ended"),
    [("gpt-3.5-turbo", date(2026, 10, 23)), ("gpt-5", date(2026, 12, 11)), ("gpt-4o", date(2027, 1, 14))],
)
def test_a_chat_model_has_its_last_day(name: str, ended: date) -> None:
    assert load_chat_models().get(name).last_day("openai") == ended


def test_a_last_day_is_about_the_providers_that_offer_the_model() -> None:
    whisper = load_models().get("whisper-1")
    assert whisper.last_day("openai") == date(2027, 2, 26)
    assert whisper.last_day("groq") is None
    assert whisper.last_day("proxy.example") == date(2027, 2, 26)
    assert load_models({"whisper-1": {"shutdown": False}}).get("whisper-1").last_day("openai") is None


@pytest.mark.parametrize(
    ("days", "said"),
    [(61, None), (60, "ends at openai on"), (0, "in 0 days"), (-1, "ended at openai on")],
)
def test_an_end_is_remarked_on_sixty_days_ahead(days: int, said: str | None) -> None:
    whisper = load_models().get("whisper-1")
    remark = whisper.remark("openai", date(2027, 2, 26) - timedelta(days=days))
    assert (remark is None) == (said is None)
    assert (said or "") in (remark or "")
    assert remark is None or "gpt-transcribe" in remark


def test_a_server_that_is_not_known_may_pass_calls_on() -> None:
    remark = load_chat_models().get("gpt-4o-mini").remark("proxy.example", NOW)
    assert remark is not None
    assert "does proxy.example pass calls on to openai?" in remark


@pytest.mark.parametrize(
    ("at", "provider", "transcribes", "chats"),
    [
        (NOW, "openai", "whisper-1", "gpt-6-luna"),
        (date(2027, 2, 26), "openai", "whisper-1", "gpt-6-luna"),
        (date(2027, 2, 27), "openai", "gpt-transcribe", "gpt-6-luna"),
        (date(2027, 2, 27), "groq", "whisper-large-v3-turbo", "openai/gpt-oss-120b"),
        (date(2027, 2, 27), "proxy.example", "gpt-transcribe", "gpt-6-luna"),
    ],
)
def test_a_default_is_the_first_that_lives(
    monkeypatch: pytest.MonkeyPatch, at: date, provider: str, transcribes: str, chats: str
) -> None:
    monkeypatch.setattr(chosen_models, "today", lambda: at)
    settings = _settings(provider)
    assert chosen_models.transcription_model(settings) == transcribes
    assert chosen_models.chat_model(settings) == chats


def test_no_default_speaks_where_the_provider_has_none_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings("openai")
    monkeypatch.setattr(chosen_models, "today", lambda: date(2027, 1, 6))
    assert chosen_models.speech_model(settings) == "tts-1"
    monkeypatch.setattr(chosen_models, "today", lambda: date(2027, 1, 7))
    with pytest.raises(SettingsError, match="tts-1 ended on 2027-01-06") as refused:
        chosen_models.speech_model(settings)
    assert "OPENAI_BASE_URL" in (refused.value.hint or "")
    assert chosen_models.speech_model(settings, "my-tts") == "my-tts"


def test_today_is_a_day_by_utc() -> None:
    assert isinstance(model_table.today(), date)


def _settings(provider: str) -> Settings:
    # Who is not known by name is at an address.
    url = "https://proxy.example/v1" if provider == "proxy.example" else None
    return Settings(OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=url, provider=provider)  # type: ignore[call-arg]


def test_the_end_of_a_model_of_ones_own_is_told_of_who_is_asked() -> None:
    """An entry of the user's need not say who offers it."""
    mine = load_models({"mine": {"shutdown": NOW}}).get("mine")
    assert mine.remark("server.example", NOW) == f"mine ends at server.example on {NOW}, in 0 days"


def test_at_azure_the_first_deployment_of_its_kind_is_taken() -> None:
    deployed = {"my-gpt": "gpt-4o-mini", "my-ears": "gpt-4o-transcribe", "my-whisper": "whisper-1"}
    own = {"azure": {"base_url": "https://mine.openai.azure.com", "deployments": deployed}}
    settings = Settings(provider="azure", providers=own)
    assert chosen_models.transcription_model(settings) == "gpt-4o-transcribe"
    assert chosen_models.chat_model(settings) == "gpt-4o-mini"
    with pytest.raises(SettingsError, match="azure offers no model that speaks"):
        chosen_models.speech_model(settings)
