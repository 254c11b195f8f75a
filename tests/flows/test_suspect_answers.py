"""Strange answers: asked for once more, both kept and paid for, and marked if the second is no better."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Command, Meeting, charges, read_artifact
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, Fields, Recogniser, fixed_text

# One segment, so that calls come in the order of the script.
_WHOLE = ("--segment-seconds", "300", "--json")


def _remarks(stenoflow: Command, line: dict[str, Any]) -> list[str | None]:
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    return [segment["suspect"] for segment in shown["segments"]]


def _kept(home: Path) -> int:
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        (count,) = database.execute("SELECT count(*) FROM attempts WHERE answer IS NOT NULL").fetchone()
        return int(count)
    finally:
        database.close()


def test_an_empty_answer_for_speech_is_asked_for_again_and_no_word_is_missing(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    api.script(["empty-text"])
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"], line["segments"]) == ("complete", 2, 1)
    words = json.loads(read_artifact(line, "json"))["words"]
    assert [word["word"] for word in words] == [word.text for word in meeting.words]
    assert _remarks(stenoflow, line) == [None]
    assert _kept(home) == 1
    assert [kind for kind, _ in charges(home)] == ["reserve", "release", "actual"] * 2
    assert [call.values("temperature") for call in api.calls] == [[], ["0.2"]]


@pytest.mark.program
@pytest.mark.parametrize(("mode", "remark"), [("empty-text", "empty"), ("repetition", "repetition")])
def test_two_strange_answers_are_taken_and_marked(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, mode: str, remark: str
) -> None:
    api.recogniser = fixed_text
    api.script([mode, mode])
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"]) == ("complete", 2)
    assert _remarks(stenoflow, line) == [remark]
    assert f"suspect: {remark}" in stenoflow("show", line["job"]).out
    assert stenoflow("transcribe", meeting.path, *_WHOLE).line["calls"] == 0


def test_what_was_doubted_is_taken_when_nothing_better_is_to_be_had(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = fixed_text
    api.script(["repetition", "400"])
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["missing"]) == ("complete", [])
    assert _remarks(stenoflow, line) == ["repetition"]
    assert "fox" in read_artifact(line, "txt")


def _with_times(change: Callable[[list[dict[str, Any]]], None]) -> Recogniser:
    def hear(sound: bytes, _fields: Fields) -> dict[str, Any]:
        heard = recognise(sound)
        words = [dict(word) for word in heard["words"]]
        change(words)
        return {**heard, "words": words}

    return hear


def _early(words: list[dict[str, Any]]) -> None:
    words[20]["start"] -= 3
    words[20]["end"] -= 3


def _ends_before_it_starts(words: list[dict[str, Any]]) -> None:
    words[5]["end"] = words[5]["start"] - 4


def _past_the_end(words: list[dict[str, Any]]) -> None:
    words[-1]["start"] = 242
    words[-1]["end"] = 242.3


@pytest.mark.program
@pytest.mark.parametrize("change", [_early, _ends_before_it_starts, _past_the_end])
def test_one_odd_time_costs_no_text_and_no_second_call(
    stenoflow: Command,
    api: AudioApiServer,
    meeting: Meeting,
    change: Callable[[list[dict[str, Any]]], None],
) -> None:
    api.recogniser = _with_times(change)
    printed = stenoflow("transcribe", meeting.path, *_WHOLE)
    line = printed.line
    assert (printed.exit_code, line["status"], line["calls"], line["missing"]) == (0, "complete", 1, [])
    document = json.loads(read_artifact(line, "json"))
    assert [word["word"] for word in document["words"]] == [word.text for word in meeting.words]
    errors = [
        abs(heard["start"] * 1000 - said.start_ms)
        for heard, said in zip(document["words"], meeting.words, strict=True)
    ]
    assert sum(error > 2 for error in errors) <= 1
    assert max(errors) < 3_000
    assert document["timing"] == "word"
    assert _remarks(stenoflow, line) == ["times"]
    assert stenoflow("transcribe", meeting.path, *_WHOLE).line["calls"] == 0
