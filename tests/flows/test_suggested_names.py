"""Names that speakers may have: shown as suggestions, and given to nobody until somebody does."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("icalendar")

from tests.flows.conftest import Command, read_artifact
from tests.flows.desk.conftest import desk_served
from tests.instrument.recording import write
from tests.instrument.script import script
from tests.servers.audio_api import AudioApiServer, Fields, seconds_of
from tests.waiting import wait_for

_SECONDS = 20
_SAID = "Hello, I am Anna. x x x x x x This is Ben speaking. x x"
_INVITATION = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261101T090000Z\r\n"
    "ATTENDEE;CN=Anna Bell:mailto:a@example.org\r\nATTENDEE;CN=<i>Zoe</i>:mailto:b@example.org\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)
_RTTM = "".join(
    f"SPEAKER talk 1 {start} 10 <NA> <NA> {who} <NA> <NA>\n" for start, who in ((0, "A"), (10, "B"))
)


def _hears_who_they_are(sound: bytes, _fields: Fields) -> dict[str, Any]:
    return _heard(sound, _SAID)


def _heard(sound: bytes, said: str) -> dict[str, Any]:
    """Hear a word a second."""
    words = [{"word": word, "start": at + 0.2, "end": at + 0.6} for at, word in enumerate(said.split())]
    length = seconds_of(sound)
    return {
        "text": said,
        "language": "english",
        "duration": length,
        "words": words,
        "segments": [],
    }


@pytest.fixture
def inbox(api: AudioApiServer, tmp_path: Path) -> Path:
    """A recording with its turns."""
    api.recogniser = _hears_who_they_are
    folder = tmp_path / "inbox"
    folder.mkdir()
    write(folder / "talk.mp3", script(_SECONDS), _SECONDS, "-b:a", "64k")
    (folder / "talk.rttm").write_text(_RTTM)
    return folder


def test_who_says_a_name_or_was_invited_is_suggested_and_named_by_nobody_but_the_user(
    stenoflow: Command, inbox: Path, home: Path
) -> None:
    (inbox / "talk.ics").write_text(_INVITATION)
    (inbox / "talk.json").write_text('{"attendees": ["Clara <i>Oh</i>"]}')
    line = stenoflow("ingest", inbox, "--interval", "0.1", "--json").line
    assert line["status"] == "complete", line
    document = json.loads(read_artifact(line, "json"))
    assert document["speakers"] == ["A", "B"]
    assert document["attendees"] == ["Clara <i>Oh</i>", "Anna Bell", "<i>Zoe</i>"]
    assert [(each["speaker"], each["name"], each["source"]) for each in document["name_suggestions"]] == [
        ("A", "Anna Bell", "spoken"),
        ("B", "Ben", "spoken"),
    ]
    assert document["name_suggestions"][0]["quote"] == "I am Anna"
    page = read_artifact(line, "html")
    assert "may be <bdi>Anna Bell</bdi>" in page
    assert "<i>Zoe</i>" not in page
    assert "Anna Bell" not in read_artifact(line, "txt")

    shown = stenoflow("show", line["job"])
    assert "A is Anna Bell: says 'I am Anna' at 00:00:00" in shown.out
    assert "Clara <i>Oh</i>" in shown.out
    assert stenoflow("show", line["job"], "--json").line["name_suggestions"] == document["name_suggestions"]
    assert stenoflow("show", line["job"], "--rename", "A=Anna Bell").exit_code == 0
    document = json.loads(read_artifact(line, "json"))
    assert document["speakers"] == ["Anna Bell", "B"]
    assert [each["speaker"] for each in document["name_suggestions"]] == ["B"]

    assert stenoflow("forget", line["recording"], "--yes").exit_code == 0
    assert b"Anna Bell" not in b"".join(
        path.read_bytes() for path in (home / "store").rglob("*") if path.is_file()
    )
    with sqlite3.connect(home / "stenoflow.db") as database:
        assert not any("Anna Bell" in statement for statement in database.iterdump())


def test_an_invitation_beside_a_file_suggests_names_and_makes_no_other_job(
    stenoflow: Command, api: AudioApiServer, inbox: Path
) -> None:
    options = ("--speakers", inbox / "talk.rttm", "--json")
    plain = stenoflow("transcribe", inbox / "talk.mp3", *options).line
    (inbox / "talk.ics").write_text(_INVITATION)
    calls = len(api.calls)
    line = stenoflow("transcribe", inbox / "talk.mp3", *options).line
    assert (line["job"], line["calls"], len(api.calls)) == (plain["job"], 0, calls)
    shown = stenoflow("show", line["job"], "--json").line
    assert shown["attendees"] == ["Anna Bell", "<i>Zoe</i>"]
    assert shown["name_suggestions"][0]["name"] == "Anna Bell"


@pytest.mark.program
def test_minutes_suggest_who_took_something_on(stenoflow: Command, api: AudioApiServer, inbox: Path) -> None:
    said = "We meet again on Monday. x x x x x x x x x x. I write it all up."
    api.recogniser = lambda sound, _fields: _heard(sound, said)
    options = ("--speakers", inbox / "talk.rttm", "--json")
    line = stenoflow("transcribe", inbox / "talk.mp3", *options).line
    assert "name_suggestions" not in stenoflow("show", line["job"], "--json").line
    # The writer of minutes in the tests has Anna write up what the last line says.
    stenoflow("digest", line["job"])
    (suggestion,) = stenoflow("show", line["job"], "--json").line["name_suggestions"]
    assert (suggestion["speaker"], suggestion["name"], suggestion["source"]) == ("B", "Anna", "minutes")
    assert "the minutes have" in read_artifact(line, "html")


def test_at_the_desk_a_suggestion_fills_the_form_that_names_a_speaker(
    stenoflow: Command, inbox: Path
) -> None:
    line = stenoflow("transcribe", inbox / "talk.mp3", "--speakers", inbox / "talk.rttm", "--json").line
    with desk_served() as desk:
        page = desk.text(f"/desk/jobs/{line['job']}/")
        (link, _) = re.findall(r'class="edit" href="([^"]+;name=[^"]+)"', page)
        form = desk.text(f"/desk/jobs/{line['job']}/{html.unescape(link)}")
        assert 'name="everywhere" value="1" checked' in form
        fields = dict(re.findall(r'<(?:input|textarea)[^>]* name="(\w+)"[^>]*value="([^"]*)"', form))
        assert (fields["of"], fields["speaker"]) == ("A", "Anna")
        sent = {**fields, "text": fields["before"]}
        assert desk.http.post(f"/desk/jobs/{line['job']}/edit", data=sent).status_code == 303
        wait_for(lambda: json.loads(read_artifact(line, "json"))["speakers"] == ["Anna", "B"])
        assert "may be <bdi>Anna</bdi>" not in desk.text(f"/desk/jobs/{line['job']}/")
