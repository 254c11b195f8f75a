"""`stenoflow speak`: what is heard, what it costs, and what is left when something goes wrong."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.flows.conftest import Command, charges, write_settings
from tests.flows.processes import command, wait_for
from tests.servers.audio_api import AudioApiServer
from tests.servers.speech import LETTER_S, RATE, sound_of_text, tone_of

LINE = "The report is due on Tuesday."
# Three paragraphs, each too long to share a piece with another one.
CHAPTER = "\n\n".join(f"{word} " * 9 + "end." for word in ("alpha", "bravo", "delta"))
LIMIT = '[speech_models."tts-1"]\nmax_characters = 100\n'


@pytest.fixture(autouse=True)
def _priced_as_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_PROVIDER", "openai")


@pytest.fixture
def short_pieces(home: Path) -> None:  # noqa: ARG001 - it stands in the folder that home made
    limit_to_short_pieces()


TOLD = ["alpha", "bravo", "delta", "end."]


def limit_to_short_pieces() -> None:
    """Have the chapter spoken in three pieces."""
    write_settings(LIMIT)


def samples(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def words_heard(sound: NDArray[np.int16], words: list[str]) -> list[str]:
    """Tell which words' tones there are, in order."""
    step = round(LETTER_S * RATE)
    heard: list[str] = []
    for at in range(0, sound.size - step, step):
        block = sound[at : at + step].astype(np.float64)
        if np.abs(block).max() < 4_000:
            continue
        pitch = np.argmax(np.abs(np.fft.rfft(block * np.hanning(step), 1 << 14))) * RATE / (1 << 14)
        word = min(words, key=lambda each: abs(tone_of(each) - pitch))
        heard += [word] if not heard or heard[-1] != word else []
    return heard


def test_a_short_text_is_passed_on_as_the_api_gave_it(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, home: Path
) -> None:
    out = tmp_path / "line.mp3"
    line = stenoflow("speak", LINE, "-o", out, "--voice", "nova", "--speed", "1.25", "--json").line
    assert out.read_bytes() == sound_of_text(LINE, "mp3", 1.25)
    assert {
        key: line[key] for key in ("status", "characters", "segments", "calls", "reused", "cost", "error")
    } == {
        "status": "complete",
        "characters": len(LINE),
        "segments": 1,
        "calls": 1,
        "reused": 0,
        "cost": "0.000435",
        "error": None,
    }
    assert (line["file"], line["currency"]) == (str(out), "USD")
    assert line["duration"] == pytest.approx(2.0, abs=0.5)
    assert api.speech.calls[0].document == {
        "model": "tts-1",
        "input": LINE,
        "voice": "nova",
        "response_format": "mp3",
        "speed": 1.25,
    }
    assert [kind for kind, _ in charges(home)] == ["reserve", "release", "actual"]
    assert stat.S_IMODE(out.stat().st_mode) & 0o400
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_again_is_not_bought_again(stenoflow: Command, api: AudioApiServer, tmp_path: Path) -> None:
    first = stenoflow("speak", LINE, "-o", tmp_path / "1.opus", "--json").line
    again = stenoflow("speak", f" {LINE}\r\n", "-o", tmp_path / "2.opus", "--json").line
    assert (again["job"], again["calls"], again["reused"], again["cost"]) == (first["job"], 0, 1, "0.0000")
    assert again["duration"] == first["duration"]
    assert (tmp_path / "1.opus").read_bytes() == (tmp_path / "2.opus").read_bytes()
    stenoflow("speak", LINE, "-o", tmp_path / "3.opus", "--voice", "echo")
    assert len(api.speech.calls) == 2


