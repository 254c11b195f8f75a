"""`show --page`: a job's page as a file of its own, with the recording in it where that is asked for."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import pytest

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.flows.conftest import Command, Meeting
from tests.flows.processes import command
from tests.instrument.recogniser import recognise
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer

_LATE_S = 1.5


def _sound(page: Path) -> bytes:
    """Return the recording that is in a page."""
    pieces = re.findall(
        r'<script type="application/octet-stream" class="sound">(.*?)</script>', page.read_text()
    )
    return b"".join(map(base64.b64decode, pieces))


def test_an_embedded_video_is_heard_at_the_times_of_its_words(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    words = script(30)
    sound = write(tmp_path / "sound.ogg", words, 30, "-c:a", "libopus")
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=32")
    late = ("-itsoffset", str(_LATE_S), "-i", f"file:{sound}", "-map", "0:v", "-map", "1:a", "-c:a", "aac")
    video = tmp_path / "talk.mp4"
    subprocess.run([find_ffmpeg().path, "-v", "error", *picture, *late, f"file:{video}"], check=True)
    job = stenoflow("transcribe", video, "--json").line["job"]
    calls = len(api.calls)

    page = tmp_path / "talk.html"
    told = stenoflow("show", job, "--page", page, "--embed", "--json").line
    assert told == {"job": job, "page": str(page), "bytes": page.stat().st_size, "embedded": True}
    heard = recognise(_sound(page))["words"]
    assert [word["word"] for word in heard] == [word.text for word in words]
    errors = [
        abs(word["start"] - said.start_ms / 1000 - _LATE_S) for word, said in zip(heard, words, strict=True)
    ]
    assert max(errors) < 0.025
    assert "<audio" in page.read_text()
    assert 'href="transcript.txt"' not in page.read_text()
    assert len(api.calls) == calls
    assert {each.name for each in tmp_path.iterdir()} == {
        "home",
        "here",
        "sound.ogg",
        "talk.mp4",
        "talk.html",
    }


@pytest.mark.program
def test_what_cannot_be_embedded_is_said_and_the_page_is_written_without_it(
    stenoflow: Command, home: Path, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    recording = tmp_path / "talk.mp3"
    recording.write_bytes(meeting.path.read_bytes())
    job = stenoflow("transcribe", recording, "--segment-seconds", "120", "--json").line["job"]
    page = tmp_path / "page.html"
    recording.write_bytes(meeting.path.read_bytes()[: 1 << 20])
    changed = stenoflow("show", job, "--page", page, "--embed")
    assert (changed.exit_code, page.exists()) == (3, False)
    assert "is not the recording any more" in changed.err
    recording.unlink()
    assert stenoflow("show", job, "--page", page, "--embed").exit_code == 4
    assert stenoflow("show", job, "--embed").exit_code == 2
    assert not page.exists()

    printed = stenoflow("show", job, "--page", page)
    assert printed.exit_code == 0
    assert printed.out.startswith(f"{page}: 0.")
    assert _sound(page) == b""
    assert f'src="{recording.as_uri()}"' in page.read_text()
    assert stenoflow("show", job, "--page", tmp_path / "no" / "page.html").exit_code == 2
    assert not list((home / "work" / "segments").iterdir())
    assert len(api.calls) == 2


@pytest.mark.usefixtures("api")
def test_there_is_no_page_of_what_was_never_heard(stenoflow: Command, tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp3"
    talk.write_bytes(b"no sound")
    job = stenoflow("transcribe", talk, "--json").line["job"]
    assert stenoflow("show", job, "--page", tmp_path / "page.html").exit_code == 2


_KILLED = """
import os, signal
from stenoflow.tasks.operations import export_page
from stenoflow.flows.cli import main
def encode(_samples, path, **_given):
    path.write_bytes(b"the recording")
    os.kill(os.getpid(), signal.SIGKILL)
export_page.encode_opus = encode
main()
"""


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_what_a_killed_export_leaves_is_forgotten_with_the_recording(
    stenoflow: Command, meeting: Meeting, tmp_path: Path, home: Path
) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    page = ["show", line["job"], "--page", str(tmp_path / "talk.html"), "--embed"]
    with command(page, tmp_path, program=_KILLED) as process:
        process.communicate()
    (left,) = (home / "work").rglob("sound.webm")
    assert left.read_bytes() == b"the recording"
    would = stenoflow("forget", line["recording"], "--dry-run", "--json").line["would_erase"]
    assert would["sound"] == 1
    assert stenoflow("forget", line["recording"], "--yes").exit_code == 0
    assert not list((home / "work").rglob("sound.webm"))
