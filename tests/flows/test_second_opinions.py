"""`--check`: Whisper hears as well what an API transcribed; what differs is asked for again and marked."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stenoflow.storage.database.cache_keys import second_opinion_key
from stenoflow.tasks.errors import EngineError
from stenoflow.tasks.transcript.second_opinion import Heard
from stenoflow.tasks.transcript.types import Word
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, Fields, Recogniser

_WHOLE = ("--segment-seconds", "300", "--check", "--json")


class Opinion:
    """Hears all words, in place of Whisper, which does not know them."""

    name = "exact"
    heard = 0

    def __init__(self, model: str) -> None:
        assert model == "auto"

    async def hear(self, sound: Path, language: str | None) -> Heard | None:
        assert language == "en"
        type(self).heard += 1
        words = recognise(await asyncio.to_thread(sound.read_bytes))["words"]
        timed = (Word(each["word"], round(each["start"] * 1000), round(each["end"] * 1000)) for each in words)
        return Heard(tuple(timed))

    def close(self) -> None:
        """Hold nothing."""


@pytest.fixture(autouse=True)
def opinion(monkeypatch: pytest.MonkeyPatch) -> type[Opinion]:
    """The second opinion, as the program opens it."""

    class Counted(Opinion):
        pass

    monkeypatch.setattr("stenoflow.tasks.engine.second_opinion.EmbeddedOpinion", Counted)
    return Counted


def _lacking(first: int, end: int, answers: int = 1) -> Recogniser:
    """Leave words out of the first answers."""
    left = iter(range(answers))

    def hear(sound: bytes, _fields: Fields) -> dict[str, Any]:
        heard = recognise(sound)
        if next(left, None) is None:
            return heard
        words = heard["words"][:first] + heard["words"][end:]
        return {**heard, "words": words, "text": " ".join(each["word"] for each in words), "segments": []}

    return hear


def _wrong(first: int, end: int) -> Recogniser:
    """Say something else in place of words."""

    def hear(sound: bytes, _fields: Fields) -> dict[str, Any]:
        heard = recognise(sound)
        words = [
            {**word, "word": f"other{at}"} if first <= at < end else word
            for at, word in enumerate(heard["words"])
        ]
        return {**heard, "words": words, "text": " ".join(each["word"] for each in words), "segments": []}

    return hear


def _shown(stenoflow: Command, line: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(stenoflow("show", line["job"], "--json").out))


def _opinions(home: Path) -> int:
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        keys = {key for (key,) in database.execute("SELECT work_key FROM results")}
        return sum(second_opinion_key(key) in keys for key in keys)
    finally:
        database.close()


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_an_answer_that_both_agree_on_is_taken_at_once(
    stenoflow: Command, meeting: Meeting, home: Path, opinion: type[Opinion]
) -> None:
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"], opinion.heard) == ("complete", 1, 1)
    shown = _shown(stenoflow, line)
    assert (shown["segments"][0]["suspect"], shown["second_opinion"]) == (None, [])
    assert json.loads(read_artifact(line, "json"))["second_opinion"] == []
    assert _opinions(home) == 1
    assert stenoflow("transcribe", meeting.path, *_WHOLE).line["calls"] == 0
    assert stenoflow("forget", line["recording"], "--yes").exit_code == 0
    assert _opinions(home) == 0


@pytest.mark.program
def test_words_that_are_left_out_are_asked_for_again(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, opinion: type[Opinion]
) -> None:
    api.recogniser = _lacking(20, 60)
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"], opinion.heard) == ("complete", 2, 1)
    assert [call.values("temperature") for call in api.calls] == [[], ["0.2"]]
    words = json.loads(read_artifact(line, "json"))["words"]
    assert [word["word"] for word in words] == [word.text for word in meeting.words]
    assert _shown(stenoflow, line)["segments"][0]["suspect"] is None


@pytest.mark.program
def test_what_differs_twice_is_marked_where_it_is(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = _wrong(20, 60)
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"]) == ("complete", 2)
    shown = _shown(stenoflow, line)
    (stretch,) = shown["second_opinion"]
    assert (shown["segments"][0]["suspect"], stretch["kind"]) == ("differs", "otherwise")
    assert stretch["start"] == pytest.approx(meeting.words[20].start_ms / 1000, abs=0.5)
    assert stretch["end"] == pytest.approx(meeting.words[60].start_ms / 1000, abs=0.7)
    assert json.loads(read_artifact(line, "json"))["second_opinion"] == [stretch]
    assert "a second opinion differs" in read_artifact(line, "html")
    assert "otherwise" in stenoflow("show", line["job"]).out


@pytest.mark.program
def test_words_that_are_found_otherwise_are_no_longer_said_to_be_missing(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = _lacking(20, 60, answers=2)
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"]) == ("complete", 3), "the hole is asked for by itself"
    assert _shown(stenoflow, line)["second_opinion"] == []


@pytest.mark.program
def test_where_the_budget_has_no_room_the_first_answer_is_taken_and_marked(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = _lacking(20, 60, answers=9)
    line = stenoflow("transcribe", meeting.path, *_WHOLE, "--budget", "0.024").line
    assert line["calls"] == 1
    shown = _shown(stenoflow, line)
    assert [each["kind"] for each in shown["second_opinion"]] == ["omission"]
    assert shown["segments"][0]["suspect"] == "differs"
    assert "perhaps words are missing" in read_artifact(line, "html")


async def _fail(*_: object) -> None:
    raise EngineError("no")


async def _know_nothing(*_: object) -> None:
    return None


@pytest.mark.program
@pytest.mark.parametrize("hear", [_fail, _know_nothing])
@pytest.mark.usefixtures("api")
def test_without_an_opinion_the_answer_is_taken_as_it_is(
    stenoflow: Command,
    meeting: Meeting,
    opinion: type[Opinion],
    hear: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opinion, "hear", hear)
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"]) == ("complete", 1)
    assert "second_opinion" not in _shown(stenoflow, line)


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_it_is_asked_for_by_the_settings_as_well(
    stenoflow: Command,
    meeting: Meeting,
    opinion: type[Opinion],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STENOFLOW_CHECK", "true")
    assert stenoflow("transcribe", meeting.path, "--segment-seconds", "60", "--json").line["calls"] == 4
    assert opinion.heard == 4
