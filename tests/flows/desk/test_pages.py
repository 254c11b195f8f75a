"""The desk's pages by plain requests, as a browser without JavaScript sees them."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.flows.desk.conftest import Desk
from tests.servers.audio_api import AudioApiServer


@pytest.mark.program
def test_the_desk_is_at_the_address_and_prefect_at_its_own_paths(desk: Desk) -> None:
    assert "weekly meeting.flac" in desk.text("/")
    assert desk.text("/dashboard") == "Prefect's /dashboard"
    assert desk.text("/api/health") == "Prefect's /api/health"
    assert desk.http.get("/desk/nowhere").status_code == 404
    assert desk.http.get("/desk/jobs/nobody/").status_code == 404
    anonymous = httpx.get(f"{desk.url}/", headers={"Accept": "text/html"}, trust_env=False)
    assert (anonymous.status_code, "weekly" in anonymous.text) == (401, False)


@pytest.mark.program
def test_every_page_forbids_what_is_not_its_own(desk: Desk, transcribed: dict[str, Any]) -> None:
    job = transcribed["job"]
    paths = ["/", "/desk/search?q=x", "/desk/costs", "/desk/health", f"/desk/jobs/{job}/", "/desk/nowhere"]
    for path in [*paths, f"/desk/jobs/{job}/details", f"/desk/jobs/{job}/sound"]:
        headers = desk.http.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';"), path
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    for path in paths:
        html = desk.text(path) if "nowhere" not in path else ""
        assert not re.search(r'<script(?![^>]*(src=|type="application/json"))|\sstyle=|\son\w+=', html), path
        assert not re.search(r'(src|href|action)="(https?:)?//', html), path


FOUND = (
    "name=WEEKLY",
    "state=complete",
    "tag=board+%26+%3Cco%3E",
    "inbox=meetings",
    "inbox=nowhere",
    "language=en",
    "model=whisper-1",
    "minutes=4&cost=0.02",
    "minutes=3,5",
    "minutes=NaN&cost=-1",
    "since=2020-01-01&until=2090-01-01",
    "since=hello&after=x&kind=y",
)
NOT_FOUND = (
    "name=%25",
    "state=failed",
    "tag=other",
    "language=de",
    "speaker=Anna",
    "until=2020-01-01",
    "after=2020-01-01T00:00:00%2B00:00+x",
    "kind=digest",
    "minutes=4.5",
    "cost=0.03",
    "needs=1",
)


@pytest.mark.program
def test_the_list_is_filtered(desk: Desk) -> None:
    listed = {query: "weekly meeting.flac" in desk.text(f"/?{query}") for query in (*FOUND, *NOT_FOUND)}
    assert listed == dict.fromkeys(FOUND, True) | dict.fromkeys(NOT_FOUND, False)


@pytest.mark.program
def test_a_recording_is_read_heard_and_downloaded(
    desk: Desk, transcribed: dict[str, Any], meeting: Meeting
) -> None:
    job = transcribed["job"]
    page = desk.text(f"/desk/jobs/{job}/")
    for word in {word.text for word in meeting.words}:
        assert word in page
    assert 'src="sound"' in page
    assert "board &amp; &lt;co&gt;" in page
    assert desk.http.get(f"/desk/jobs/{job}").status_code == 308

    whole = meeting.path.read_bytes()
    reply = desk.http.get(f"/desk/jobs/{job}/sound")
    assert (reply.content, reply.headers["content-type"]) == (whole, "audio/flac")
    part = desk.http.get(f"/desk/jobs/{job}/sound", headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, whole[1000:2000])

    for name in ("txt", "srt", "vtt", "json", "html"):
        saved = desk.http.get(f"/desk/jobs/{job}/transcript.{name}")
        assert saved.text == read_artifact(transcribed, name)
        assert saved.headers["content-disposition"].startswith(
            f"attachment; filename*=UTF-8''weekly%20meeting.{name}"
        )
    # Formats that nobody asked for are made now.
    assert desk.http.get(f"/desk/jobs/{job}/transcript.docx").content.startswith(b"PK")
    assert desk.text(f"/desk/jobs/{job}/transcript.tsv").startswith("start\tend\ttext")
    assert desk.http.get(f"/desk/jobs/{job}/transcript.exe").status_code == 404


@pytest.mark.program
def test_a_recording_that_is_gone_or_another_is_not_played(desk: Desk, transcribed: dict[str, Any]) -> None:
    source = Path(transcribed["source"].removeprefix("file://").replace("%20", " "))
    source.write_bytes(b"another one")
    assert desk.http.get(f"/desk/jobs/{transcribed['job']}/sound").status_code == 404
    source.unlink()
    assert desk.http.get(f"/desk/jobs/{transcribed['job']}/sound").status_code == 404
    assert desk.http.get(f"/desk/jobs/{transcribed['job']}/").is_success


@pytest.mark.program
def test_details_show_segments_requests_costs_and_the_way_to_prefect(
    desk: Desk, transcribed: dict[str, Any]
) -> None:
    page = desk.text(f"/desk/jobs/{transcribed['job']}/details")
    assert page.count("<td>done</td>") == 4
    assert f"{float(transcribed['cost']):.4f} USD" in page
    assert "4 requests" in page
    assert "manifest.json" in page
    # There is a way to where Prefect has something.
    summary = f"summary-{transcribed['job']}"
    assert f"/artifacts/key/{summary}" not in page
    desk.prefect.artifacts.add(summary)
    assert f"/artifacts/key/{summary}" in desk.text(f"/desk/jobs/{transcribed['job']}/details")


def test_costs_are_a_picture_a_table_and_a_file(desk: Desk, transcribed: dict[str, Any]) -> None:
    page = desk.text("/desk/costs?by=tag")
    assert "board &amp; &lt;co&gt;" in page
    assert f"{float(transcribed['cost']):.4f} of 30.00 USD" in page
    (row,) = csv.DictReader(io.StringIO(desk.text("/desk/costs.csv?by=tag")))
    assert (row["tag"], row["requests"], float(row["cost"])) == (
        "board & <co>",
        "4",
        float(transcribed["cost"]),
    )
    assert "Nothing was spent" in desk.text("/desk/costs?by=nonsense&since=2099-01-01")
    for by, heading in {
        "inbox": "meetings",
        "model": "127.0.0.1/whisper-1",
        "recording": "weekly meeting.flac",
        "activity": "hearing",
        "month": f"{datetime.now(UTC):%Y-%m}",
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
    }.items():
        page = desk.text(f"/desk/costs?by={by}")
        assert f"<bdi>{heading}</bdi>" in page, by
        assert 'aria-label="100% of what was spent"' in page
        (row,) = csv.DictReader(io.StringIO(desk.text(f"/desk/costs.csv?by={by}")))
        assert (row[by], float(row["cost"])) == (heading, float(transcribed["cost"]))


@pytest.mark.program
def test_costs_of_an_inbox_outlive_what_was_forgotten(
    desk: Desk, transcribed: dict[str, Any], stenoflow: Command
) -> None:
    stenoflow("forget", transcribed["recording"], "--yes")
    (line,) = stenoflow("costs", "--by", "inbox", "--json").lines
    assert (line["inbox"], line["cost"]) == ("meetings", f"{float(transcribed['cost']):.6f}")
    assert "<bdi>meetings</bdi>" in desk.text("/desk/costs?by=inbox")


@pytest.mark.program
def test_what_a_button_costs_stands_beside_it(
    desk: Desk, transcribed: dict[str, Any], stenoflow: Command, meeting: Meeting, api: AudioApiServer
) -> None:
    def said(job: str, what: str) -> str:
        (found,) = re.findall(rf'id="{what}-cost">([^<]*)<', desk.text(f"/desk/jobs/{job}/details"))
        return str(found)

    whole = transcribed["job"]
    assert re.fullmatch(r"about 0\.00\d+ USD", said(whole, "minutes"))
    assert "0.0240 of 30.00 USD" in desk.text(f"/desk/jobs/{whole}/details")
    asked = desk.text(f"/desk/jobs/{whole}/ask?do=speak")
    assert len(re.findall(r"about 0\.\d+ USD", asked)) == 2
    # Of four segments one was refused: it alone is yet to be paid.
    api.script(["ok", "400"])
    another = meeting.path.with_name("another.flac")
    another.write_bytes(meeting.path.read_bytes() + b"\0")
    partial = stenoflow("transcribe", another, "--segment-seconds", "60", "--concurrency", "1", "--json").line
    assert partial["status"] == "partial"
    cost = float(said(partial["job"], "resume").removeprefix("at most ").removesuffix(" USD"))
    assert 0 < cost < float(transcribed["cost"]) / 2
    made = stenoflow("digest", whole, "--json").line
    assert made["status"] == "complete"
    spoken = desk.text(f"/desk/jobs/{whole}/ask?do=speak")
    assert len(re.findall(r"about 0\.\d+ USD", spoken)) == 1
    assert "Minutes, by" not in spoken


def test_words_are_found_with_their_moment(desk: Desk, transcribed: dict[str, Any], meeting: Meeting) -> None:
    first, second = (word.text for word in meeting.words[:2])
    page = desk.text(f'/desk/search?q="{first} {second}"')
    assert f'href="/desk/jobs/{transcribed["job"]}/#t=' in page
    assert f"<mark>{first}</mark>" in page
    assert "No passage" in desk.text("/desk/search?q=hippopotamus")
    assert desk.http.get("/desk/search", params={"q": "'\"\\*()<script>", "before": "9" * 40}).is_success


@pytest.mark.program
def test_health_says_what_needs_a_person(desk: Desk, stenoflow: Command, tmp_path: Path) -> None:
    assert "Nothing needs a person" in desk.text("/desk/health")
    assert "meetings" in desk.text("/desk/health")
    (tmp_path / "silence.wav").write_bytes(b"RIFF, or not")
    stenoflow("transcribe", tmp_path / "silence.wav")
    assert stenoflow("jobs", "--json").lines[0]["state"] in {"refused", "failed"}
    page = desk.text("/desk/health")
    assert "Nothing needs a person" not in page
    assert "silence.wav" in desk.text("/?needs=1")


def test_health_shows_an_inbox_that_cannot_be_looked_into(desk: Desk) -> None:
    state = {"type": "FAILED", "message": "there is no folder /mnt/<gone>"}
    desk.prefect.running = [{"state": state, "end_time": "2026-11-30T10:00:00.5Z"}]
    page = desk.text("/desk/health")
    assert "Nothing needs a person" not in page
    assert "No look has succeeded yet, the last at 2026-11-30 10:00" in page
    assert "there is no folder /mnt/&lt;gone&gt;" in page
    # A later look succeeded, and was deleted since: it found nothing new.
    inbox = load_settings().inboxes[0].prefix
    with open_context(load_settings()) as context:
        context.inboxes.looked(inbox)
    desk.prefect.running[0]["end_time"] = "2020-01-01T00:00:00Z"
    assert "Nothing needs a person" in desk.text("/desk/health")
    desk.prefect.running[0]["end_time"] = "2100-01-01T00:00:00Z"
    assert "Each look since 2" in desk.text("/desk/health")
    desk.prefect.running = [{"no": "answer"}]
    assert "Nothing needs a person" in desk.text("/desk/health")