@pytest.mark.program
@pytest.mark.usefixtures("short_pieces")
def test_a_long_text_is_spoken_in_pieces_and_joined_in_order(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    source, out = tmp_path / "chapter.txt", tmp_path / "chapter.wav"
    source.write_bytes(b"\xef\xbb\xbf" + CHAPTER.encode())
    line = stenoflow("speak", "--file", source, "-o", out, "--json").line
    assert (line["segments"], line["calls"], line["characters"]) == (3, 3, len(CHAPTER))
    assert {call.document["response_format"] for call in api.speech.calls} == {"pcm"}
    sound = samples(out)
    assert line["duration"] == pytest.approx(sound.size / RATE, abs=0.001)
    assert words_heard(sound, TOLD) == ["alpha", "end.", "bravo", "end.", "delta", "end."]
    loud = np.flatnonzero(np.abs(sound) > 2_000)
    gaps = np.diff(loud)[np.diff(loud) > RATE // 5] / RATE
    assert gaps.tolist() == pytest.approx([0.7, 0.7], abs=0.02)
    # Of another format, what was bought for this one is taken.
    other = stenoflow("speak", "--file", source, "-o", tmp_path / "chapter.mp3", "--json").line
    assert (other["calls"], other["reused"], other["cost"]) == (0, 3, "0.0000")


@pytest.mark.usefixtures("short_pieces")
def test_only_what_is_missing_is_bought_when_the_api_stopped_midway(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    out = tmp_path / "chapter.wav"
    # Tried twice, for it may have been charged.
    api.script(["ok", "ok", "stops-midway", "stops-midway"])
    printed = stenoflow("speak", CHAPTER, "-o", out, "--concurrency", "1", "--json")
    line = printed.line
    assert (printed.exit_code, line["status"], line["error"]["kind"]) == (3, "partial", "api-unknown-outcome")
    assert (line["calls"], line["file"], line["cost"]) == (4, None, "0.00174")
    assert list(tmp_path.glob("*.wav")) == []
    resumed = stenoflow("resume", line["job"], "--out", tmp_path, "--json").line
    assert (resumed["status"], resumed["calls"], resumed["reused"]) == ("complete", 1, 2)
    assert samples(tmp_path / f"{line['job']}.wav").size
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert sorted(each["attempts"] for each in shown["segments"]) == [1, 1, 3]
    assert shown["possible_cost"] == "0.00174"


def test_sound_that_is_too_short_to_be_all_of_it_is_not_taken(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    text = " ".join(["counting"] * 60)
    api.script(["ends-early"])
    line = stenoflow("speak", text, "-o", tmp_path / "long.mp3", "--json").line
    assert (line["status"], line["calls"]) == ("complete", 2)
    assert (tmp_path / "long.mp3").read_bytes() == sound_of_text(text, "mp3")


def test_another_format_than_was_asked_for_is_converted(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    api.mode = "other-format"
    assert stenoflow("speak", LINE, "-o", tmp_path / "line.flac").exit_code == 0
    assert (tmp_path / "line.flac").read_bytes().startswith(b"fLaC")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("Hello", "-o", "x.mp3", "--voice", "nobody"), 2, "it has alloy"),
        (("Hello", "-o", "x.mp3", "--format", "midi"), 2, "known are mp3"),
        (("Hello", "-o", "x.doc"), 2, "tells of no format"),
        (("Hello", "-o", "x.mp3", "--speed", "4.5"), 2, "speed"),
        (("Hello", "-o", "x.mp3", "--instructions", "Sadly."), 2, "takes no instructions"),
        (("Hello", "-o", "."), 2, "is a folder"),
        (("Hello", "-o", "nowhere/x.mp3"), 2, "cannot be written"),
        (("Hello", "-o", "-", "--json"), 2, "both want stdout"),
        (("Hello", "--file", "x.txt", "-o", "x.mp3"), 2, "a text and a file"),
        (("-o", "x.mp3"), 2, "there is no text"),
        (("Hello",), 2, "where shall the sound go"),
        (("", "-o", "x.mp3"), 4, "no text to speak"),
        (("... \U0001f600", "-o", "x.mp3"), 4, "in no language"),
        (("--file", "missing.txt", "-o", "x.mp3"), 4, "no file missing.txt"),
        (("--file", "/dev/zero", "-o", "x.mp3"), 4, "more than 16 MB"),
        (("--file", ".", "-o", "x.mp3"), 4, "cannot be read"),
        (("Hello", "-o", "x.mp3", "--budget", "0"), 4, "budget"),
    ],
)
def test_bad_input_is_refused_before_anything_is_spent(
    arguments: tuple[str, ...], exit_code: int, said: str, stenoflow: Command, api: AudioApiServer
) -> None:
    printed = stenoflow("speak", *arguments)
    assert (printed.exit_code, api.speech.calls) == (exit_code, [])
    assert said in " ".join(printed.err.split())
    assert not Path("x.mp3").exists()


def test_a_text_that_is_no_utf8_is_refused_and_one_with_a_mark_is_read(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    source, out = tmp_path / "text.txt", tmp_path / "x.mp3"
    source.write_bytes("Gr\u00fc\u00dfe".encode("latin-1"))
    printed = stenoflow("speak", "--file", source, "-o", out, "--json")
    assert (printed.exit_code, printed.line["error"]["kind"]) == (4, "unreadable")
    source.write_text("Gr\u00fc\u00dfe", "utf-16")
    assert stenoflow("speak", "--file", source, "-o", out).exit_code == 0
    assert api.speech.calls[0].text == "Gr\u00fc\u00dfe"


def test_a_price_that_nobody_knows_is_not_taken_for_nothing(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    asked = (
        "speak",
        LINE,
        "-o",
        tmp_path / "x.mp3",
        "--model",
        "gpt-4o-mini-tts",
        "--instructions",
        "Sadly.",
    )
    assert stenoflow(*asked, "--budget", "1").exit_code == 4
    assert stenoflow(*asked, "--json").line["cost"] is None
    assert api.speech.calls[0].document["instructions"] == "Sadly."


@pytest.mark.usefixtures("short_pieces")
def test_a_budget_that_is_reached_midway_keeps_what_is_done(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    out = tmp_path / "x.wav"
    line = stenoflow("speak", CHAPTER.split("\n\n")[0], "-o", tmp_path / "y.pcm", "--json").line
    api.script(["500", "500", "ok"])
    printed = stenoflow("speak", CHAPTER, "-o", out, "--budget", "0.0028", "--concurrency", "1", "--json")
    assert (printed.exit_code, printed.line["status"]) == (3, "partial")
    resumed = stenoflow("resume", printed.line["job"], "--budget", "1", "--out", tmp_path, "--json").line
    assert resumed["status"] == "complete"
    assert line["cost"] != "0.0000"


def test_costs_are_split_into_hearing_chat_and_speaking(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    del api
    stenoflow("speak", LINE, "-o", tmp_path / "x.mp3", "--tag", "board")
    line = stenoflow("costs", "--by", "activity", "--json").line
    assert (line["activity"], line["speaking"], line["hearing"], line["chat"]) == (
        "speaking",
        "0.000435",
        "0.000000",
        "0.000000",
    )
    assert (line["characters"], line["audio_seconds"]) == (len(LINE), 0)
    assert stenoflow("costs", "--by", "tag", "--json").line["cost"] == "0.000435"


def test_what_was_spoken_is_verified_and_joined_anew(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, home: Path
) -> None:
    stenoflow("speak", LINE, "-o", tmp_path / "x.wav")
    (sound,) = home.glob("store/*/*/speech.wav")
    sound.write_bytes(b"something else")
    assert stenoflow("verify").exit_code == 3
    assert stenoflow("verify", "--repair").exit_code == 0
    assert sound.read_bytes() == (tmp_path / "x.wav").read_bytes()
    manifest = json.loads(next(home.glob("store/*/*/manifest.json")).read_text("utf-8"))
    assert [each["name"] for each in manifest["artifacts"]] == ["speech.wav"]
    assert len(api.speech.calls) == 1


@pytest.mark.program
def test_forgetting_a_text_leaves_what_another_one_uses(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, home: Path, short_pieces: None
) -> None:
    del short_pieces
    alone = CHAPTER.rsplit("\n\n", 1)[0]
    for text in (CHAPTER, alone):
        stenoflow("speak", text, "-o", tmp_path / "x.wav")
    of_chapter, of_alone = (
        json.loads(line)["recording"] for line in reversed(stenoflow("jobs", "--json").out.splitlines())
    )
    assert len(list(home.glob("store/speech/*/*"))) == 3
    assert stenoflow("forget", of_chapter, "--yes").exit_code == 0
    assert len(list(home.glob("store/speech/*/*"))) == 2
    assert stenoflow("speak", alone, "-o", tmp_path / "y.flac", "--json").line["calls"] == 0
    assert stenoflow("forget", of_alone, "--yes").exit_code == 0
    assert [path for path in home.glob("store/**/*") if path.is_file()] == []
    assert len(api.speech.calls) == 3
    assert "alpha" not in (home / "stenoflow.db").read_bytes().decode("latin-1")


def test_sound_that_is_gone_from_the_store_is_had_again(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, home: Path
) -> None:
    stenoflow("speak", LINE, "-o", tmp_path / "x.mp3")
    for path in home.glob("store/**/*.mp3"):
        path.unlink()
    line = stenoflow("speak", LINE, "-o", tmp_path / "y.mp3", "--json").line
    assert (line["status"], line["calls"], len(api.speech.calls)) == ("complete", 1, 2)


@pytest.mark.program
def test_several_voices_can_be_heard_on_a_page(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    folder = tmp_path / "voices"
    text = 'Is <b>this</b> "right" & good?'
    printed = stenoflow("speak", text, "--sample", "-o", folder, "--voice", "nova, echo", "--json")
    assert {line["voice"] for line in printed.lines} == {"nova", "echo"}
    assert {path.name for path in folder.iterdir()} == {"nova.mp3", "echo.mp3", "index.html"}
    page = (folder / "index.html").read_text("utf-8")
    assert "Is &lt;b&gt;this&lt;/b&gt;" in page
    assert page.count("<audio") == page.count('src="data:audio/mpeg;base64,') == 2
    write_settings('[speech_models."mine"]\nvoices = ["anna", "otto"]\n')
    assert stenoflow("speak", "--sample", "-o", folder, "--model", "mine").exit_code == 0
    assert {call.document["voice"] for call in api.speech.calls[2:]} == {"anna", "otto"}
    assert "decided on Tuesday" in (folder / "index.html").read_text("utf-8")


def test_a_terminal_and_a_device_are_not_taken_for_files(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    assert stenoflow("speak", LINE, "-o", "/dev/null", "--format", "mp3").exit_code == 0
    assert Path("/dev/null").is_char_device()
    link, out = tmp_path / "link.mp3", tmp_path / "out.mp3"
    link.symlink_to(out)
    assert stenoflow("speak", LINE, "-o", link).exit_code == 0
    assert (link.is_symlink(), out.is_file(), len(api.speech.calls)) == (True, True, 1)


@pytest.mark.program
@pytest.mark.usefixtures("short_pieces")
def test_a_player_that_goes_away_ends_it_and_what_is_paid_is_kept(
    stenoflow: Command, api: AudioApiServer, home: Path
) -> None:
    api.speech.hold_after_bytes = 9_600
    arguments = ["speak", CHAPTER, "-o", "-", "--format", "pcm", "--concurrency", "1"]
    with command(arguments, Path.cwd()) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1 << 16)
        process.stdout.close()
        api.speech.go_on.set()
        assert process.wait() == 1
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    bought = len(api.speech.calls)
    assert bought < 3
    (job,) = [json.loads(line) for line in stenoflow("jobs", "--json").out.splitlines()]
    assert (job["state"], job["possible_cost"]) == ("interrupted", "0.0000")
    assert [kind for kind, _ in charges(home)].count("actual") == bought
    assert stenoflow("resume", job["job"], "--json").line["reused"] == bought


@pytest.mark.program
@pytest.mark.usefixtures("short_pieces")
def test_an_interrupt_keeps_replies_in_flight_and_resume_goes_on(
    stenoflow: Command, api: AudioApiServer, home: Path
) -> None:
    api.speech.hold_after_bytes = 9_600
    arguments = ["speak", CHAPTER, "-o", "x.wav", "--concurrency", "1", "--json"]
    with command(arguments, Path.cwd()) as process:
        wait_for(lambda: len(api.speech.calls) == 1, process)
        process.send_signal(signal.SIGINT)
        wait_for(lambda: "Stopping" in (process.stderr.readline() if process.stderr else ""), process)
        api.speech.go_on.set()
        out, err = process.communicate()
    line = json.loads(out)
    assert (process.returncode, line["status"], line["calls"]) == (130, "partial", 1)
    assert f"stenoflow resume {line['job']}" in line["error"]["message"]
    assert "Traceback" not in err
    assert not Path("x.wav").exists()
    assert [kind for kind, _ in charges(home)] == ["reserve", "release", "actual"]
    assert stenoflow("resume", line["job"], "--json").line["reused"] == 1


def test_a_text_stands_in_the_database_by_its_first_words_only(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, home: Path
) -> None:
    del api
    text = "A first line that is shown. " * 3 + "The secret at its end."
    stenoflow("speak", text, "-o", tmp_path / "x.mp3")
    with sqlite3.connect(home / "stenoflow.db") as database:
        ((name, source),) = database.execute("SELECT name, source FROM recordings").fetchall()
    assert (name, source[:5]) == ("A first line that is shown. A first line that…", "text:")
    assert b"secret" not in (home / "stenoflow.db").read_bytes()
