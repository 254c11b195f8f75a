"""Prints how well speakers are told apart in meetings of real speech, heard by the embedded engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.instrument.tracks import write_channels
from tests.speakers import voices
from tests.speakers.meeting import Meeting, is_there, meeting
from tests.speakers.scoring import Score, score, word_score

_ROOT = Path(__file__).parents[2]


def main() -> None:
    """Measure; with ``voices [N]``, voices alone, on N talks of each kind; with ``words``, cpWER."""
    if sys.argv[1:2] == ["voices"]:
        voices.main(int(sys.argv[2]) if len(sys.argv) > 2 else 2)
        return
    if not is_there():
        raise SystemExit("the recordings of real speech are not on this machine")
    if sys.argv[1:2] == ["words"]:
        _tell_words()
        return
    _tell(f"{'meeting':48} {'words':>6} {'right':>7} {'wrong':>6} {'nobody':>7} {'WER by speaker':>15}")
    for name, measured in _measured():
        _tell(
            f"{name:48} {measured.words:6} {measured.accuracy:7.1%} {measured.wrong:6} {measured.nobody:7}"
            f" {measured.error_rate:15.3f}"
        )


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _measured() -> Iterator[tuple[str, Score]]:
    talk = meeting(["linda", "sam"])
    for bleed_db in (None, -30.0, -20.0, -12.0, -6.0):
        said = "no bleed" if bleed_db is None else f"bleed at {bleed_db:g} dB"
        yield f"two channels, {said}", _by_channels(talk, bleed_db)
    yield "two channels, overlapping by 0.5 s", _by_channels(meeting(["linda", "sam"], -500), -20.0)
    yield "three channels, bleed at -20 dB", _by_channels(meeting(["linda", "jane", "sam"]), -20.0)
    for jitter_ms in (0, 100, 250, 500):
        yield f"RTTM, turns off by up to {jitter_ms} ms", _by_turns(talk, jitter_ms)
    yield "RTTM, overlapping by 0.5 s, off by up to 250 ms", _by_turns(meeting(["linda", "sam"], -500), 250)


def _tell_words() -> None:
    """Print word error rates of meetings that one microphone heard, told apart by voices."""
    _tell(f"{'one microphone':48} {'words':>6} {'WER':>7} {'cpWER':>7} {'all one speaker':>16} speakers")
    for people, pause_ms in (
        (["linda", "sam"], 400),
        (["linda", "jane", "sam"], 400),
        (["linda", "sam"], -500),
    ):
        talk = meeting(people, pause_ms)
        with tempfile.TemporaryDirectory() as folder:
            path = write_channels(Path(folder) / "meeting.wav", talk.mixed().reshape(-1, 1))
            words = _words(Path(folder), path, "voices", model="whisper-base")
        rates, found = word_score(talk, words), {word.get("speaker") for word in words} - {None}
        said = " and ".join(people) + (", overlapping" if pause_ms < 0 else "")
        _tell(
            f"{said:48} {len(words):6} {rates.plain:7.1%} {rates.by_speakers:7.1%} {rates.by_one:16.1%}"
            f" {len(found)} of {len(people)}"
        )


def _by_channels(talk: Meeting, bleed_db: float | None) -> Score:
    with tempfile.TemporaryDirectory() as folder:
        path = write_channels(Path(folder) / "meeting.wav", talk.channels(bleed_db))
        words = _words(Path(folder), path, "channels")
    return score(talk, words, {f"Channel {number}": who for number, who in enumerate(talk.people, 1)})


def _by_turns(talk: Meeting, jitter_ms: int) -> Score:
    with tempfile.TemporaryDirectory() as folder:
        path = write_channels(Path(folder) / "meeting.wav", talk.mixed().reshape(-1, 1))
        rttm = Path(folder) / "meeting.rttm"
        rttm.write_text(talk.rttm(jitter_ms))
        words = _words(Path(folder), path, str(rttm))
    return score(talk, words, {who: who for who in talk.people})


def _words(folder: Path, recording: Path, speakers: str, model: str = "pocketsphinx") -> list[dict[str, Any]]:
    environment: Mapping[str, str] = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STENOFLOW_", "OPENAI_"))
        },
        "STENOFLOW_HOME": str(folder / "home"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
    }
    command = [
        sys.executable,
        "-c",
        "from stenoflow.flows.cli import main; main()",
        "transcribe",
        str(recording),
    ]
    options = ["--model", model, "--speakers", speakers, "--json"]
    ended = subprocess.run(
        [*command, *options], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    address = json.loads(ended.stdout)["artifacts"]["json"]
    words: list[dict[str, Any]] = json.loads(Path(address.removeprefix("file://")).read_text())["words"]
    return words


if __name__ == "__main__":
    main()
