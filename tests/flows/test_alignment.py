"""Times from the sound, for a model that gives none: real speech, whose word times are known."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import pytest

from stenoflow.tasks.engine.weights import packaged
from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.instrument.tones import RATE
from tests.real_speech import FOLDER, SpokenWord, clip, needs_speech, spoken_words
from tests.servers.audio_api import AudioApiServer, Fields, seconds_of
from tests.timing.synthetic import TEXTS, Synthetic, needs_espeak, needs_hama, speak

needs_whisper = pytest.mark.skipif(not packaged(), reason="no weights of Whisper are installed")

_MODEL = ("--model", "gpt-4o-transcribe", "--json")
_CLIP = "mfa-acoustic_corpus"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp3"
    encode_mp3([clip(f"{_CLIP}.wav")], path, ffmpeg=find_ffmpeg())
    return path


_run = subprocess.run


def _no_program(command: list[str], **options: Any) -> Any:
    """Run all programs but those that align."""
    if str(command[-1]).endswith("_program.py"):
        raise FileNotFoundError(command[-1])
    return _run(command, **options)


def _document(stenoflow: Command, path: Path, *options: str) -> dict[str, Any]:
    line = stenoflow("transcribe", path, *_MODEL, *options).line
    assert line["status"] == "complete", line
    document: dict[str, Any] = json.loads(read_artifact(line, "json"))
    return document


def _errors_ms(document: dict[str, Any], truth: list[SpokenWord]) -> list[float]:
    words = document["words"]
    assert [_plain(word["word"]) for word in words] == [_plain(word.text) for word in truth]
    return [abs(word["start"] - true.start) * 1000 for word, true in zip(words, truth, strict=True)]


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word).lower()


@needs_speech
def test_words_of_a_model_without_times_are_found_in_the_sound(
    stenoflow: Command, api: AudioApiServer, talk: Path
) -> None:
    truth = spoken_words(_CLIP)
    text = " ".join(word.text for word in truth).capitalize() + "."
    api.recogniser = lambda _sound, _fields: {"text": text}
    document = _document(stenoflow, talk)
    assert document["timing"] == "aligned"
    assert document["aligner"].startswith("pocketsphinx ")
    errors = _errors_ms(document, truth)
    assert median(errors) <= 30
    assert quantiles(errors, n=10)[-1] <= 120
    assert sum(error <= 200 for error in errors) >= 0.93 * len(errors)


@needs_speech
def test_they_are_computed_once_and_never_bought_again(
    stenoflow: Command, api: AudioApiServer, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(word.text for word in spoken_words(_CLIP))
    api.recogniser = lambda _sound, _fields: {"text": text}
    first = _document(stenoflow, talk)
    monkeypatch.setattr("subprocess.run", _no_program)
    other = talk.with_name("the same.mp3")
    other.write_bytes(talk.read_bytes())
    again = stenoflow("transcribe", other, *_MODEL).line
    assert again["calls"] == 0
    assert json.loads(read_artifact(again, "json"))["words"] == first["words"]


@needs_speech
def test_an_aligner_that_fails_leaves_the_estimate(
    stenoflow: Command, api: AudioApiServer, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", _no_program)
    api.recogniser = lambda _sound, _fields: {"text": " ".join(w.text for w in spoken_words(_CLIP))}
    document = _document(stenoflow, talk)
    assert document["timing"] == "estimated"
    assert "aligner" not in document


@needs_speech
def test_resume_aligns_anew_what_was_estimated_and_buys_nothing(
    stenoflow: Command, api: AudioApiServer, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.recogniser = lambda _sound, _fields: {"text": " ".join(w.text for w in spoken_words(_CLIP))}
    with monkeypatch.context() as without:
        without.setattr("subprocess.run", _no_program)
        line = stenoflow("transcribe", talk, *_MODEL).line
    again = stenoflow("resume", line["job"], "--realign", "--json").line
    assert (again["status"], again["calls"]) == ("complete", 0)
    assert json.loads(read_artifact(again, "json"))["timing"] == "aligned"


@needs_speech
def test_what_is_not_to_be_aligned_is_estimated(stenoflow: Command, api: AudioApiServer, talk: Path) -> None:
    api.recogniser = lambda _sound, _fields: {"text": " ".join(w.text for w in spoken_words(_CLIP))}
    assert _document(stenoflow, talk, "--align", "never")["timing"] == "estimated"


@needs_speech
def test_what_nobody_can_align_is_estimated(stenoflow: Command, api: AudioApiServer, talk: Path) -> None:
    api.recogniser = lambda _sound, _fields: {"text": TEXTS["de"]}
    assert _document(stenoflow, talk, "--language", "de")["timing"] == "estimated"


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_tones_are_no_speech_to_align(stenoflow: Command, meeting: Meeting) -> None:
    assert _document(stenoflow, meeting.path)["timing"] == "estimated"


@needs_speech
def test_an_answer_without_times_that_stops_early_is_found_out_by_alignment(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    sound = np.concatenate([clip(f"{_CLIP}.wav"), clip("LJ001-0001.wav"), clip("LJ001-0003.wav")])
    path = tmp_path / "talk.mp3"
    encode_mp3([sound], path, ffmpeg=find_ffmpeg())
    said = " ".join(word.text for word in spoken_words(_CLIP))
    rest = " ".join(
        (FOLDER / f"LJ001-{number}.txt").read_text("utf-8").strip() for number in ("0001", "0003")
    )
    whole = sound.size / RATE
    api.recogniser = lambda sent, _: {"text": said if seconds_of(sent) > whole - 1 else rest}
    line = stenoflow("transcribe", path, *_MODEL, "--segment-seconds", "100").line
    assert (line["status"], line["calls"]) == ("complete", 3)
    assert rest.split()[2:] == read_artifact(line, "txt").split()[-len(rest.split()) + 2 :]


_READING = [f"LJ001-{number:04d}" for number in (1, 3, 4, 5, 6, 7)]
_DEAF = slice(2, 4)
_PAUSE = np.zeros(round(0.4 * RATE), np.int16)


@pytest.fixture
def reading(tmp_path: Path) -> Path:
    path = tmp_path / "reading.mp3"
    parts = [part for name in _READING for part in (clip(f"{name}.wav"), _PAUSE)]
    encode_mp3([np.concatenate(parts)], path, ffmpeg=find_ffmpeg())
    return path


def _reading_words(names: list[str] | None = None) -> list[str]:
    return " ".join(_answer(name) for name in names or _READING).split()


def _deaf_ms() -> tuple[float, float]:
    """Return where the clips lie that are not heard."""
    ends = np.cumsum([(clip(f"{name}.wav").size + _PAUSE.size) * 1000 / RATE for name in _READING])
    return float(ends[_DEAF.start - 1]), float(ends[_DEAF.stop - 1])


def _deaf_in_the_middle(*, once: bool) -> Any:
    """Answer without times: the whole lacks the middle third, once or always; a piece of it has no words."""
    heard = [name for number, name in enumerate(_READING) if number not in range(6)[_DEAF]]
    calls: list[float] = []

    def hear(sound: bytes, _fields: Fields) -> dict[str, Any]:
        calls.append(seconds_of(sound))
        if calls[-1] < calls[0] - 1:
            return {"text": " ".join(_reading_words(_READING[_DEAF])) if once else ""}
        return {"text": " ".join(_reading_words(_READING if once and len(calls) > 1 else heard))}

    return hear


def _answer(clip_name: str) -> str:
    return (FOLDER / f"{clip_name}.txt").read_text("utf-8")


def _no_hama(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be as on a machine without the extra `align`."""
    monkeypatch.setattr("stenoflow.tasks.acoustics.aligner.find_spec", lambda _name: None)


