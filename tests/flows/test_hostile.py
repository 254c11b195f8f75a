"""A folder of damaged and hostile files through the command line: one line each, none bought in vain."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Command, Printed, charges, read_artifact
from tests.hostile.flac_silence import flac_silence
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer

SECONDS = 20
# A frame, a cluster, or what an encoder holds back.
_NEAR_S = 0.5

# Each says how long it was meant to be; cut off in its middle, half of it is missing.
CUT_OFF = {
    "cut.wav": (),
    "cut.flac": (),
    "cut.mp3": ("-b:a", "64k"),
    "cut.m4a": ("-movflags", "+faststart", "-b:a", "48k"),
    "cut.mkv": ("-c:a", "libopus", "-b:a", "32k"),
}
NOT_SOUND = {
    "empty.mp3": b"",
    "one byte.mp3": b"\xff",
    "zeros.mp3": bytes(1_000_000),
    "noise.wav": bytes(range(1, 256)) * 500,
    "minutes.mp3": b"These are the minutes of the meeting.\n" * 200,
    "page.mp3": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "list.mp3": b"ffconcat version 1.0\nfile 'whole.mp3'\n",
    "list.m4a": b"#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:20,\nwhole.mp3\n#EXT-X-ENDLIST\n",
    "concat.wav": b"concat:whole.mp3|whole.mp3",
    "drawing.ogg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "program.flac": b"\x7fELF\2\1\1" + bytes(50_000),
    "two\nlines.mp3": b"not sound",
    "%d.mp3": b"not sound either",
}


@dataclass(frozen=True, slots=True)
class Run:
    """What one command over the folder came to, and what it asked the API."""

    printed: Printed
    lines: dict[str, dict[str, Any]]
    calls: int


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound recordings that are cut off later."""
    folder = tmp_path_factory.mktemp("encoded")
    words = script(SECONDS)
    for name, options in (*CUT_OFF.items(), ("whole.mp3", ())):
        write(folder / name, words, SECONDS, *options)
    return folder


def test_each_file_of_a_hostile_folder_has_its_own_outcome(
    stenoflow: Command, api: AudioApiServer, home: Path, encoded: Path, tmp_path: Path
) -> None:
    folder = _fill(tmp_path / "inbox", encoded)
    run = _transcribe(stenoflow, api, folder)
    assert run.lines.keys() == {path.name for path in folder.iterdir()}
    assert run.printed.exit_code == 3, "something ended partial, and that is graver than a refusal"
    assert "Traceback" not in run.printed.err
    _check_refused({name: line for name, line in run.lines.items() if name in _refused(folder)})
    _check_too_wide(run.lines["wide.wav"])
    assert run.lines["whole.mp3"]["status"] == "complete"
    for name in CUT_OFF:
        _check_cut_off(run.lines[name])
        _check_shown(stenoflow, run.lines[name])
    assert run.calls == len(CUT_OFF) + 1
    assert sum(amount for kind, amount in charges(home) if kind == "actual") > 0


def _fill(folder: Path, encoded: Path) -> Path:
    folder.mkdir()
    for name in CUT_OFF:
        whole = (encoded / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    whole = (encoded / "whole.mp3").read_bytes()
    (folder / "whole.mp3").write_bytes(whole)
    for name, content in NOT_SOUND.items():
        (folder / name).write_bytes(content)
    (folder / "day.flac").write_bytes(flac_silence(25 * 3600, rate=8_000))
    _write_wide(folder / "wide.wav", (encoded / "cut.wav").read_bytes())
    os.mkfifo(folder / "pipe.mp3")
    (folder / "nothing.mp3").symlink_to(folder / "gone")
    (folder / "zero.wav").symlink_to("/dev/zero")
    (folder / "elsewhere.mp3").symlink_to(encoded / "whole.mp3")
    return folder


def _write_wide(path: Path, whole: bytes) -> None:
    """255 channels: it can be looked into, but not decoded."""
    at = whole.index(b"fmt ") + 10
    path.write_bytes(whole[:at] + b"\xff\0" + whole[at + 2 :])


def _refused(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - CUT_OFF.keys() - {"whole.mp3", "wide.wav"}


def _transcribe(stenoflow: Command, api: AudioApiServer, folder: Path) -> Run:
    printed = stenoflow("transcribe", folder, "--json")
    lines = {_name(line): line for line in printed.lines}
    assert len(lines) == len(printed.lines)
    return Run(printed, lines, len(api.calls))


def _name(line: dict[str, Any]) -> str:
    return re.sub(r"%([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), Path(line["source"]).name)


def _check_refused(lines: dict[str, dict[str, Any]]) -> None:
    for name, line in lines.items():
        assert line["status"] == "refused", line
        assert (line["calls"], line["cost"], line["artifacts"]) == (0, "0.0000", {}), line
        message = line["error"]["message"]
        assert message.isprintable(), line
        assert "".join(char if char.isprintable() else "?" for char in name) in message, line
    kinds = {name: lines[name]["error"]["kind"] for name in lines}
    assert kinds.pop("day.flac") == "too-long"
    assert {kinds.pop(name) for name in ("pipe.mp3", "zero.wav", "elsewhere.mp3")} == {"unreadable"}
    assert kinds.pop("nothing.mp3") in {"not-found", "unreadable"}
    assert set(kinds.values()) == {"not-audio"}


def _check_too_wide(line: dict[str, Any]) -> None:
    # So many channels make it too short to be sent.
    assert (line["status"], line["calls"], line["cost"]) == ("refused", 0, "0.0000"), line
    assert line["error"]["kind"] == "too-short"
    assert line["error"]["message"].isprintable()


def _check_cut_off(line: dict[str, Any]) -> None:
    assert line["status"] == "partial", line
    ((start, end),) = line["missing"]
    assert end == pytest.approx(SECONDS, abs=_NEAR_S), line
    assert 0.3 * SECONDS < start < 0.7 * SECONDS, line
    assert line["calls"] == 1
    assert line["damaged"]["missing_seconds"] == pytest.approx(end - start, abs=_NEAR_S)
    assert re.search(r"\[missing 00:00:\d\d-00:00:2[01]\]", read_artifact(line, "txt")), line
    # What is there was heard.
    words = script(SECONDS)
    heard = len(re.findall(r"\b\d+\b", read_artifact(line, "txt").partition("[missing")[0]))
    there = sum(word.start_sample / 16_000 < start for word in words)
    assert abs(heard - there) <= 2, line


def _check_shown(stenoflow: Callable[..., Printed], line: dict[str, Any]) -> None:
    shown = stenoflow("show", line["job"], "--json").line
    assert shown["damaged"] == line["damaged"]
    assert shown["damaged"]["reason"]
