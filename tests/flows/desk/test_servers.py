"""Each story once with PostgreSQL and S3: nothing but the database and the bucket is shared with a worker."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stenoflow.flows.cli.outcomes import run_works
from stenoflow.flows.resume import works_to_translate
from stenoflow.storage.database.connection import open_database, upgrade
from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings
from tests.flows.conftest import Command, Meeting, write_settings
from tests.flows.desk.conftest import LOGIN, Desk, desk_served
from tests.flows.desk.test_correcting import _fields, _first_passage
from tests.servers.audio_api import AudioApiServer
from tests.servers.postgres import postgres_database
from tests.servers.s3 import Bucket
from tests.waiting import FOREVER, wait_for

pytestmark = pytest.mark.slow
OURS = {"X-CSRF": LOGIN.csrf}


@pytest.fixture
def shared(
    postgres_url: str, bucket: Bucket, home: Path, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """A database and a bucket, with an inbox in which a recording lies."""
    assert not home.exists()
    with postgres_database(postgres_url) as url:
        database = open_database(url)
        upgrade(database)
        database.close()
        monkeypatch.setenv("STENOFLOW_DATABASE_URL", url)
        monkeypatch.setenv("STENOFLOW_STORE", f"{bucket.url}/store")
        write_settings(f'[[inboxes]]\nname = "meetings"\naddress = "{bucket.url}/inbox/"\n')
        bucket.put("inbox/weekly & <b>.flac", meeting.path.read_bytes())
        yield bucket


def test_every_story_goes_with_postgresql_and_s3(
    shared: Bucket, stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    options = ("--looks", "1", "--segment-seconds", "60", "--json")
    line = stenoflow("ingest", f"{shared.url}/inbox/", *options).line
    assert line["status"] == "complete"
    with desk_served() as desk:
        job = line["job"]
        _read(desk, job, meeting)
        _share(desk, job, meeting)
        _correct(desk, stenoflow, job, meeting)
        _send_in(desk, stenoflow, shared, meeting)
        _act(desk, job, api)
        assert "0.02" in desk.text("/desk/costs?by=recording")
        assert "the last at" in desk.text("/desk/health")
    with desk_served() as desk:
        assert desk.send(f"/desk/jobs/{job}/forget", sure="yes").status_code == 303
        assert desk.http.get(f"/desk/jobs/{job}/").status_code == 404
        assert "Hippopotamus" not in desk.text("/desk/search?q=hippopotamus")


def _read(desk: Desk, job: str, meeting: Meeting) -> None:
    for query in ("", "name=WEEKLY+%26", "inbox=meetings", "language=en", "state=complete"):
        assert "weekly &amp; &lt;b&gt;.flac" in desk.text(f"/?{query}"), query
    for query in ("name=nobody", "speaker=Anna", "needs=1", "tag=x"):
        assert "weekly &amp;" not in desk.text(f"/?{query}"), query
    word = meeting.words[8].text
    assert f"<mark>{word}</mark>" in desk.text(f'/desk/search?q="{word} {meeting.words[9].text}"')
    whole = meeting.path.read_bytes()
    sound = f"/desk/jobs/{job}/sound"
    assert desk.http.get(sound).content == whole
    part = desk.http.get(sound, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, whole[1000:2000])
    for ending in ("txt", "srt", "vtt", "json", "tsv", "docx"):
        assert desk.http.get(f"/desk/jobs/{job}/transcript.{ending}").is_success, ending
    assert "transcript.txt" in desk.text(f"/desk/jobs/{job}/details")


def _share(desk: Desk, job: str, meeting: Meeting) -> None:
    assert desk.send(f"/desk/jobs/{job}/share", days="2").status_code == 303
    (link,) = re.findall(r'href="(http[^"]+/desk/shared/[^"]+)"', desk.text(f"/desk/jobs/{job}/details"))
    assert meeting.words[0].text in httpx.get(link, trust_env=False, timeout=FOREVER).text
    reply = httpx.get(f"{link}sound", trust_env=False, timeout=FOREVER)
    assert reply.content == meeting.path.read_bytes()


def _correct(desk: Desk, stenoflow: Command, job: str, meeting: Meeting) -> None:
    fields = _fields(desk.text(_first_passage(desk, job)))
    said = fields["text"].replace(meeting.words[0].text, "Hippopotamus", 1)
    sent = {**fields, "text": said, "speaker": "Ms Ødegård", "glossary": "1"}
    assert desk.http.post(f"/desk/jobs/{job}/edit", data=sent).status_code == 303
    wait_for(lambda: stenoflow("search", "hippopotamus", "--json").lines != [])
    assert "weekly" in desk.text("/?speaker=Ødegård")
    assert "Hippopotamus" in desk.http.get(f"/desk/jobs/{job}/transcript.txt").text
    assert "Hippopotamus" in desk.text("/desk/health")
    assert stenoflow("verify").exit_code == 0


def _send_in(desk: Desk, stenoflow: Command, shared: Bucket, meeting: Meeting) -> None:
    content = meeting.path.read_bytes() + b"\0"
    begun = desk.http.post(
        "/desk/uploads", json={"name": "sent in.flac", "size": len(content)}, headers=OURS
    ).json()["id"]
    headers = {**OURS, "Upload-Offset": "0"}
    assert desk.http.patch(f"/desk/uploads/{begun}", content=content, headers=headers).is_success
    assert "at most 0.0" in desk.text(f"/desk/send/{begun}")
    assert desk.send(f"/desk/send/{begun}", do="start", tag="sent").status_code == 303
    source = desk.prefect.asked[-1][1]["parameters"]["source"]
    assert source.startswith(f"{shared.url}/store/uploads/")
    assert stenoflow("transcribe", source, "--tag", "sent", "--json").line["status"] == "complete"
    assert "sent in.flac" in desk.text("/?tag=sent")
    shared.put("inbox/later.flac", content + b"\0")
    page = desk.text("/desk/inboxes/meetings")
    (link,) = [html.unescape(each) for each in re.findall(r'<th scope="row"><a href="([^"]+)"', page)]
    assert "at most 0.0" in desk.text(link)
    assert desk.send(link, do="start").status_code == 303
    assert desk.prefect.asked[-1][1]["parameters"]["source"] == f"{shared.url}/inbox/later.flac"


def _act(desk: Desk, job: str, api: AudioApiServer) -> None:
    for do in ("resume", "minutes", "translate", "speak"):
        assert desk.send(f"/desk/jobs/{job}/act", do=do).status_code == 303
    calls = len(api.calls)
    with open_context(load_settings()) as context:
        (outcome,) = run_works(context, works_to_translate(context, job, ["txt"]), 2, json=True)
    assert outcome.status == "complete"
    # It is in English, so there is nothing to be translated.
    assert len(api.calls) == calls
    assert "in English, too" in desk.text(f"/desk/jobs/{job}/details")
