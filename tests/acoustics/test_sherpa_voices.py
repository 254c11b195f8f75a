"""sherpa-onnx with tiny models: its loading, its shapes and its metadata are real, its hearing is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sherpa_onnx", reason="the extra speakers")
pytest.importorskip("onnx")

from stenoflow.tasks.acoustics import diarizer, sherpa_voices
from stenoflow.tasks.acoustics.diarizer import Diarization, DiarizationError, Diarizer
from stenoflow.tasks.acoustics.voice_models import AUTO, SHERPA, find_model
from stenoflow.tasks.errors import ModelUnavailableError, StoppedError
from tests.acoustics.tiny_sherpa import LOUD, SOFT, write_models
from tests.instrument.tones import RATE, Samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def _as_urgent_as_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diarizer, "NICENESS", 0)


def tones(*parts: tuple[float, float, float]) -> Samples:
    """Tones of (seconds, level, hertz); a level of 0 is silence."""
    made = [
        level * np.pi / 2 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
        for seconds, level, hertz in parts
    ]
    return (np.concatenate(made) * 32767).clip(-32768, 32767).astype(np.int16)


def blocks(sound: Samples) -> Iterator[Samples]:
    for first in range(0, sound.size, RATE):
        yield sound[first : first + RATE]


ANN, BOB, PAUSE = (8.0, SOFT, 300.0), (8.0, LOUD, 2_500.0), (1.0, 0.0, 0.0)


def diarized(folder: Path, sound: Samples, at_least: int = 1, at_most: int | None = None) -> Diarization:
    return Diarizer(find_model(SHERPA, folder), at_least, at_most).diarize(blocks(sound))


def spoken(told: Diarization) -> Sequence[tuple[str, int, int]]:
    return [
        (each.turn.speaker, round(each.turn.start_ms / 1000), round(each.turn.end_ms / 1000))
        for each in told.turns
    ]


def test_speakers_are_told_apart_in_a_process_of_their_own(folder: Path) -> None:
    told = diarized(folder, tones(ANN, PAUSE, BOB, PAUSE, ANN))
    assert spoken(told) == [("A", 0, 8), ("B", 9, 17), ("A", 18, 26)]
    assert all(0.9 < each.score <= 1 for each in told.turns)
    assert told.voices.shape == (3, 80)
    assert told.voices[0] @ told.voices[2] > 0.9
    assert told.voices[0] @ told.voices[1] < 0.5


def test_somebody_is_the_same_one_in_the_next_piece(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sherpa_voices, "_PIECE_SAMPLES", 20 * RATE)
    place = folder / SHERPA
    voices = sherpa_voices.SherpaVoices(place / "segmentation.onnx", place / "embedding.onnx")
    for block in blocks(tones(ANN, PAUSE, BOB, (3.0, 0.0, 0.0), BOB, PAUSE, ANN)):
        voices.add(block)
    told = [
        (each.scored.turn.speaker, round(each.scored.turn.start_ms / 1000)) for each in voices.tell_apart()
    ]
    assert told == [("A", 0), ("B", 9), ("B", 20), ("A", 29)]


def test_bounds_are_kept(folder: Path) -> None:
    one = diarized(folder, tones(ANN, PAUSE, BOB), 1, 1)
    assert {each.turn.speaker for each in one.turns} == {"A"}


def test_silence_is_nobody(folder: Path) -> None:
    assert diarized(folder, np.zeros(12 * RATE, np.int16)).turns == ()


def test_it_is_taken_before_what_is_built_in_and_its_weights_are_part_of_its_name(
    folder: Path, tmp_path: Path
) -> None:
    found = find_model(AUTO, folder)
    assert found.model.name == SHERPA
    other = write_models(tmp_path)
    (other / SHERPA / "embedding.onnx").write_bytes(b"changed")
    assert find_model(SHERPA, other).identity != found.identity


def test_models_that_are_none_are_said_so(tmp_path: Path) -> None:
    place = write_models(tmp_path) / SHERPA
    (place / "segmentation.onnx").write_bytes(b"no model")
    with pytest.raises(DiarizationError, match="could not be told apart"):
        diarized(tmp_path, tones(ANN))
    (place / "embedding.onnx").unlink()
    with pytest.raises(ModelUnavailableError, match=r"no embedding\.onnx in") as lacking:
        find_model(SHERPA, tmp_path)
    assert "stenoflow models --fetch diarization" in (lacking.value.hint or "")


def test_it_ends_when_it_is_stopped(folder: Path) -> None:
    running = Diarizer(find_model(SHERPA, folder))

    def sound() -> Iterator[Samples]:
        yield tones(ANN)
        running.stop()
        while True:
            yield tones(ANN)

    with pytest.raises(StoppedError):
        running.diarize(sound())
