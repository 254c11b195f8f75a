"""Defaults by what a provider offers: asked once a day, and never a reason to fail."""

from __future__ import annotations

import json
import time
from datetime import date
from pathlib import Path

import pytest

from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.calls import chosen_models
from stenoflow.tasks.calls.chosen_models import chat_model, speech_model, transcription_model
from stenoflow.tasks.calls.offers import refresh_offers
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings, load_settings
from tests.servers.audio_api import audio_api_server


@pytest.fixture(autouse=True)
def _in_december(monkeypatch: pytest.MonkeyPatch) -> None:
    """All models of these tests live then."""
    monkeypatch.setattr(chosen_models, "today", lambda: date(2026, 12, 1))


def settings_at(home: Path, base_url: str) -> Settings:
    return load_settings(home=home, OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-test")


def chosen(settings: Settings) -> str:
    refresh_offers(settings, ModelKind.TRANSCRIPTION)
    return transcription_model(settings)


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (["gpt-transcribe", "whisper-1"], "whisper-1"),
        (["gpt-transcribe", "gpt-6-luna"], "gpt-transcribe"),
        (["whisper-large-v3-turbo"], "whisper-large-v3-turbo"),
        (["kokoro", "Systran/faster-whisper-small", "whisper-x"], "Systran/faster-whisper-small"),
        (["my-whisper", "gpt-4o-transcribe"], "gpt-4o-transcribe"),
        (["something-else"], "whisper-1"),
        ([], "whisper-1"),
    ],
)
def test_the_first_of_the_order_that_is_offered_is_taken(
    tmp_path: Path, offered: list[str], taken: str
) -> None:
    with audio_api_server() as server:
        server.models = [{"id": name, "object": "model"} for name in offered]
        assert chosen(settings_at(tmp_path, server.base_url)) == taken


def test_a_model_past_its_end_by_the_providers_own_word_is_not_taken(tmp_path: Path) -> None:
    with audio_api_server() as server:
        server.models = [{"id": "whisper-1", "shutdown_date": "2026-01-01"}, {"id": "gpt-transcribe"}]
        assert chosen(settings_at(tmp_path, server.base_url)) == "gpt-transcribe"


def test_it_is_asked_once_a_day(tmp_path: Path) -> None:
    with audio_api_server() as server:
        server.models = [{"id": "gpt-transcribe"}]
        settings = settings_at(tmp_path, server.base_url)
        assert [chosen(settings), chosen(settings)] == ["gpt-transcribe"] * 2
        assert server.connections == 1
        cached = tmp_path / "offers.json"
        (entry,) = (entries := json.loads(cached.read_text("utf-8"))).values()
        entry["day"] = "2026-01-01"
        cached.write_text(json.dumps(entries), "utf-8")
        server.models = [{"id": "whisper-1"}]
        assert (chosen(settings), server.connections) == ("whisper-1", 2)
    # Gone, and not asked today again; nor is what it said forgotten tomorrow.
    assert chosen(settings) == "whisper-1"


def test_a_server_that_does_not_say_is_no_reason_to_fail(tmp_path: Path, api_down: str) -> None:
    settings = settings_at(tmp_path, api_down)
    assert chosen(settings) == "whisper-1"
    began = time.monotonic()
    (tmp_path / "offers.json").write_text("{not json", "utf-8")
    assert chosen(settings) == "whisper-1"
    assert time.monotonic() - began < 60


@pytest.fixture
def api_down() -> str:
    with audio_api_server() as server:
        return server.base_url


def test_one_choice_needs_no_list(tmp_path: Path) -> None:
    with audio_api_server() as server:
        settings = settings_at(tmp_path, server.base_url).model_copy(update={"provider": "openai"})
        refresh_offers(settings, ModelKind.CHAT)
        assert server.connections == 0
        assert chat_model(settings) == "gpt-6-luna"


@pytest.mark.parametrize(
    ("kind", "offered", "taken"),
    [
        (ModelKind.CHAT, ["gpt-4o", "openai/gpt-oss-20b"], "openai/gpt-oss-20b"),
        (ModelKind.CHAT, ["gpt-4o", "gpt-3.5-turbo"], "gpt-4o"),
        (ModelKind.SPEECH, ["gemini-2-5-tts", "qwen-tts"], "gemini-2-5-tts"),
        (ModelKind.SPEECH, ["tts-1-hd", "whisper-1"], "tts-1-hd"),
    ],
)
def test_who_writes_and_speaks_is_chosen_by_the_list_too(
    tmp_path: Path, kind: ModelKind, offered: list[str], taken: str
) -> None:
    with audio_api_server() as server:
        server.models = [{"id": name, "object": "model"} for name in offered]
        settings = settings_at(tmp_path, server.base_url)
        refresh_offers(settings, kind)
        assert (chat_model if kind is ModelKind.CHAT else speech_model)(settings) == taken


def test_where_no_model_is_left_servers_that_can_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(home=tmp_path, provider="deepgram")
    monkeypatch.setenv("DEEPGRAM_API_KEY", "x")
    with pytest.raises(SettingsError, match="deepgram offers no model that chats") as refused:
        chat_model(settings)
    assert "stenoflow engine" in refused.value.hint


@pytest.mark.parametrize(
    "found", ["[" * 100_000, "{", "[]", "\udcff", '{"openai": 5}', '{"a": {"models": {"x": {"y": [1]}}}}']
)
def test_a_file_that_is_no_list_of_offers_is_passed_over(tmp_path: Path, found: str) -> None:
    with audio_api_server() as server:
        server.models = [{"id": "gpt-transcribe", "object": "model"}]
        (tmp_path / "offers.json").write_bytes(found.encode("utf-8", "surrogateescape"))
        assert chosen(settings_at(tmp_path, server.base_url)) == "gpt-transcribe"
