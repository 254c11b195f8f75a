from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from stenoflow.tasks.errors import NotAudioError, RefusedError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources import Source, fetch, resolve
from tests.storage.objects.unprivileged import no_permission

HOSTILE = [
    "-rf.mp3",
    "a:b.mp3",
    "%03d.mp3",
    "%41.mp3",
    "new\nline.mp3",
    "'; rm -rf ~; '.mp3",
    "concat:a|b.mp3",
    "latin-\udce9.mp3",
    "会议 🎙.mp3",
    "#hash?query.mp3",
    "x" * 251 + ".mp3",
]


def write(path: Path, data: bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


class TestOneFile:
    def test_is_taken_whatever_its_name(self, tmp_path: Path) -> None:
        path = write(tmp_path / "meeting.unknown")
        assert resolve(str(path)) == [Source(path.as_uri(), "meeting.unknown", None, 5)]

    def test_is_named_absolutely_however_it_was_given(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path / "folder" / "a.mp3")
        (tmp_path / "link").symlink_to(tmp_path / "folder")
        monkeypatch.chdir(tmp_path / "folder")
        given = ["a.mp3", "./a.mp3", "../folder/a.mp3", "../link/a.mp3", path.as_uri(), f"file://{path}"]
        assert {resolve(one)[0].uri for one in given} == {path.as_uri()}

    @pytest.mark.parametrize("name", HOSTILE)
    def test_of_a_hostile_name_is_read_and_found_again_by_its_uri(self, tmp_path: Path, name: str) -> None:
        path = write(tmp_path / name, name.encode(errors="surrogateescape"))

        [source] = resolve(str(path))
        fetched = fetch(source, tmp_path / "work")

        assert fetched.path == path
        assert fetched.size == path.stat().st_size
        assert fetched.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert resolve(source.uri) == [source]
        assert resolve(str(tmp_path)) == [source]
        assert source.uri.isascii()
        assert not (tmp_path / "work").exists()

    def test_behind_a_link_keeps_the_name_that_was_given(self, tmp_path: Path) -> None:
        path = write(tmp_path / "original")
        (tmp_path / "today.mp3").symlink_to(path)
        [source] = resolve(str(tmp_path / "today.mp3"))
        assert source.name == "today.mp3"
        assert fetch(source, tmp_path).size == 5

    def test_large_enough_for_several_reads(self, tmp_path: Path) -> None:
        data = os.urandom(3_000_001)
        [source] = resolve(str(write(tmp_path / "large.wav", data)))
        assert fetch(source, tmp_path).sha256 == hashlib.sha256(data).hexdigest()


class TestFolder:
    def test_means_all_recordings_in_it_sorted(self, tmp_path: Path) -> None:
        for name in ("b.mp3", "a.WAV", "deep/er/c.mkv", "deep/a.ogg"):
            write(tmp_path / name)
        for name in ("notes.txt", ".hidden.mp3", ".cache/x.mp3", "d.mp3.part", "e.mp3.crdownload", "f.tmp"):
            write(tmp_path / name)
        found = [source.uri.removeprefix(tmp_path.as_uri()) for source in resolve(str(tmp_path))]
        assert found == ["/a.WAV", "/b.mp3", "/deep/a.ogg", "/deep/er/c.mkv"]

    def test_that_is_itself_hidden_counts(self, tmp_path: Path) -> None:
        write(tmp_path / ".inbox" / "a.mp3")
        assert [source.name for source in resolve(str(tmp_path / ".inbox"))] == ["a.mp3"]

    def test_given_in_any_way_yields_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "in" / "a.mp3")
        (tmp_path / "in" / "sub").mkdir()
        monkeypatch.chdir(tmp_path / "in" / "sub")
        given = ["..", "../", "../../in", str(tmp_path / "in"), (tmp_path / "in").as_uri()]
        assert {resolve(one)[0].uri for one in given} == {(tmp_path / "in" / "a.mp3").as_uri()}

    def test_links_out_of_it_are_refused_and_those_within_are_followed(self, tmp_path: Path) -> None:
        secret = write(tmp_path / "elsewhere" / "secret.mp3")
        inside = write(tmp_path / "inbox" / "archive" / "a.mp3")
        (tmp_path / "inbox" / "out.mp3").symlink_to(secret)
        (tmp_path / "inbox" / "up.mp3").symlink_to("../elsewhere/secret.mp3")
        (tmp_path / "inbox" / "in.mp3").symlink_to(inside)
        found = {source.name: source for source in resolve(str(tmp_path / "inbox"))}
        assert set(found) == {"a.mp3", "out.mp3", "up.mp3", "in.mp3"}
        assert fetch(found["in.mp3"], tmp_path / "work").size == 5
        for name in ("out.mp3", "up.mp3"):
            with pytest.raises(SourceUnreadableError, match=f"{name} is a link out of its folder"):
                fetch(found[name], tmp_path / "work")
        # Named itself, a link is what the user means.
        assert fetch(resolve(str(tmp_path / "inbox" / "out.mp3"))[0], tmp_path / "work").size == 5

    def test_with_links_in_a_circle_ends(self, tmp_path: Path) -> None:
        write(tmp_path / "a.mp3")
        (tmp_path / "again").symlink_to(tmp_path)
        assert len(resolve(str(tmp_path))) == 1

    @pytest.mark.parametrize("name", [None, "notes.txt", "a.mp3.part"])
    def test_without_recordings_says_what_it_looked_for(self, tmp_path: Path, name: str | None) -> None:
        if name:
            write(tmp_path / name)
        with pytest.raises(SourceNotFoundError, match=str(tmp_path)) as raised:
            resolve(str(tmp_path))
        assert ".mp3" in raised.value.hint
        assert ".mkv" in raised.value.hint
        assert len(raised.value.hint) < 150
        remarks: list[str] = []
        with pytest.raises(SourceNotFoundError):
            resolve(str(tmp_path), remark=remarks.append)
        assert (remarks, "only 1 .txt" in raised.value.message) == ([], name == "notes.txt")

    def test_with_bad_ones_among_the_good_spoils_only_the_bad(self, tmp_path: Path) -> None:
        write(tmp_path / "empty.mp3", b"")
        os.mkfifo(tmp_path / "fifo.mp3")
        write(tmp_path / "good.mp3")
        (tmp_path / "link.mp3").symlink_to(tmp_path / "nowhere")

        outcomes = {source.name: _outcome(source, tmp_path) for source in resolve(str(tmp_path))}

        assert outcomes == {
            "empty.mp3": NotAudioError,
            "fifo.mp3": SourceUnreadableError,
            "good.mp3": None,
            "link.mp3": SourceUnreadableError,
        }

    def test_that_may_not_be_listed(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a.mp3")
        with no_permission(tmp_path / "in"), pytest.raises(SourceUnreadableError, match="permission denied"):
            resolve(str(tmp_path / "in"))


class TestRefused:
    @pytest.mark.parametrize(
        "name", ["missing.mp3", "file/below.mp3", "nul\0", "x" * 5000, "file://host/a.mp3", ""]
    )
    def test_what_is_not_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        write(tmp_path / "file")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SourceNotFoundError):
            resolve(name)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotAudioError, match="0 bytes"):
            resolve(str(write(tmp_path / "a.mp3", b"")))

    def test_a_fifo_without_waiting_for_a_writer(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.mp3")
        with pytest.raises(SourceUnreadableError, match="FIFO"):
            resolve(str(tmp_path / "a.mp3"))

    def test_a_device(self) -> None:
        with pytest.raises(SourceUnreadableError, match="device"):
            resolve("/dev/zero")

    def test_a_socket(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("a.mp3")
            with pytest.raises(SourceUnreadableError, match="socket"):
                resolve("a.mp3")

    def test_links_to_nothing_and_in_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp3").symlink_to("nothing.mp3")
        (tmp_path / "b.mp3").symlink_to("b.mp3")
        with pytest.raises(SourceUnreadableError, match="link to nothing"):
            resolve(str(tmp_path / "a.mp3"))
        with pytest.raises(SourceUnreadableError, match="links"):
            resolve(str(tmp_path / "b.mp3"))
        with pytest.raises(RefusedError):
            resolve(str(tmp_path / "b.mp3" / "c.mp3"))

    def test_without_permission(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.mp3")
        with no_permission(path), pytest.raises(SourceUnreadableError, match="permission denied"):
            resolve(str(path))

    def test_other_addresses_and_no_password_shown(self) -> None:
        with pytest.raises(SourceNotFoundError, match="https://") as raised:
            resolve("https://user:secret@example.com/a.mp3")
        assert "secret" not in str(raised.value)

    def test_messages_have_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFoundError) as raised:
            resolve(str(tmp_path / "new\nline\udce9"))
        assert len(str(raised.value).splitlines()) == 1
        str(raised.value).encode()


def test_a_file_that_is_gone_when_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3")
    [source] = resolve(str(path))
    path.unlink()
    with pytest.raises(SourceNotFoundError):
        fetch(source, tmp_path)


def test_a_file_that_is_written_to_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp3")
    [source] = resolve(str(path))
    digest = hashlib.file_digest

    def grow_meanwhile(*args: object) -> object:
        found = digest(*args)  # type: ignore[arg-type] # passed on as they come
        with path.open("ab") as file:
            file.write(b"more")
        return found

    monkeypatch.setattr(hashlib, "file_digest", grow_meanwhile)
    with pytest.raises(SourceUnreadableError, match="changed"):
        fetch(source, tmp_path)


def _outcome(source: Source, folder: Path) -> type[Exception] | None:
    try:
        fetch(source, folder)
    except RefusedError as error:
        return type(error)
    return None
