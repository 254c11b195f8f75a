"""Languages: agreed on by the segments, or several; and glossaries."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stenoflow.tasks.transcript.languages import NAME_OF
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, Recogniser

# Eleven segments, one by one; not always in order.
_IN_TURN = ("--segment-seconds", "20", "--concurrency", "1", "--json")
_WHOLE = ("--segment-seconds", "300", "--json")


Heard = list[tuple[int, str | None]]
"""Of each call, the first number and the language that was told."""


def hearing(language_of: Callable[[int], str], calls: Heard) -> Recogniser:
    """Hear numbers, each segment in the language of its first; in the one that is told, if one is."""

    def hear(sound: bytes, fields: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        heard = recognise(sound)
        told = dict(fields).get("language")
        first = int(heard["words"][0]["word"])
        calls.append((first, told))
        language = told or language_of(first)
        return {**heard, "language": NAME_OF[language]}

    return hear


def by_segment(shown: dict[str, Any], meeting: Meeting, calls: Heard) -> list[tuple[int, str | None]]:
    """Say for each call which segment it was, and what was told."""
    starts = [segment["start"] * 1000 for segment in shown["segments"]]
    return [(bisect(starts, meeting.words[first].start_ms) - 1, told) for first, told in calls]


def agreed(home: Path) -> list[str | None]:
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        return [language for (language,) in database.execute("SELECT language FROM jobs")]
    finally:
        database.close()


@pytest.mark.program
def test_three_segments_agree_and_most_others_are_told(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    calls: Heard = []
    api.recogniser = hearing(lambda _: "de", calls)
    api.script(["ok"] * 5 + ["400"])
    line = stenoflow("transcribe", meeting.path, *_IN_TURN).line
    # As many as the ffmpeg that is here finds pauses for: 11 or 12.
    segments = line["segments"]
    assert (line["status"], segments > 10) == ("partial", True)
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    heard = by_segment(shown, meeting, calls)
    assert [told for _, told in heard[:3]] == [None] * 3
    assert all(told == (None if segment % 4 == 0 else "de") for segment, told in heard[3:])
    assert len(heard) == segments - 1
    assert agreed(home) == ["de"]
    resumed = stenoflow("resume", line["job"], "--json").line
    assert (resumed["status"], resumed["calls"]) == ("complete", 1)
    (failed,) = {*range(segments)} - {segment for segment, _ in heard}
    assert by_segment(shown, meeting, calls)[-1] == (failed, None if failed % 4 == 0 else "de")
    document = json.loads(read_artifact(resumed, "json"))
    assert (document["language"], document["other_languages"]) == ("de", [])
    assert [word["word"] for word in document["words"]] == [word.text for word in meeting.words]
    # Another job, whose segments are told nothing since all their answers are there.
    twin = meeting.path.with_name("twin.mp3")
    twin.write_bytes(meeting.path.read_bytes())
    again = stenoflow("transcribe", meeting.path, twin, *_IN_TURN).lines
    twin.unlink()
    assert [(each["status"], each["calls"]) for each in again] == [("complete", 0)] * 2


@pytest.mark.program
def test_who_hears_something_else_is_kept_and_flagged_and_its_neighbours_find_out_themselves(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    # The fifth segment, of 53 to 58 words as the others, is free to say so.
    calls: Heard = []
    api.recogniser = hearing(lambda first: "en" if 210 < first < 260 else "de", calls)
    line = stenoflow("transcribe", meeting.path, *_IN_TURN).line
    document = json.loads(read_artifact(line, "json"))
    assert document["language"] == "de"
    (other,) = document["other_languages"]
    assert other["language"] == "en"
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert shown["language"] == "de"
    heard = by_segment(shown, meeting, calls)
    after = heard[heard.index((4, None)) :]
    neighbours = [told for segment, told in after if segment in {5, 6, 7}]
    assert set(neighbours) == {None}
    assert {told for segment, told in after if segment in {9, 10, 11}} <= {"de"}
    others = [each["other_language"] for each in shown["segments"]]
    assert others == [None] * 4 + ["en"] + [None] * (line["segments"] - 5)
    assert (shown["segments"][4]["start"], shown["segments"][4]["end"]) == (other["start"], other["end"])
    assert "heard as en" in stenoflow("show", line["job"]).out
    manifest = json.loads(
        Path(shown["artifacts"]["manifest.json"]["uri"].removeprefix("file://")).read_text()
    )
    assert manifest["segments"][4]["other_language"] == "en"


def test_a_short_recording_is_told_nothing(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> None:
    stenoflow("transcribe", meeting.path, *_WHOLE)
    (call,) = api.calls
    assert {name for name, _ in call.fields} == {"model", "response_format", "timestamp_granularities[]"}


@pytest.mark.program
def test_of_several_languages_one_that_nobody_speaks_is_asked_for_again(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    languages = iter(["de", "de", "es", "en"])
    calls: Heard = []
    api.recogniser = hearing(lambda _: next(languages), calls)
    wanted = ("--languages", "English,de-AT", "--segment-seconds", "60", "--concurrency", "1", "--json")
    line = stenoflow("transcribe", meeting.path, *wanted).line
    assert (line["status"], line["calls"], line["segments"]) == ("complete", 5, 4)
    assert [told for _, told in calls] == [None, None, None, "de", None]
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert shown["settings"]["languages"] == ["en", "de"]
    assert [each["suspect"] for each in shown["segments"]] == [None] * 4
    assert sorted(each["other_language"] or "" for each in shown["segments"]) == ["", "", "", "en"]
    # A server that does not listen: the first answer is taken, and marked.
    api.recogniser = lambda sound, _: {**recognise(sound), "language": "spanish"}
    line = stenoflow("transcribe", meeting.path, "--languages", "en,fr", *_WHOLE).line
    assert line["calls"] == 2
    assert "suspect: language" in stenoflow("show", line["job"]).out


@pytest.mark.program
def test_a_model_that_takes_several_languages_and_keywords_gets_them(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("Anna Kowalczyk\nStenoflow\n")
    line = stenoflow(
        "transcribe",
        meeting.path,
        "--model",
        "gpt-transcribe",
        "--languages",
        "en,de",
        "--glossary",
        names,
        "--json",
    ).line
    assert line["status"] == "complete"
    for call in api.calls:
        assert call.values("languages[]") == ["en", "de"]
        assert call.values("keywords[]") == ["Anna Kowalczyk", "Stenoflow"]
        assert call.values("prompt") == call.values("language") == []


@pytest.mark.program
def test_a_glossary_goes_as_a_prompt_and_what_only_echoes_it_is_asked_for_without(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["# who is there", *(f"Kowalczyk{number}" for number in range(300))]))

    def echo(sound: bytes, fields: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        prompt = dict(fields).get("prompt")
        return {"text": prompt} if prompt else recognise(sound)

    api.recogniser = echo
    printed = stenoflow("transcribe", meeting.path, "--glossary", names, *_WHOLE)
    assert (printed.line["status"], printed.line["calls"]) == ("complete", 2)
    first, second = (call.values("prompt") for call in api.calls)
    assert first[0].startswith("Glossary: Kowalczyk0, Kowalczyk1, ")
    assert len(first[0]) < 900
    assert second == []
    taken = first[0].count("Kowalczyk")
    assert f"whisper-1 takes the first {taken} of the 300 terms" in printed.err
    assert read_artifact(printed.line, "txt").split() == [word.text for word in meeting.words]
    assert "suspect" not in stenoflow("show", printed.line["job"]).out
    # With the second call refused, what nobody said is missing rather than published.
    names.write_text("Anna\nBen\nClara\n")
    api.script(["ok", "400"])
    line = stenoflow("transcribe", meeting.path, "--glossary", names, *_WHOLE).line
    assert line["status"] == "failed"
    assert stenoflow("resume", line["job"], "--json").line["status"] == "complete"
    assert api.calls[-1].values("prompt") == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--language", "germen"), "did you mean de (german)"),
        (("--languages", "en,klingon"), "'klingon' is not known"),
        (("--language", "de", "--languages", "en,de"), "both one language and several"),
        (("--languages", "en,de", "--model", "gpt-4o-transcribe"), "neither takes several languages"),
        (("--glossary", "nowhere.txt"), "cannot read the glossary nowhere.txt"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_spent(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, options: tuple[str, ...], reason: str
) -> None:
    printed = stenoflow("transcribe", meeting.path, *options, "--json")
    assert printed.exit_code == 2
    assert reason in " ".join(printed.err.split())
    assert not api.calls


@pytest.mark.program
@pytest.mark.parametrize("mode", ["refuses-language", "422-language"])
def test_a_language_that_we_decided_on_and_the_server_refuses_is_told_no_more(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, mode: str
) -> None:
    api.mode = mode
    line = stenoflow("transcribe", meeting.path, *_IN_TURN).line
    assert (line["status"], line["calls"], line["missing"]) == ("complete", line["segments"], [])
    # One refusal, which was free, and never again.
    assert [call.charged for call in api.calls].count(False) == 1
    assert sum("language" in dict(call.fields) for call in api.calls) == 1


@pytest.mark.parametrize(
    "asked", [("--language", "jv"), ("--languages", "jv,en", "--model", "gpt-transcribe")]
)
def test_a_language_that_the_user_named_and_the_server_refuses_is_told_no_more(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, asked: tuple[str, ...]
) -> None:
    api.mode = "refuses-language"
    printed = stenoflow("transcribe", meeting.path, *asked, *_WHOLE)
    assert (printed.exit_code, printed.line["status"]) == (0, "complete")
    refused, *others = api.calls
    assert (refused.charged, {call.charged for call in others}) == (False, {True})


def _in_codes(language_of: Callable[[int], list[str]], calls: Heard) -> Recogniser:
    """Hear as gpt-transcribe does: bare text, and the codes of the languages that were spoken."""

    def hear(sound: bytes, fields: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        heard = recognise(sound)
        told = [value for name, value in fields if name == "languages[]"]
        first = int(heard["words"][0]["word"])
        calls.append((first, ",".join(told) or None))
        codes = told if len(told) == 1 else language_of(first)
        return {"text": heard["text"], "languages": [{"code": code} for code in codes], "usage": {}}

    return hear


@pytest.mark.program
def test_gpt_transcribes_segments_agree_on_a_language_too(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    calls: Heard = []
    api.recogniser = _in_codes(lambda _: ["de"], calls)
    line = stenoflow("transcribe", meeting.path, "--model", "gpt-transcribe", *_IN_TURN).line
    assert line["status"] == "complete"
    assert agreed(home) == ["de"]
    assert [told for _, told in calls[:3]] == [None, None, None]
    assert "de" in [told for _, told in calls]
    assert json.loads(read_artifact(line, "json"))["language"] == "de"


@pytest.mark.program
def test_of_a_mixed_meeting_what_gpt_transcribe_names_is_believed(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    calls: Heard = []
    api.recogniser = _in_codes(lambda _: ["de", "en"], calls)
    asked = ("--model", "gpt-transcribe", "--languages", "en,de", "--glossary", home.parent / "terms.txt")
    (home.parent / "terms.txt").write_text("Zuse\nLovelace\n", "utf-8")
    line = stenoflow("transcribe", meeting.path, *asked, *_IN_TURN).line
    assert (line["status"], line["calls"]) == ("complete", len(calls))
    # Nothing was doubted, so nothing was bought twice.
    assert line["calls"] == line["segments"]
    assert {told for _, told in calls} == {"en,de"}
    assert api.calls[0].values("keywords[]") == ["Zuse", "Lovelace"]
    assert agreed(home) == [None]
