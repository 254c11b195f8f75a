from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

pytest.importorskip("icalendar")

from stenoflow.tasks.sources.attendees import MOST_ATTENDEES, clean_names, invited, invited_to

_INVITATION = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//EN
BEGIN:VEVENT
UID:1
DTSTAMP:20261101T090000Z
DTSTART:20261102T090000Z
SUMMARY:Weekly
ORGANIZER;CN="Bell, Anna":mailto:anna@example.org
ATTENDEE;CN=Ben Stone;PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT;
 RSVP=TRUE:mailto:ben.stone@example.org
ATTENDEE;CN=clara.oh@example.org:MAILTO:clara.oh@example.org
ATTENDEE;CUTYPE=ROOM;CN=Room 12:mailto:room12@example.org
ATTENDEE;PARTSTAT=DECLINED;CN=Dan:mailto:dan@example.org
ATTENDEE:mailto:x77@example.org
ATTENDEE;CN=Ben Stone:mailto:ben.stone@example.org
END:VEVENT
END:VCALENDAR
"""


def test_an_invitation_names_who_was_invited(tmp_path: Path) -> None:
    (tmp_path / "talk.ics").write_text(_INVITATION.replace("\n", "\r\n"), "utf-8")
    assert invited_to(tmp_path / "talk.mp3") == ("Anna Bell", "Ben Stone", "Clara Oh")
    (tmp_path / "talk.mp3.ics").write_text(_INVITATION.replace("Ben Stone", "Bo"), "utf-8")
    assert "Ben Stone" in invited_to(tmp_path / "talk.mp3")
    assert invited_to(tmp_path / "other.mp3") == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no invitation",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n",
        b"\xff\xfe\x00" * 100,
        b"BEGIN:VCALENDAR\r\n" * 5_000,
        b"BEGIN:VEVENT\r\n" * 10_000,
        _INVITATION.encode() + b"X" * 300_000,
        _INVITATION.replace("ATTENDEE", "ATTENDEE;CN=\x00\x1b[31m").encode(),
    ],
)
def test_what_is_no_invitation_is_no_reason_to_fail(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "talk.ics").write_bytes(data)
    with caplog.at_level(logging.WARNING):
        found = invited_to(tmp_path / "talk.mp3")
    assert all(each.isprintable() for each in found)
    assert "\x1b" not in caplog.text


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere.ics"
    secret.write_text(_INVITATION, "utf-8")
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "talk.ics").symlink_to(secret)
    assert invited_to(folder / "talk.mp3") == ()
    os.mkfifo(folder / "call.ics")
    assert invited_to(folder / "call.mp3") == ()


def test_a_bucket_is_asked_for_no_more_than_an_invitation_has() -> None:
    asked: list[int] = []

    def read(place: str, most: int) -> bytes | None:
        asked.append(most)
        return _INVITATION.encode() if place == "a/talk.ics" else None

    assert "Ben Stone" in invited("a/talk.mp3", read)
    assert max(asked) < 1_000_000


def test_names_are_text_and_bounded() -> None:
    given = [
        "  Anna \n Bell ",
        "Anna Bell",
        "",
        "\u202egpj\u0000.exe",
        "x" * 101,
        "Ben <ben@example.org>",
        "\ud800",
    ]
    assert clean_names(given) == ("Anna Bell", "gpj .exe", "Ben")
    assert clean_names(["a.b-c1@example.org", "zoe.hall@example.org"]) == ("Zoe Hall",)
    assert len(clean_names(map(str, range(1_000)))) == MOST_ATTENDEES
