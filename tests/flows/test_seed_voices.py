"""The voices that the guide names: gemini-2-5-tts, qwen-tts, tts-1, tts-1-hd."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.flows.conftest import Command
from tests.servers.audio_api import AudioApiServer

_VOICES = {"gemini-2-5-tts": 30, "qwen-tts": 4, "tts-1": 9, "tts-1-hd": 9}


@pytest.mark.program
@pytest.mark.parametrize(("model", "count"), _VOICES.items())
def test_each_voice_can_be_heard_before_one_is_chosen(
    stenoflow: Command,
    api: AudioApiServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    count: int,
) -> None:
    monkeypatch.setenv("STENOFLOW_ALLOW_PRC", "true")
    folder = tmp_path / "voices"
    printed = stenoflow("speak", "Hello there.", "--sample", "-o", folder, "--model", model, "--json")
    assert printed.exit_code == 0
    assert len(list(folder.glob("*.mp3"))) == len(api.speech.calls) == count
    assert {call.document["model"] for call in api.speech.calls} == {model}
    assert (folder / "index.html").exists()


def test_gemini_has_voices_of_its_own_and_is_told_in_the_text_how_to_say_it(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, home: Path
) -> None:
    asked = ("speak", "It is nine.", "-o", tmp_path / "x.wav", "--model", "gemini-2-5-tts")
    line = stenoflow(*asked, "--instructions", "Say it calmly:", "--json").line
    document = api.speech.calls[0].document
    assert (document["voice"], document["response_format"]) == ("Kore", "pcm")
    assert document["input"] == "Say it calmly: It is nine."
    assert "instructions" not in document
    with sqlite3.connect(home / "stenoflow.db") as database:
        (unit, price), *_ = database.execute("select unit, price from charges where kind = 'actual'")
    assert unit == "ms"
    assert "million audio tokens" in price
    assert float(line["cost"]) > 0
    refused = stenoflow(*asked, "--voice", "nova")
    assert refused.exit_code == 2
    assert "Kore" in refused.err


def test_text_goes_to_the_prc_only_where_that_is_allowed(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, home: Path
) -> None:
    asked = ("speak", "It is nine.", "-o", tmp_path / "x.mp3", "--model", "qwen-tts")
    refused = stenoflow(*asked)
    assert refused.exit_code == 2
    assert "allow_prc" in refused.err
    assert "People's Republic of China" in refused.err
    assert not api.speech.calls
    home.mkdir(exist_ok=True)
    (home / "stenoflow.toml").write_text("allow_prc = true\n", "utf-8")
    assert stenoflow(*asked, "--json").line["cost"] is None
    (call,) = api.speech.calls
    assert (call.document["voice"], call.document["response_format"]) == ("Cherry", "pcm")
