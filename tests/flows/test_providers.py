"""Several providers in one home: who hears, who writes, who speaks, and with which key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.calls.provider import asked_for
from stenoflow.tasks.settings import load_settings
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.servers.audio_api import AudioApiServer, audio_api_server
from tests.servers.dialects import dialect_server

_ALONE = ("--concurrency", "1", "--json")


@pytest.fixture
def writer() -> Iterator[AudioApiServer]:
    with audio_api_server() as server:
        yield server


@pytest.fixture
def speaker() -> Iterator[AudioApiServer]:
    with audio_api_server() as server:
        yield server


def _set(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "stenoflow.toml").write_text(text, "utf-8")


@pytest.mark.program
def test_each_thing_is_asked_of_its_own_server(
    stenoflow: Command,
    api: AudioApiServer,
    writer: AudioApiServer,
    speaker: AudioApiServer,
    meeting: Meeting,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(
        home,
        f'[providers.writes]\nbase_url = "{writer.base_url}"\nkey_env = "WRITER_KEY"\n'
        f'[providers.speaks]\nbase_url = "{speaker.base_url}"\n',
    )
    monkeypatch.setenv("WRITER_KEY", "key-of-the-writer")
    monkeypatch.setenv("STENOFLOW_CHAT_PROVIDER", "writes")
    monkeypatch.setenv("STENOFLOW_SPEECH_PROVIDER", "speaks")
    writer.key = "key-of-the-writer"
    line = stenoflow("transcribe", meeting.path, "--digest", *_ALONE).line
    assert (line["status"], line["digest"]["status"]) == ("complete", "complete")
    assert stenoflow("speak", "Good night.", "-o", tmp_path / "night.mp3", "--json").exit_code == 0
    assert (len(api.calls) > 0, len(api.chat.chats), len(api.speech.calls)) == (True, 0, 0)
    assert (len(writer.calls), len(writer.chat.chats) > 0, len(writer.speech.calls)) == (0, True, 0)
    assert (len(speaker.calls), len(speaker.chat.chats), len(speaker.speech.calls)) == (0, 0, 1)
    with sqlite3.connect(home / "stenoflow.db") as database:
        paid = dict(database.execute("SELECT activity, provider FROM charges"))
    assert paid == {"hearing": "127.0.0.1", "chat": "writes", "speaking": "speaks"}


def test_what_was_begun_at_one_server_is_resumed_there(
    stenoflow: Command, api: AudioApiServer, speaker: AudioApiServer, home: Path, tmp_path: Path
) -> None:
    _set(home, f'speech_provider = "speaks"\n[providers.speaks]\nbase_url = "{speaker.base_url}"\n')
    speaker.mode = "400"
    failed = stenoflow("speak", "Good night.", "-o", tmp_path / "night.mp3", "--json")
    assert failed.exit_code == 3
    speaker.mode = "ok"
    _set(home, f'[providers.speaks]\nbase_url = "{speaker.base_url}"\n')
    assert stenoflow("resume", failed.line["job"], "--json").line["status"] == "complete"
    assert api.speech.calls == []


def test_a_key_comes_from_the_variable_that_the_provider_names(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    monkeypatch.setenv("STENOFLOW_TRANSCRIPTION_PROVIDER", "groq")
    home.mkdir()
    (home / ".env").write_text("GROQ_API_KEY=gsk-of-the-home\n", "utf-8")
    settings = load_settings()
    hears, writes = asked_for(settings), asked_for(settings, ModelKind.CHAT)
    assert (hears.provider.base_url, hears.key) == ("https://api.groq.com/openai/v1", "gsk-of-the-home")
    assert (writes.provider.name, writes.key) == ("openai", "sk-test-0123456789")


def test_a_known_host_is_asked_with_the_key_that_is_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://mine.openai.azure.com")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-of-azure")
    assert asked_for(load_settings(home=home)).key == "key-of-azure"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    assert asked_for(load_settings(home=home)).key == "sk-test-0123456789"


@pytest.mark.usefixtures("api")
def test_a_provider_that_there_is_not_is_named(
    stenoflow: Command, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_TRANSCRIPTION_PROVIDER", "grok")
    printed = stenoflow("transcribe", meeting.path)
    assert printed.exit_code == 2
    assert "no provider grok" in printed.err
    assert "groq" in printed.err


def test_a_provider_of_all_that_there_is_not_is_named(
    stenoflow: Command, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_PROVIDER", "grok")
    for key in ("", "sk-test-0123456789"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        for command in ("transcribe", "estimate"):
            refused = stenoflow(command, meeting.path)
            assert (refused.exit_code, "no provider grok" in refused.err) == (2, True)
    # With an address, it is what prices and charges call who is there.
    monkeypatch.setenv("OPENAI_BASE_URL", "http://ours/v1")
    assert asked_for(load_settings()).provider.name == "grok"


@pytest.mark.program
def test_deepgram_hears_a_whole_recording(
    stenoflow: Command, meeting: Meeting, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "key-1")
    monkeypatch.setenv("STENOFLOW_TRANSCRIPTION_PROVIDER", "deepgram")
    with dialect_server("deepgram") as (base_url, came):
        _set(home, f'[providers.deepgram]\nbase_url = "{base_url}"\n')
        line = stenoflow("transcribe", meeting.path, *_ALONE).line
    assert line["calls"] == len(came) > 0
    assert {dict(sent.query)["model"] for sent in came} == {"nova-3"}
    # It is believed how many seconds it counted, as far as that can be.
    assert float(line["cost"]) > 0


@pytest.mark.program
@pytest.mark.parametrize("speakers", ["model", "none"])
def test_mistral_tells_speakers_apart_where_it_is_asked_to(
    stenoflow: Command, meeting: Meeting, home: Path, monkeypatch: pytest.MonkeyPatch, speakers: str
) -> None:
    monkeypatch.setenv("STENOFLOW_TRANSCRIPTION_PROVIDER", "mistral")
    with dialect_server("mistral") as (base_url, came):
        _set(home, f'[providers.mistral]\nbase_url = "{base_url}"\n')
        line = stenoflow("transcribe", meeting.path, "--speakers", speakers, "--language", "en", *_ALONE).line
    assert line["calls"] == len(came) > 0
    told = ["true"] if speakers == "model" else []
    assert {tuple(sent.values("diarize")) for sent in came} == {tuple(told)}
    assert all(sent.values("timestamp_granularities") and not sent.values("language") for sent in came)
    transcript = json.loads(read_artifact(line, "json"))
    assert bool(transcript["speakers"]) == bool(told)


@pytest.mark.program
def test_azure_is_asked_by_deployment_and_paid_by_model(
    stenoflow: Command, meeting: Meeting, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-1")
    monkeypatch.setenv("STENOFLOW_TRANSCRIPTION_PROVIDER", "azure")
    with dialect_server("azure") as (base_url, came):
        deployed = '[providers.azure.deployments]\nmy-whisper = "whisper-1"\n'
        _set(home, f'[providers.azure]\nbase_url = "{base_url}"\n{deployed}')
        by_model = stenoflow("transcribe", meeting.path, "--model", "whisper-1", *_ALONE).line
        by_name = stenoflow("transcribe", meeting.path, "--model", "my-whisper", *_ALONE).line
    assert by_model["job"] == by_name["job"]
    assert {sent.path for sent in came} == {"/openai/deployments/my-whisper/audio/transcriptions"}
    assert by_model["cost"] != "0.0000"


def test_a_server_that_nobody_described_is_sent_no_more_than_all_take(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    del api
    stenoflow("transcribe", meeting.path, "--segment-seconds", "900", *_ALONE)
    with sqlite3.connect(home / "stenoflow.db") as database:
        ((settings,),) = database.execute("SELECT settings FROM jobs")
    assert '"target_ms": 514000' in settings


def test_what_was_cut_before_a_server_had_limits_is_not_bought_again(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    _set(home, '[providers."127.0.0.1"]\nmax_seconds = 100000\n')
    before = stenoflow("transcribe", meeting.path, *_ALONE).line
    bought = len(api.calls)
    _set(home, "")
    again = stenoflow("transcribe", meeting.path, *_ALONE).line
    assert (again["job"], again["calls"]) == (before["job"], 0)
    assert len(api.calls) == bought
