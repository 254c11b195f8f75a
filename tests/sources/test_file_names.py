from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.sources.file_names import display_name, is_recording, shown


@pytest.mark.parametrize(
    "path",
    [
        "a.mp3",
        "A.MP3",
        "talk.final.m4a",
        "folder/b.opus",
        "v1.0/c.mkv",
        "-x.wav",
        "part.mp3",
        "a..mp4",
        "new\nline.ogg",
    ],
)
def test_recordings(path: str) -> None:
    assert is_recording(path)


@pytest.mark.parametrize(
    "path",
    [
        "notes.txt",
        "mp3",
        ".mp3",
        "._talk.mp3",
        ".trash/talk.mp3",
        "talk.mp3.part",
        "talk.mp3.crdownload",
        "talk.tmp",
        "talk.mp3.tmp",
        "talk.download/talk.mp3",
        "talk.mp3/",
        "",
    ],
)
def test_no_recordings(path: str) -> None:
    assert not is_recording(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b/Board meeting.mp3", "Board meeting.mp3"),
        ("Grüße 会议 🎙.wav", "Grüße 会议 🎙.wav"),
        ("one\ntwo\x1b[31m.mp3", "one\ufffdtwo\ufffd[31m.mp3"),
        ("latin-\udce9.mp3", "latin-\ufffd.mp3"),
        ("right\u202eleft.mp3", "right\ufffdleft.mp3"),
        ("at\u202f9\u00a0AM.mov", "at 9 AM.mov"),
        ("", "recording"),
        ("a/..", "recording"),
        ("x" * 300 + ".flac", "x" * 192 + "….flac"),
        ("会" * 300, "会" * 65 + "…"),
        ("." + "x" * 300, "." + "x" * 196 + "…"),
    ],
)
def test_names_to_show(path: str, name: str) -> None:
    assert display_name(path) == name


@given(st.text(st.characters(), max_size=400))
def test_any_name_can_be_shown_and_name_a_file(path: str) -> None:
    name = display_name(path)
    assert 0 < len(name.encode()) <= 200
    assert len(name.splitlines()) == 1
    assert not {"/", "\0"} & set(name)
    assert name not in {".", ".."}
    assert shown(name) == name
