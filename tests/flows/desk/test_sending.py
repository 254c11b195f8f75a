"""Sending in and acting: nothing is spent before its estimate, and nothing changes without a form of ours."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from stenoflow.flows.cli.outcomes import run_works
from stenoflow.flows.resume import works_to_translate
from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings
from tests.flows.conftest import Command, Meeting
from tests.flows.desk.conftest import LOGIN, Desk, desk_served
from tests.servers.audio_api import AudioApiServer

OURS = {"X-CSRF": LOGIN.csrf}


def _upload(desk: Desk, name: str, content: bytes, part: int = 1_000_000) -> str:
    """Send a file in parts, one of which is lost and one cut short; returns its id."""
    begun = desk.http.post("/desk/uploads", json={"name": name, "size": len(content)}, headers=OURS)
    assert begun.status_code == 201
    path = f"/desk/uploads/{begun.json()['id']}"
    received = 0
    while received < len(content):
        headers = {**OURS, "Upload-Offset": str(received)}
        reply = desk.http.patch(path, content=content[received : received + part], headers=headers)
        assert reply.status_code == 200
        again = desk.http.patch(path, content=b"the same part again", headers=headers)
        assert again.status_code == 409
        received = desk.http.get(path, headers=OURS).json()["received"]
    return str(begun.json()["id"])


@pytest.mark.program
def test_a_file_comes_in_parts_is_estimated_started_and_forgotten(
    desk: Desk, stenoflow: Command, meeting: Meeting, home: Path
) -> None:
    upload = _upload(desk, "../../etc/Über & 会議.flac", meeting.path.read_bytes())
    page = desk.text(f"/desk/send/{upload}")
    assert "00:04:00" in page
    assert "at most 0.0" in page
    assert desk.prefect.asked == []
    chosen = {"tag": "calls", "speakers": "none", "digest": "1", "budget": "2.50"}
    assert "at most 0.0" in desk.send(f"/desk/send/{upload}", do="estimate", **chosen).text
    assert "budget" in desk.send(f"/desk/send/{upload}", do="start", budget="much").text
    started = desk.send(f"/desk/send/{upload}", do="start", **chosen)
    assert started.status_code == 303
    ((path, body),) = desk.prefect.asked
    assert path == "/api/deployments/transcribe/create_flow_run"
    source = body["parameters"]["source"]
    assert unquote(source).endswith(f"/uploads/{upload}/Über & 会議.flac")
    assert body["parameters"]["options"] == {
        "tag": "calls",
        "speakers": "none",
        "digest": True,
        "budget": "2.50",
    }
    assert body["tags"] == ["calls"]

    line = stenoflow("transcribe", source, "--json").line
    assert line["status"] == "complete"
    assert f"/desk/jobs/{line['job']}/" in desk.text(f"/desk/send/{upload}")
    assert desk.http.get(f"/desk/jobs/{line['job']}/sound").content == meeting.path.read_bytes()
    stenoflow("forget", line["recording"], "--yes")
    assert list((home / "uploads").iterdir()) == []


@pytest.mark.program
def test_a_browser_without_javascript_sends_a_file_whole(desk: Desk, meeting: Meeting) -> None:
    with meeting.path.open("rb") as file:
        reply = desk.http.post("/desk/send", data={"csrf": LOGIN.csrf}, files={"file": ("talk.flac", file)})
    assert reply.status_code == 303
    assert "00:04:00" in desk.text(reply.headers["location"])
    discarded = desk.send(reply.headers["location"], do="discard")
    assert (discarded.status_code, desk.http.get(reply.headers["location"]).status_code) == (303, 404)


def test_what_is_no_recording_or_too_long_is_refused(desk: Desk) -> None:
    wrong: list[Any] = [{"name": "page.html", "size": 9}, {"name": "a.mp3", "size": 0}, {"name": "a.mp3"}, []]
    for facts in wrong:
        assert desk.http.post("/desk/uploads", json=facts, headers=OURS).status_code == 400
    begun = desk.http.post("/desk/uploads", json={"name": "a.mp3", "size": 5}, headers=OURS).json()
    path, first = f"/desk/uploads/{begun['id']}", {**OURS, "Upload-Offset": "0"}
    assert desk.http.patch(path, content=b"123456", headers=first).status_code == 409
    assert desk.http.patch("/desk/uploads/..%2f..%2fx", content=b"1", headers=first).is_client_error
    assert desk.http.get(f"/desk/uploads/{'0' * 32}", headers=OURS).status_code == 409


@pytest.mark.program
def test_nothing_changes_without_a_form_of_ours(desk: Desk, transcribed: dict[str, Any]) -> None:
    job = f"/desk/jobs/{transcribed['job']}"
    for path in (f"{job}/act", f"{job}/forget", "/desk/send"):
        for given in ({}, {"csrf": ""}, {"csrf": "x"}):
            reply = desk.http.post(path, data={**given, "do": "resume", "sure": "yes"})
            assert reply.status_code == 403, path
    assert desk.http.post("/desk/uploads", json={"name": "a.mp3", "size": 1}).status_code == 403
    assert desk.http.get(f"{job}/act").status_code in {404, 405}
    assert desk.prefect.asked == []
    assert desk.http.get(f"{job}/").is_success


def test_buttons_start_and_stop_flow_runs_and_stand_in_the_audit(
    desk: Desk, transcribed: dict[str, Any]
) -> None:
    job, source = transcribed["job"], transcribed["source"]
    for do in ("resume", "minutes"):
        assert desk.send(f"/desk/jobs/{job}/act", do=do).status_code == 303
    assert [(path, body["parameters"]) for path, body in desk.prefect.asked] == [
        ("/api/deployments/resume/create_flow_run", {"job": job}),
        ("/api/deployments/digest/create_flow_run", {"job": job}),
    ]
    assert "no flow run" in desk.send(f"/desk/jobs/{job}/act", do="cancel").text
    desk.prefect.running = [
        {"id": "ours", "parameters": {"source": source}},
        {"id": "other", "parameters": {"source": "file:///other"}},
    ]
    assert desk.send(f"/desk/jobs/{job}/act", do="cancel").status_code == 303
    cancelled = [path for path, body in desk.prefect.asked if "state" in body and "set_state" in path]
    assert cancelled == ["/api/flow_runs/ours/set_state"]
    assert desk.send(f"/desk/jobs/{job}/act", do="explode").status_code == 400
    page = desk.text(f"/desk/jobs/{job}/details")
    assert all(f"<td>{action}</td>" in page for action in ("resume", "minutes", "cancel"))


@pytest.mark.slow
def test_a_recording_is_forgotten_after_it_was_said_what_goes(
    transcribed: dict[str, Any], home: Path
) -> None:
    with desk_served() as desk:
        job = transcribed["job"]
        asked = desk.text(f"/desk/jobs/{job}/forget")
        assert "transcript.txt" in asked
        assert "4 stored answers" in asked
        assert desk.send(f"/desk/jobs/{job}/forget").status_code == 400
        assert desk.send(f"/desk/jobs/{job}/forget", sure="yes").status_code == 303
        assert desk.http.get(f"/desk/jobs/{job}/").status_code == 404
        assert "weekly meeting" not in desk.text("/")
    assert b"weekly meeting" not in b"".join(each.read_bytes() for each in home.glob("stenoflow.db*"))


@pytest.mark.program
def test_a_recording_is_chosen_from_an_inbox_estimated_and_started(
    desk: Desk, transcribed: dict[str, Any], stenoflow: Command, meeting: Meeting
) -> None:
    inbox = Path(unquote(transcribed["source"]).removeprefix("file://")).parent
    name = "<b>Über<b> & 100%.flac"
    (inbox / name).write_bytes(meeting.path.read_bytes() + b"\0")
    assert "/desk/inboxes/meetings" in desk.text("/desk/send")
    page = desk.text("/desk/inboxes/meetings")
    assert "&lt;b&gt;Über&lt;b&gt; &amp; 100%.flac" in page
    links = [html.unescape(each) for each in re.findall(r'<th scope="row"><a href="([^"]+)"', page)]
    (link,) = [each for each in links if "ber" in each]
    assert "at most 0.0" in desk.text(link)
    assert "at most 0.0" in desk.send(link, do="estimate", model="whisper-1").text
    assert desk.prefect.asked == []
    assert desk.send(link, do="start", tag="calls").status_code == 303
    ((path, body),) = desk.prefect.asked
    assert unquote(path) == "/api/deployments/ingest recording/create_flow_run"
    parameters = body["parameters"]
    assert (parameters["inbox"], parameters["options"]) == (str(inbox), {"tag": "calls"})
    assert unquote(parameters["source"]).endswith(f"/{name}")
    assert body["tags"] == ["calls"]
    for elsewhere in ("file:///etc/passwd", f"{inbox.as_uri()}/../x.flac", "", "s3://a/b", "%00"):
        assert desk.http.get(f"/desk/inboxes/meetings/send?source={elsewhere}").status_code == 404
    assert desk.http.get("/desk/inboxes/nowhere").status_code == 404
    # What has come to its end is not offered again.
    assert stenoflow("ingest", inbox, "--looks", "1", "--json").exit_code == 0
    assert "nothing that was not taken" in desk.text("/desk/inboxes/meetings")


@pytest.mark.program
def test_a_transcript_is_translated_and_its_minutes_are_read_aloud_after_the_cost_is_told(
    desk: Desk, transcribed: dict[str, Any], api: AudioApiServer
) -> None:
    job, calls = transcribed["job"], len(api.calls)
    details = desk.text(f"/desk/jobs/{job}/details")
    assert {"ask?do=translate", "ask?do=speak"} <= set(re.findall(r'href="(ask[^"]*)"', details))
    assert "about 0.0" in desk.text(f"/desk/jobs/{job}/ask?do=translate")
    assert 'name="voice"' in desk.text(f"/desk/jobs/{job}/ask?do=speak")
    for do in ("", "forget", "resume"):
        assert desk.http.get(f"/desk/jobs/{job}/ask?do={do}").status_code == 404
    assert desk.send(f"/desk/jobs/{job}/act", do="translate").status_code == 303
    assert desk.send(f"/desk/jobs/{job}/act", do="speak").status_code == 303
    assert desk.send(f"/desk/jobs/{job}/act", do="speak", voice="nova").status_code == 303
    assert [(path.split("/")[3], body["parameters"]) for path, body in desk.prefect.asked] == [
        ("translate", {"job": job}),
        ("digest", {"job": job, "voice": "alloy"}),
        ("digest", {"job": job, "voice": "nova"}),
    ]
    assert {tuple(body["tags"]) for _, body in desk.prefect.asked} == {("board & <co>",)}
    assert len(api.calls) == calls


@pytest.mark.program
def test_a_translation_buys_no_transcription_again(
    stenoflow: Command, transcribed: dict[str, Any], api: AudioApiServer
) -> None:
    calls = len(api.calls)
    with open_context(load_settings()) as context:
        (work,) = works_to_translate(context, transcribed["job"], ["txt"])
        (outcome,) = run_works(context, [work], 2, json=True)
    assert outcome.status == "complete"
    assert "translation.txt" in outcome.artifacts
    # It is in English, so there is nothing to be translated.
    assert len(api.calls) == calls
    assert stenoflow("verify").exit_code == 0
