"""The list of models, and warnings of those that end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting
from tests.servers.audio_api import AudioApiServer, audio_api_server


def _in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def _set(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "stenoflow.toml").write_text(text, "utf-8")


def test_the_list_says_what_each_can_do_costs_and_until_when(
    stenoflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    rows = {(row["kind"], row["model"]): row for row in stenoflow("models", "--json").lines}
    whisper = rows["transcription", "whisper-1"]
    assert (whisper["provider"], whisper["hour"], whisper["until"]) == ("openai", "0.3600", "2027-02-26")
    assert whisper["then"] == "gpt-transcribe"
    assert "times of words" in whisper["can"]
    assert rows["chat", "gpt-6-luna"]["in_use"]
    assert rows["chat", "openai/gpt-oss-20b"]["hour"] is None
    assert {kind for kind, _ in rows} == {"transcription", "chat", "speech"}
    assert all(row["offered"] is None and row["source"] for row in rows.values())
    table = stenoflow("models", "--kind", "speech").out
    assert "tts-1" in table
    assert "whisper-1" not in table


def test_the_server_is_asked_what_it_offers(stenoflow: Command, api: AudioApiServer) -> None:
    ends = _in_days(20)
    api.models = [{"id": "whisper-1", "shutdown_date": ends}, {"id": "my-own"}]
    rows = {row["model"]: row for row in stenoflow("models", "--check", "--json").lines}
    assert (rows["whisper-1"]["offered"], rows["whisper-1"]["until"]) == (True, ends)
    assert (rows["my-own"]["offered"], rows["my-own"]["kind"]) == (True, None)
    assert "gpt-4o" not in rows
    assert not api.calls


@pytest.mark.program
@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(("days", "said"), [(59, "ends at"), (-1, "ended at"), (90, None)])
def test_a_model_that_ends_is_warned_of_at_each_use(
    stenoflow: Command, meeting: Meeting, home: Path, days: int, said: str | None
) -> None:
    _set(home, f'[models."mine"]\nshutdown = {_in_days(days)}\nsuccessor = "yours"\nproviders = ["openai"]\n')
    printed = stenoflow("transcribe", meeting.path, "--model", "mine", "--json")
    assert printed.exit_code == 0
    assert ("Warning: mine" in printed.err) == (said is not None)
    assert (said or "") in printed.err
    assert said is None or "yours" in printed.err


@pytest.mark.usefixtures("api")
def test_voices_and_chat_models_that_end_are_warned_of_too(
    stenoflow: Command, home: Path, tmp_path: Path
) -> None:
    _set(home, f'[speech_models."tts-1"]\nshutdown = {_in_days(5)}\n')
    printed = stenoflow("speak", "Good night.", "-o", tmp_path / "night.mp3", "--model", "tts-1", "--json")
    assert printed.err.count("Warning: tts-1 ends at openai") == 1
    again = stenoflow("metrics", "--once").out
    assert 'stenoflow_model_last_day_timestamp_seconds{kind="speech",model="tts-1"' in again


def test_each_kinds_server_is_asked(stenoflow: Command, api: AudioApiServer, home: Path) -> None:
    api.models = [{"id": "whisper-1"}]
    with audio_api_server() as writer:
        _set(home, f'chat_provider = "writes"\n[providers.writes]\nbase_url = "{writer.base_url}"\n')
        writer.models = [{"id": "gpt-6-luna"}]
        rows = stenoflow("models", "--check", "--json").lines
        assert [(row["provider"], row["model"]) for row in rows if row["offered"]] == [
            ("127.0.0.1", "whisper-1"),
            ("writes", "gpt-6-luna"),
        ]
        ours = stenoflow("models", "--check", "--kind", "chat", "--json").lines
        assert {row["provider"] for row in ours} == {"writes"}
    # One that does not answer hides nothing of the other.
    printed = stenoflow("models", "--check", "--json")
    assert (printed.exit_code, [row["model"] for row in printed.lines]) == (0, ["whisper-1"])
    assert writer.base_url in printed.err


@pytest.mark.usefixtures("api")
def test_a_model_in_use_that_the_table_lacks_is_listed_too(
    stenoflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_CHAT_MODEL", "my-own")
    used = [
        (row["kind"], row["model"], row["provider"])
        for row in stenoflow("models", "--json").lines
        if row["in_use"]
    ]
    assert ("chat", "my-own", "127.0.0.1") in used
    kinds = [row["kind"] for row in stenoflow("models", "--json").lines]
    assert kinds == sorted(kinds, key=("transcription", "chat", "speech").index)
    assert {kind for kind, _, _ in used} == {"transcription", "chat", "speech"}


def test_an_end_that_only_the_provider_tells_is_warned_of(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    api.models = [{"id": "my-tts", "shutdown_date": _in_days(9)}]
    assert stenoflow("models", "--check").exit_code == 0
    printed = stenoflow("speak", "Good night.", "-o", tmp_path / "night.mp3", "--model", "my-tts")
    assert f"Warning: my-tts ends at 127.0.0.1 on {_in_days(9)}" in printed.err
