"""Correcting at the desk: over what the model said, in all artifacts, undone, and by two people at once."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from tests.flows.conftest import Command, Meeting, read_artifact
from tests.flows.desk.conftest import Desk
from tests.servers.audio_api import AudioApiServer
from tests.waiting import wait_for


def _fields(page: str) -> dict[str, str]:
    """Return what the form of a passage would send."""
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    (text,) = re.findall(r"<textarea[^>]*>([^<]*)</textarea>", page)
    (speaker,) = re.findall(r'name="speaker" value="([^"]*)"', page)
    return {
        name: html.unescape(value) for name, value in {**fields, "text": text, "speaker": speaker}.items()
    }


def _first_passage(desk: Desk, job: str) -> str:
    (link, *_) = re.findall(r'class="edit" href="([^"]+)"', desk.text(f"/desk/jobs/{job}/"))
    return f"/desk/jobs/{job}/{html.unescape(link)}"


@pytest.mark.program
def test_a_corrected_passage_stands_in_all_artifacts_until_it_is_undone(
    desk: Desk, stenoflow: Command, api: AudioApiServer, transcribed: dict[str, Any], meeting: Meeting
) -> None:
    job, word = transcribed["job"], meeting.words[0].text
    before, calls = read_artifact(transcribed, "txt"), len(api.calls)
    fields = _fields(desk.text(_first_passage(desk, job)))
    assert fields["text"].startswith(word)
    said = fields["text"].replace(word, "Hippopotamus <b> & Söhne", 1)
    sent = {**fields, "text": said, "speaker": "Ms Ødegård"}
    assert desk.http.post(f"/desk/jobs/{job}/edit", data=sent).status_code == 303
    page = desk.text(f"/desk/jobs/{job}/")
    assert "<span>&lt;b&gt;</span>" in page
    assert "Ms Ødegård" in page
    # Published once the page is answered.
    wait_for(lambda: stenoflow("search", "hippopotamus", "--json").lines != [])
    assert "weekly meeting.flac" in desk.text("/?speaker=ms+Ødegård")
    for name in ("txt", "srt", "vtt", "json", "html"):
        assert "Hippopotamus" in read_artifact(transcribed, name), name
    assert read_artifact(transcribed, "txt").startswith("Ms Ødegård: Hippopotamus <b> & Söhne")
    assert stenoflow("search", "hippopotamus", "sohne", "--json").line["speaker"] == "Ms Ødegård"
    assert stenoflow("verify").exit_code == 0

    # Again from the start by the same settings, and with another length of segments: it stays.
    other = stenoflow("transcribe", transcribed["source"], "--segment-seconds", "120", "--json").line
    assert "Hippopotamus" in read_artifact(other, "txt")
    calls = len(api.calls)

    numbers = re.findall(r'name="undo" value="(\d+)"', desk.text(f"/desk/jobs/{job}/corrections"))
    assert len(numbers) == 2
    for number in numbers:
        assert desk.send(f"/desk/jobs/{job}/corrections", undo=number).status_code == 303
        assert desk.send(f"/desk/jobs/{job}/corrections", undo=number).status_code == 404
    wait_for(lambda: read_artifact(transcribed, "txt") == before)
    assert "undone by" in desk.text(f"/desk/jobs/{job}/corrections")
    assert len(api.calls) == calls


def test_of_two_who_correct_the_same_the_second_is_told_and_loses_nothing(
    desk: Desk, transcribed: dict[str, Any]
) -> None:
    job = transcribed["job"]
    passage = _first_passage(desk, job)
    first, second = (_fields(desk.text(passage)) for _ in range(2))
    edit = f"/desk/jobs/{job}/edit"
    assert desk.http.post(edit, data={**first, "text": "what the first wrote"}).status_code == 303
    told = desk.http.post(edit, data={**second, "text": "what the second wrote"})
    assert told.status_code == 409
    assert "what the first wrote" in told.text
    again = _fields(told.text)
    assert again["text"] == "what the second wrote"
    assert desk.http.post(edit, data=again).status_code == 303
    wait_for(lambda: "what the second wrote" in read_artifact(transcribed, "txt"))


@pytest.mark.program
def test_what_names_no_passage_is_refused(desk: Desk, transcribed: dict[str, Any]) -> None:
    job = transcribed["job"]
    for query in ("", "start=5&end=5", "start=x&end=9", "start=-1&end=4", f"start=1&end={'9' * 30}"):
        assert desk.http.get(f"/desk/jobs/{job}/edit?{query}").status_code == 400
    assert desk.http.get("/desk/jobs/nobody/edit?start=1&end=2").status_code == 404
    assert desk.send(f"/desk/jobs/{job}/corrections", undo="99").status_code == 404