@needs_speech
@needs_whisper
def test_another_language_is_aligned_by_whisper_in_the_same_contract(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _no_hama(monkeypatch)
    path = tmp_path / "rede.mp3"
    encode_mp3([clip("mls-es-13697.opus")], path, ffmpeg=find_ffmpeg())
    api.recogniser = lambda _sound, _fields: {"text": _answer("mls-es-13697")}
    document = _document(stenoflow, path)
    assert document["timing"] == "aligned"
    assert document["aligner"].startswith("whisper-base, faster-whisper ")
    words = document["words"]
    assert [word["word"] for word in words] == _answer("mls-es-13697").split()
    # By Whisper's own times, of what it heard when it was asked to transcribe the clip: nobody has the truth.
    own = {
        "disgusto": 1.16,
        "gesto": 5.6,
        "asombro": 8.18,
        "palabras": 9.94,
        "labios": 12.76,
        "carlos": 14.12,
    }
    found = {word["word"]: word["start"] for word in words if word["word"] in own}
    assert found == {word: pytest.approx(start, abs=0.3) for word, start in own.items()}


def _is_by_hama(line: dict[str, Any]) -> bool:
    aligner: str = json.loads(read_artifact(line, "json")).get("aligner", "")
    return aligner.startswith("hama ")


@pytest.fixture
def discours(tmp_path: Path) -> tuple[Path, Synthetic]:
    said = speak(TEXTS["fr"], "fr")
    path = tmp_path / "discours.mp3"
    encode_mp3([said.sound], path, ffmpeg=find_ffmpeg())
    return path, said


@needs_hama
@needs_espeak
@pytest.mark.parametrize("options", [("--language", "fr"), ()])
def test_a_language_that_nobody_else_can_align_is_aligned_by_hama(
    stenoflow: Command, api: AudioApiServer, discours: tuple[Path, Synthetic], options: tuple[str, ...]
) -> None:
    path, said = discours
    api.recogniser = lambda _sound, _fields: {"text": " ".join(said.words)}
    document = _document(stenoflow, path, *options)
    assert document["aligner"] == f"hama {version('hama')}+2"
    words = document["words"]
    assert [word["word"] for word in words] == list(said.words)
    errors = [abs(word["start"] * 1000 - ms) for word, ms in zip(words, said.starts_ms, strict=True)]
    assert quantiles(errors, n=10)[-1] <= 120


@needs_hama
@needs_espeak
def test_where_hama_fails_or_is_not_installed_others_time_that_language(
    stenoflow: Command,
    api: AudioApiServer,
    discours: tuple[Path, Synthetic],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, said = discours
    api.recogniser = lambda _sound, _fields: {"text": " ".join(said.words)}
    with monkeypatch.context() as without:
        without.setattr("stenoflow.tasks.acoustics.aligner._HAMA", Path("gone.py"))
        line = stenoflow("transcribe", path, *_MODEL, "--language", "fr").line
    assert not _is_by_hama(line)
    realign = ("resume", line["job"], "--realign", "--json")
    with monkeypatch.context() as without:
        _no_hama(without)
        assert not _is_by_hama(stenoflow(*realign).line)
    again = stenoflow(*realign).line
    assert (again["status"], again["calls"]) == ("complete", 0)
    assert _is_by_hama(again)


@needs_hama
@needs_espeak
@needs_whisper
def test_an_answer_that_lacks_half_of_what_is_said_is_left_to_whisper(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    said = speak(TEXTS["es"], "es")
    path = tmp_path / "discurso.mp3"
    encode_mp3([said.sound], path, ffmpeg=find_ffmpeg())
    text = " ".join(said.words[: len(said.words) // 2])
    seconds = said.sound.size / RATE
    api.recogniser = lambda sound, _fields: {"text": text if seconds_of(sound) > seconds - 1 else ""}
    line = stenoflow("transcribe", path, *_MODEL, "--language", "es").line
    document = json.loads(read_artifact(line, "json"))
    assert document["aligner"].startswith("whisper-base, ")
    assert line["status"] == "partial"


@needs_speech
@needs_whisper
def test_a_hole_in_the_middle_of_an_answer_without_times_is_found_and_filled(
    stenoflow: Command, api: AudioApiServer, reading: Path
) -> None:
    api.recogniser = _deaf_in_the_middle(once=True)
    line = stenoflow("transcribe", reading, *_MODEL, "--segment-seconds", "100").line
    assert (line["status"], line["missing"]) == ("complete", [])
    assert 2 <= line["calls"] <= 3
    assert len(read_artifact(line, "txt").split()) >= len(_reading_words())


@needs_speech
@needs_whisper
def test_a_hole_in_the_middle_that_stays_is_named(
    stenoflow: Command, api: AudioApiServer, reading: Path
) -> None:
    api.recogniser = _deaf_in_the_middle(once=False)
    printed = stenoflow("transcribe", reading, *_MODEL, "--segment-seconds", "100")
    line = printed.line
    assert (printed.exit_code, line["status"]) == (3, "partial")
    assert line["calls"] <= 3
    first, end = _deaf_ms()
    named = [*line["missing"], *line.get("suspect", [])]
    covered = sum(min(b * 1000, end) - max(a * 1000, first) for a, b in named if a * 1000 < end)
    assert covered >= 0.65 * (end - first)


@needs_speech
@needs_whisper
def test_english_is_aligned_by_whisper_where_pocketsphinx_cannot(
    stenoflow: Command, api: AudioApiServer, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = spoken_words(_CLIP)
    api.recogniser = lambda _sound, _fields: {"text": " ".join(word.text for word in truth)}
    monkeypatch.setattr("stenoflow.tasks.acoustics.aligner._PROGRAM", Path("gone.py"))
    document = _document(stenoflow, talk, "--language", "en")
    assert document["aligner"].startswith("whisper-")
    errors = _errors_ms(document, truth)
    assert median(errors) <= 120
    assert sum(error <= 500 for error in errors) >= 0.85 * len(errors)
