"""`--translate`: an English transcript beside the original, paid for once."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pysubs2
import pytest

from tests.flows.conftest import Command, Meeting, charges, read_artifact
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, UnheardError

_SHORT = ("--segment-seconds", "60", "--concurrency", "1", "--translate", "--json")


def in_german(sound: bytes, _: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Hear German in all but the second segment."""
    heard = recognise(sound)
    first = int(heard["words"][0]["word"])
    return {**heard, "language": "english" if 150 <= first < 300 else "german"}


def in_english(sound: bytes, _: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Say each number as n and its digits, ten to an utterance, timed by utterances only."""
    words = recognise(sound)["words"]
    groups = [words[first : first + 10] for first in range(0, len(words), 10)]
    segments = [
        {
            "id": number,
            "start": group[0]["start"],
            "end": group[-1]["end"],
            "text": " " + " ".join(f"n{word['word']}" for word in group),
        }
        for number, group in enumerate(groups)
    ]
    text = "".join(segment["text"] for segment in segments).strip()
    return {"task": "translate", "language": "english", "text": text, "segments": segments}


@pytest.fixture
def translating(api: AudioApiServer) -> AudioApiServer:
    api.recogniser = in_german
    api.translator = in_english
    return api


def _folder(line: dict[str, Any]) -> Path:
    return Path(line["artifacts"]["json"].removeprefix("file://")).parent


def test_an_english_transcript_stands_beside_the_original(
    stenoflow: Command, translating: AudioApiServer, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    api, out = translating, tmp_path / "out"
    printed = stenoflow("transcribe", meeting.path, *_SHORT, "--out", out, "--formats", "txt,srt,json")
    line = printed.line
    english = [each for each in api.calls if each.endpoint == "transcriptions"]
    assert (line["status"], line["segments"], len(english)) == ("complete", 4, 4)
    # The segment that was in English already is not paid for twice.
    assert len(api.translations) == 3
    assert line["calls"] == 7
    assert {name for name, _ in api.translations[0].fields} == {"model", "response_format"}
    actual = sum(amount for kind, amount in charges(home) if kind == "actual")
    assert actual == pytest.approx(sum(call.seconds for call in api.calls) * 100, rel=0.01)

    said = read_artifact(line, "translation.txt").split()
    assert {word.removeprefix("n") for word in said} == {word.text for word in meeting.words}
    assert len(said) == len(meeting.words)
    original = json.loads(read_artifact(line, "json"))
    translated = json.loads(read_artifact(line, "translation.json"))
    assert (original["language"], original["task"]) == ("de", "transcribe")
    assert (translated["language"], translated["task"], translated["timing"]) == (
        "en",
        "translate",
        "segment",
    )
    assert translated["coverage"] == original["coverage"]
    at = {word["word"]: word["start"] for word in original["words"]}
    late = [abs(word["start"] - at[word["word"].removeprefix("n")]) for word in translated["words"]]
    assert max(late) < 1.5
    cues = pysubs2.SSAFile.from_string(read_artifact(line, "translation.srt"), "srt")
    assert " ".join(cue.plaintext for cue in cues).split() == said
    names = {f"weekly meeting{ending}.{each}" for ending in ("", ".en") for each in ("txt", "srt", "json")}
    assert {path.name for path in out.iterdir()} == names
    manifest = json.loads((_folder(line) / "manifest.json").read_text())
    assert {"translation.txt", "translation.vtt"} <= {each["name"] for each in manifest["artifacts"]}
    assert manifest["translation"]["missing"] == []


@pytest.mark.program
def test_what_is_stored_is_not_bought_again_under_any_name(
    stenoflow: Command, translating: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    api = translating
    plain = stenoflow("transcribe", meeting.path, "--segment-seconds", "60", "--json").line
    line = stenoflow("transcribe", meeting.path, *_SHORT).line
    assert (plain["calls"], line["calls"], line["reused"]) == (4, 3, 4)
    assert float(line["cost"]) == pytest.approx(
        sum(call.seconds for call in api.translations) * 1e-4, rel=0.01
    )
    assert line["job"] != plain["job"]
    renamed = tmp_path / "renamed.mp3"
    shutil.copyfile(meeting.path, renamed)
    other = stenoflow("transcribe", renamed, *_SHORT).line
    assert (other["status"], other["calls"], other["reused"]) == ("complete", 0, 4)
    assert read_artifact(other, "translation.vtt") == read_artifact(line, "translation.vtt")
    calls = len(api.calls)
    (_folder(line) / "translation.txt").unlink()
    assert stenoflow("verify", "--repair").exit_code == 0
    assert read_artifact(line, "translation.txt") == read_artifact(other, "translation.txt")
    assert len(api.calls) == calls


@pytest.mark.program
def test_a_translation_that_lacks_something_says_so_and_resume_gets_just_that(
    stenoflow: Command, translating: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    api = translating

    def refuse_a_part(sound: bytes, fields: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        said = in_english(sound, fields)
        if said["text"].startswith("n0 "):
            raise UnheardError
        return said

    api.translator = refuse_a_part
    printed = stenoflow("transcribe", meeting.path, *_SHORT)
    line = printed.line
    assert (printed.exit_code, line["status"], line["missing"]) == (3, "partial", [])
    assert "the translation lacks 00:0" in line["error"]["message"]
    assert "[missing 00:0" in read_artifact(line, "translation.txt")
    assert "missing" not in read_artifact(line, "txt")
    manifest = json.loads((_folder(line) / "manifest.json").read_text())
    assert len(manifest["translation"]["missing"]) == 1
    before = len(api.translations)
    api.translator = in_english
    resumed = stenoflow("resume", line["job"], "--json").line
    assert (resumed["status"], resumed["calls"], len(api.translations)) == ("complete", 1, before + 1)
    assert "missing" not in read_artifact(resumed, "translation.txt")

    assert stenoflow("forget", line["recording"], "--yes").exit_code == 0
    database = sqlite3.connect(home / "stenoflow.db")
    assert database.execute("SELECT count(*) FROM results").fetchone() == (0,)
    database.close()


@pytest.mark.program
def test_a_server_without_translations_hears_all_the_same(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = in_german
    line = stenoflow("transcribe", meeting.path, *_SHORT).line
    assert (line["status"], line["missing"]) == ("partial", [])
    assert line["error"]["kind"] == "api-not-translated"
    assert read_artifact(line, "txt").split() == [word.text for word in meeting.words]
    # One that translates nothing, though somebody speaks, is asked twice and not believed.
    api.translator = lambda _sound, _fields: {"text": "", "segments": [], "language": "english"}
    resumed = stenoflow("resume", line["job"], "--json").line
    assert (resumed["status"], resumed["calls"]) == ("complete", 6)
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert sorted(each["translation_suspect"] or "" for each in shown["segments"]) == ["", *["empty"] * 3]
    assert {each["suspect"] for each in shown["segments"]} == {None}


def test_an_estimate_counts_both_and_the_embedded_engine_refuses(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = stenoflow("estimate", meeting.path, "--json").line
    both = stenoflow("estimate", meeting.path, "--translate", "--json").line
    assert (plain["cost"], both["cost"]) == ("0.0240", "0.0480")
    tight = stenoflow("transcribe", meeting.path, *_SHORT, "--budget", "0.03")
    assert (tight.exit_code, tight.line["error"]["kind"]) == (4, "budget")
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    refused = stenoflow("transcribe", meeting.path, *_SHORT, "--model", "pocketsphinx")
    assert refused.exit_code == 2
    assert "pocketsphinx at embedded does not translate" in " ".join(refused.err.split())
    assert not api.calls
