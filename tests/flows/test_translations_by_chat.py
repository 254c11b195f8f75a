"""`--translate` where the model that hears does not translate: a chat model does, and is paid once."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Command, Meeting, read_artifact, write_settings
from tests.flows.test_translations import in_german
from tests.servers.audio_api import AudioApiServer
from tests.servers.chat import Document

_SHORT = ("--segment-seconds", "60", "--concurrency", "1", "--translate", "--json")
_HEARS_ONLY = '[models."whisper-1"]\ntranslations = false\n'
_LINE = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)


def lines_in(document: Document) -> dict[int, str]:
    return {int(number): said for number, said in _LINE.findall(document["messages"][-1]["content"])}


def in_english(document: Document, *, without: frozenset[int] = frozenset()) -> str:
    """Say each number as n and its digits; leave some lines out."""
    entries = [
        {"line": number, "text": " ".join(f"n{word}" for word in said.split())}
        for number, said in lines_in(document).items()
        if number not in without
    ]
    return json.dumps({"utterances": entries})


@pytest.fixture
def chatting(api: AudioApiServer, home: Path) -> AudioApiServer:
    assert not home.exists()
    write_settings(_HEARS_ONLY)
    api.recogniser = in_german
    api.chat.chatter = in_english
    return api


def _charged(home: Path, unit: str) -> int:
    """Return what was charged for translating, in micro-units."""
    what = "kind = 'actual' AND activity = 'translating'"
    query = f"SELECT unit, amount_micro FROM charges WHERE {what}"  # noqa: S608 - nothing from outside
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        return sum(amount for of, amount in database.execute(query) if of == unit)
    finally:
        database.close()


def _folder(line: dict[str, Any]) -> Path:
    return Path(line["artifacts"]["json"].removeprefix("file://")).parent


def test_what_was_heard_is_translated_with_its_times_and_paid_for_once(
    stenoflow: Command,
    chatting: AudioApiServer,
    meeting: Meeting,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = chatting
    line = stenoflow("transcribe", meeting.path, *_SHORT).line
    # The segment that was in English already is not paid for twice.
    assert (line["status"], line["segments"], line["calls"]) == ("complete", 4, 7)
    assert (len(api.calls), len(api.translations), len(api.chat.chats)) == (4, 0, 3)
    asked = api.chat.chats[0].document
    assert {chat.document["reasoning_effort"] for chat in api.chat.chats} == {"low"}
    assert (asked["model"], asked["response_format"]["type"]) == ("gpt-6-luna", "json_schema")
    tokens = sum(0.10 * chat.read + 0.50 * chat.written for chat in api.chat.chats)
    assert _charged(home, "token") == pytest.approx(tokens, abs=2)

    said = read_artifact(line, "translation.txt").split()
    assert [word.removeprefix("n") for word in said] == [word.text for word in meeting.words]
    original, translated = (json.loads(read_artifact(line, name)) for name in ("json", "translation.json"))
    assert (translated["language"], translated["task"]) == ("en", "translate")
    assert translated["coverage"] == original["coverage"]
    spans = [[(each["start"], each["end"]) for each in it["segments"]] for it in (original, translated)]
    assert spans[0] == spans[1]
    manifest = json.loads((_folder(line) / "manifest.json").read_text())
    assert manifest["job"]["settings"]["translator"] == "gpt-6-luna"
    assert manifest["translation"]["missing"] == []

    (_folder(line) / "translation.txt").unlink()
    assert stenoflow("verify", "--repair").exit_code == 0
    assert read_artifact(line, "translation.txt").split() == said
    assert len(api.chat.chats) == 3
    # Another model is asked anew; the recording is neither heard nor read again.
    monkeypatch.setenv("STENOFLOW_CHAT_MODEL", "gpt-4.1-mini")
    other = stenoflow("transcribe", meeting.path, *_SHORT).line
    assert (other["status"], other["calls"], other["reused"]) == ("complete", 3, 4)
    assert (len(api.calls), api.chat.chats[-1].document["model"]) == (4, "gpt-4.1-mini")
    assert other["job"] != line["job"]
    assert stenoflow("forget", line["recording"], "--yes").exit_code == 0
    database = sqlite3.connect(home / "stenoflow.db")
    assert database.execute("SELECT count(*) FROM results").fetchone() == (0,)
    database.close()


@pytest.mark.program
def test_lines_that_are_left_out_are_asked_for_again_and_what_never_comes_is_said_to_lack(
    stenoflow: Command, chatting: AudioApiServer, meeting: Meeting
) -> None:
    api = chatting
    # So small an answer that a segment takes several requests.
    small = '[chat_models."gpt-6-luna"]\ncontext = 4096\nanswer = 256\n'
    write_settings(_HEARS_ONLY + small)

    def forgetful(document: Document) -> str:
        lines = lines_in(document)
        is_of_the_first_segment = int(next(iter(lines.values())).split()[0]) < 200
        # Of the first segment nothing but the first line comes, of the others all but the second.
        lacking = frozenset(lines) - {1} if is_of_the_first_segment else frozenset({2})
        return in_english(document, without=lacking)

    api.chat.chatter = forgetful
    printed = stenoflow("transcribe", meeting.path, *_SHORT)
    line = printed.line
    assert (printed.exit_code, line["status"], line["missing"]) == (3, "partial", [])
    assert line["error"]["kind"] == "not-in-english"
    assert read_artifact(line, "txt").split() == [word.text for word in meeting.words]
    english = read_artifact(line, "translation.txt")
    assert "[missing 00:00" in english
    assert "[not translated]" in english
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert "untranslated" in {each["translation_suspect"] for each in shown["segments"]}

    before = len(api.chat.chats)
    api.chat.chatter = in_english
    resumed = stenoflow("resume", line["job"], "--json").line
    assert (resumed["status"], resumed["calls"]) == ("complete", len(api.chat.chats) - before)
    # What came of the first segment was kept.
    again = [number for chat in api.chat.chats[before:] for number in lines_in(chat.document)]
    assert again
    assert 1 not in again
    words = [word.removeprefix("n") for word in read_artifact(resumed, "translation.txt").split()]
    assert [word for word in words if word.isdigit()] == [word.text for word in meeting.words]


def test_it_is_estimated_held_against_budgets_and_refused_before_anything_is_spent(
    stenoflow: Command, chatting: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = chatting
    line = stenoflow("estimate", meeting.path, "--segment-seconds", "60", "--translate", "--json").line
    assert (line["translation"]["model"], line["translation"]["requests"]) == ("gpt-6-luna", 4)
    assert float(line["cost"]) == pytest.approx(0.024 + float(line["translation"]["cost"]))
    tight = stenoflow("transcribe", meeting.path, *_SHORT, "--budget", "0.025")
    assert (tight.exit_code, tight.line["error"]["kind"]) == (4, "budget")
    monkeypatch.setenv("STENOFLOW_CHAT_MODEL", "my-llm")
    unknown = stenoflow("transcribe", meeting.path, *_SHORT, "--budget", "1")
    assert (unknown.exit_code, unknown.line["error"]["kind"]) == (4, "budget")
    assert "the price of my-llm" in unknown.line["error"]["message"]
    write_settings(_HEARS_ONLY + '[chat_models."my-llm"]\ncontext = 1024\nanswer = 256\n')
    small = stenoflow("transcribe", meeting.path, *_SHORT)
    assert (small.exit_code, "too small to translate" in " ".join(small.err.split())) == (2, True)
    monkeypatch.setenv("STENOFLOW_CHAT_MODEL", "extractive-summary")
    mute = stenoflow("transcribe", meeting.path, *_SHORT)
    assert mute.exit_code == 2
    assert "nor does the chat model extractive-summary" in " ".join(mute.err.split())
    assert not api.calls
    assert not api.chat.chats


@pytest.mark.program
def test_a_server_without_chat_hears_all_the_same_and_what_it_hears_in_no_known_language_is_translated(
    stenoflow: Command, chatting: AudioApiServer, meeting: Meeting
) -> None:
    api = chatting
    by = ("--model", "gpt-4o-transcribe", "--segment-seconds", "240", "--translate", "--json")
    api.script(["ok", "404-model"])
    line = stenoflow("transcribe", meeting.path, *by).line
    assert (line["status"], line["error"]["kind"]) == ("partial", "api-not-translated")
    assert read_artifact(line, "txt").split() == [word.text for word in meeting.words]
    line = stenoflow("resume", line["job"], "--json").line
    assert (line["status"], len(api.chat.chats)) == ("complete", 2)
    assert read_artifact(line, "translation.txt").split()[0].startswith("n")
