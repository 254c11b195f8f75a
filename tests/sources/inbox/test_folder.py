from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from stenoflow.tasks.errors import SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources import resolve
from stenoflow.tasks.sources.inbox import open_inbox
from stenoflow.tasks.sources.inbox.entry import Entry, WriteState
from stenoflow.tasks.sources.inbox.folder import FolderInbox


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return FolderInbox(folder)


def only(inbox: FolderInbox) -> Entry:
    (entry,) = inbox.look().entries
    return entry


def test_recordings_are_entries_and_the_rest_is_beside_them(inbox: FolderInbox) -> None:
    for name in ("b.mp3", "a.wav", "a.json", "notes.txt", ".hidden.mp3", "c.mp3.part", "d.mp3.crdownload"):
        (inbox.folder / name).write_text(name)
    look = inbox.look()
    assert [entry.path for entry in look.entries] == ["a.wav", "b.mp3"]
    assert {"a.json", "notes.txt", "c.mp3.part"} <= set(look.others)


def test_the_mark_changes_with_the_content(inbox: FolderInbox) -> None:
    path = inbox.folder / "talk.mp3"
    path.write_bytes(b"one")
    before = only(inbox)
    assert only(inbox) == before
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert only(inbox).mark != before.mark
    assert before.source.uri == path.as_uri()


def test_a_file_that_a_program_writes_to_is_seen_to_be_open(inbox: FolderInbox) -> None:
    path = inbox.folder / "talk.mp3"
    with path.open("wb") as file:
        file.write(b"the beginning")
        file.flush()
        assert only(inbox).write_state is WriteState.OPEN
    assert only(inbox).write_state is WriteState.UNKNOWN
    with path.open("rb"):
        assert only(inbox).write_state is WriteState.UNKNOWN


def test_who_opens_a_file_while_it_is_looked_at_disturbs_nobody(inbox: FolderInbox) -> None:
    path = inbox.folder / "talk.mp3"
    path.write_bytes(b"something")
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            with path.open("ab"):
                pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            only(inbox)
    finally:
        over.set()
        writer.join()


@pytest.mark.parametrize("marker", ["talk.mp3.done", "talk.done"])
def test_a_marker_says_that_a_file_is_whole(inbox: FolderInbox, marker: str) -> None:
    (inbox.folder / "talk.mp3").write_bytes(b"whole")
    (inbox.folder / marker).touch()
    assert only(inbox).write_state is WriteState.WHOLE


def test_what_is_refused_goes_beside_the_inbox_with_its_reason(inbox: FolderInbox) -> None:
    name = "--" + "x" * 200 + ".mp3"
    (inbox.folder / "sub").mkdir()
    (inbox.folder / "sub" / name).write_bytes(b"no sound")
    place = Path(inbox.reject(only(inbox), "it is no sound"))
    assert place == inbox.folder.parent / "rejected" / "sub" / name
    assert place.read_bytes() == b"no sound"
    (reason,) = place.parent.glob("*.reason.txt")
    assert reason.read_text() == "it is no sound\n"
    assert inbox.look().entries == ()


def test_a_link_is_not_followed_for_options(inbox: FolderInbox, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    (inbox.folder / "talk.json").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic"):
        inbox.read("talk.json", 10)
    assert inbox.read("nothing.json", 10) is None


def test_a_fifo_is_not_read_for_options(inbox: FolderInbox) -> None:
    os.mkfifo(inbox.folder / "talk.json")
    with pytest.raises(OSError, match="no file"):
        inbox.read("talk.json", 10)


def test_links_to_folders_are_not_entered_and_told_of(inbox: FolderInbox, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "talk.mp3").write_bytes(b"x")
    for name in ("linked", ".hidden"):
        (inbox.folder / name).symlink_to(tmp_path / "elsewhere")
    (inbox.folder / "notes").symlink_to(tmp_path / "elsewhere" / "talk.mp3")
    look = inbox.look()
    assert (look.entries, look.linked) == ((), ("linked",))


def test_an_inbox_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for address in ("file", "nothing"):
        with pytest.raises(SourceNotFoundError):
            open_inbox(str(tmp_path / address), _no_client)
    opened = open_inbox(tmp_path.as_uri(), _no_client)
    assert opened.address == tmp_path.as_uri()


def _no_client() -> NoReturn:
    raise AssertionError("S3 is not asked")


def test_what_changed_meanwhile_is_not_moved(inbox: FolderInbox) -> None:
    (inbox.folder / "talk.mp3").write_bytes(b"one")
    entry = only(inbox)
    (inbox.folder / "talk.mp3").write_bytes(b"another")
    with pytest.raises(SourceUnreadableError, match="not the same"):
        inbox.reject(entry, "why")
    assert only(inbox).path == "talk.mp3"


def test_a_file_goes_to_another_file_system_whole_and_over_nothing(
    inbox: FolderInbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", refused)
    for number in range(2):
        (inbox.folder / "talk.mp3").write_text(f"sound {number}")
        os.utime(inbox.folder / "talk.mp3", (5, 5))
        inbox.put_away(only(inbox), str(tmp_path / "done"))
    found = {path.name: path.read_text() for path in (tmp_path / "done").iterdir()}
    assert found == {"talk.mp3": "sound 0", "talk (inbox).mp3": "sound 1"}
    assert (tmp_path / "done" / "talk.mp3").stat().st_mtime == 5
    assert list(inbox.folder.iterdir()) == []


def test_a_folder_inside_that_cannot_be_read_is_named_and_the_rest_is_taken(
    inbox: FolderInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("", "lost+found/", "sub/"):
        (inbox.folder / folder).mkdir(exist_ok=True)
        (inbox.folder / folder / "talk.mp3").write_bytes(b"x")
    real = os.scandir

    def scandir(path: Path) -> Any:  # root may read every folder
        if Path(path).name == "lost+found":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    look = inbox.look()
    assert [entry.path for entry in look.entries] == ["sub/talk.mp3", "talk.mp3"]
    assert look.unreadable == (f"{inbox.folder}/lost+found: permission denied",)
    said: list[str] = []
    assert len(resolve(str(inbox.folder), remark=said.append)) == 2
    assert said == [
        f"cannot read the folder {inbox.folder}/lost+found: permission denied; what is in it is passed over"
    ]


def test_what_changes_below_it_is_said_until_it_is_stopped(inbox: FolderInbox) -> None:
    stopped, changed = threading.Event(), threading.Event()

    def follow() -> None:
        for _ in inbox.changes(stopped):
            changed.set()

    thread = threading.Thread(target=follow)
    thread.start()
    number = 0
    while not changed.is_set():  # it is not known when the system has begun to watch
        number += 1
        (inbox.folder / f"{number}.mp3").write_bytes(b"sound")
        changed.wait(0.1)
    stopped.set()
    thread.join()


def test_folders_in_each_other_without_end_keep_nothing_else_from_being_taken(inbox: FolderInbox) -> None:
    (inbox.folder / "talk.mp3").write_bytes(b"sound")
    deepest = inbox.folder.joinpath(*["a"] * 150)
    deepest.mkdir(parents=True)
    (deepest / "talk.mp3").write_bytes(b"sound")
    look = inbox.look()
    assert [entry.path for entry in look.entries] == ["talk.mp3"]
    (unread,) = look.unreadable
    assert "more than 100 others" in unread
