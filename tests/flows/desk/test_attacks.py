"""What somebody may try at the desk who has a login, or may write into an inbox, and should not get."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.desk.conftest import LOGIN, Desk
from tests.waiting import FOREVER, wait_for

OURS = {"X-CSRF": LOGIN.csrf}


def _dropped(tmp_path: Path) -> Path:
    (recording,) = (tmp_path / "inbox").iterdir()
    return recording


def test_a_file_put_in_the_place_of_a_recording_is_not_played(
    desk: Desk, transcribed: dict[str, Any], tmp_path: Path
) -> None:
    recording, sound = _dropped(tmp_path), f"/desk/jobs/{transcribed['job']}/sound"
    content = recording.read_bytes()
    assert desk.http.get(sound).content == content
    secret = tmp_path / "secret"
    secret.write_bytes(b"S" * len(content))
    assert desk.send(f"/desk/jobs/{transcribed['job']}/share", days="1").status_code == 303
    # As long as what was there, and even as old.
    facts = recording.stat()
    os.utime(secret, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    for put in (recording.symlink_to, recording.hardlink_to):
        recording.unlink()
        put(secret)
        assert desk.http.get(sound).status_code == 404
    recording.unlink()
    os.mkfifo(recording)
    assert desk.http.get(sound).status_code == 404
    recording.unlink()
    recording.write_bytes(content)
    assert desk.http.get(sound, headers={"Range": "bytes=7-20"}).content == content[7:21]
    # Written over where it lies.
    with recording.open("r+b") as file:
        file.write(b"else")
    assert desk.http.get(sound).status_code == 404


def test_an_estimate_looks_through_no_link_out_of_an_inbox(desk: Desk, tmp_path: Path) -> None:
    recording = _dropped(tmp_path)
    elsewhere = tmp_path / "board" / "secret.flac"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(recording.read_bytes() + b"\0")
    link = recording.with_name("link.flac")
    link.symlink_to(elsewhere)
    page = desk.http.get("/desk/inboxes/meetings/send", params={"source": link.as_uri()})
    assert "00:04:00" not in page.text
    assert "is a link out of its folder" in page.text
    page = desk.http.get("/desk/inboxes/meetings/send", params={"source": recording.as_uri()})
    assert "00:04:00" in page.text


def test_parts_that_come_at_once_do_not_lie_in_each_other(desk: Desk, home: Path) -> None:
    begun = desk.http.post("/desk/uploads", json={"name": "a.mp3", "size": 2_000_000}, headers=OURS)
    path = f"/desk/uploads/{begun.json()['id']}"
    part = home / "uploads" / begun.json()["id"] / ".part"
    first_is_done, codes = threading.Event(), []

    def slow() -> Iterator[bytes]:
        yield b"A" * 500_000
        assert first_is_done.wait()
        yield b"A" * 500_000

    def send() -> None:
        with httpx.Client(cookies=desk.http.cookies, timeout=FOREVER, trust_env=False) as http:
            headers = {**OURS, "Upload-Offset": "0"}
            codes.append(http.patch(f"{desk.url}{path}", content=slow(), headers=headers).status_code)

    thread = threading.Thread(target=send)
    thread.start()
    # What is written may lie in the process until there is more; it has the file from before that.
    wait_for(lambda: desk.http.patch(path, content=b"", headers=_at(0)).status_code == 409)
    assert desk.http.patch(path, content=b"B" * 1_000_000, headers=_at(0)).status_code == 409
    size = part.stat().st_size
    assert desk.http.patch(path, content=b"B" * 1_000_000, headers=_at(size)).status_code == 409
    first_is_done.set()
    thread.join()
    assert codes == [200]
    assert desk.http.patch(path, content=b"B" * 1_000_000, headers=_at(1_000_000)).status_code == 200
    whole = (part.parent / "a.mp3").read_bytes()
    assert whole == b"A" * 1_000_000 + b"B" * 1_000_000


def _at(offset: object) -> dict[str, str]:
    return {**OURS, "Upload-Offset": str(offset)}


@pytest.mark.parametrize("size", ["1e400", "-1e400", "1" + "0" * 30, "0", "-5", '"' + "9" * 5000 + '"', "[]"])
def test_an_upload_of_no_possible_size_is_refused(desk: Desk, size: str) -> None:
    body = f'{{"name": "a.mp3", "size": {size}}}'
    assert desk.http.post("/desk/uploads", content=body, headers=OURS).status_code == 400


@pytest.mark.parametrize("offset", ["9" * 5000, "-1", "", "1e3", "0x0"])
def test_an_offset_that_is_none_is_a_conflict(desk: Desk, offset: str) -> None:
    begun = desk.http.post("/desk/uploads", json={"name": "a.mp3", "size": 3}, headers=OURS).json()
    reply = desk.http.patch(f"/desk/uploads/{begun['id']}", content=b"abc", headers=_at(offset))
    assert reply.status_code == 409


_ODD = (
    "\0",
    "9" * 30,
    "9" * 5000,
    "-1",
    "'",
    '"*^(',
    "NaN",
    "1e400",
    "../../etc/passwd",
    "2026-99-99",
    "9999-12-31",
    "0001-01-01",
    "٣",
    "²",
)
_ASKED = {
    "/": (
        "name",
        "state",
        "tag",
        "language",
        "inbox",
        "speaker",
        "since",
        "until",
        "minutes",
        "cost",
        "after",
        "kind",
        "needs",
    ),
    "/desk/search": ("q", "before"),
    "/desk/costs": ("by", "since", "until"),
    "/desk/costs.csv": ("by", "since", "until"),
    "/desk/inboxes/meetings/send": ("source",),
}


def test_no_odd_value_breaks_a_page(desk: Desk, transcribed: dict[str, Any]) -> None:
    job = f"/desk/jobs/{transcribed['job']}"
    for path, names in {**_ASKED, f"{job}/ask": ("do", "voice"), f"{job}/edit": ("start", "end")}.items():
        for name in names:
            for odd in _ODD:
                status = desk.http.get(path, params={name: odd}).status_code
                assert status < 500, (path, name, odd[:20])
    for path, fields in {
        f"{job}/edit": ("start", "end", "of", "seen", "speaker", "text"),
        f"{job}/corrections": ("undo",),
        f"{job}/share": ("days", "revoke"),
        f"{job}/act": ("do",),
        "/desk/glossary": ("inbox", "remove"),
    }.items():
        for field in fields:
            for odd in _ODD:
                given = {"start": "0", "end": "9000"} if path.endswith("edit") else {}
                assert desk.send(path, **{**given, field: odd}).status_code < 500, (path, field, odd[:20])
