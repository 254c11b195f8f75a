"""faster-whisper, with a model that the test makes: all but what it says is real."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import openai
import pytest

from stenoflow.tasks.api.providers import POCKETSPHINX
from stenoflow.tasks.engine.engine import FASTER_WHISPER, Engine
from stenoflow.tasks.engine.recogniser import Hints, Samples
from stenoflow.tasks.engine.weights import find_weights, in_folder, packaged
from stenoflow.tasks.engine.whisper import (
    HeardClip,
    WhisperRecogniser,
    WhisperSettings,
    computing,
    identity,
    load,
)
from stenoflow.tasks.errors import EngineError, ModelUnavailableError
from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.transcript.languages import NAME_OF
from stenoflow.tasks.transcript.types import Region, Utterance
from tests.engine.conftest import word_error_rate


def test_a_model_in_a_folder_hears_through_the_api(client: openai.OpenAI, short_speech: Path) -> None:
    heard = client.audio.transcriptions.create(
        model=FASTER_WHISPER,
        file=short_speech,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        temperature=0,
        prompt="Anna, Robert",
    )
    assert heard.language in NAME_OF.values(), "detected: of those that it knows"
    assert heard.segments
    assert heard.words
    assert heard.text == "".join(segment.text for segment in heard.segments).strip()
    assert " ".join(word.word for word in heard.words).split() == heard.text.split()
    assert all(0 <= word.start <= word.end <= 10.5 for word in heard.words)
    assert all(each.start <= following.start for each, following in pairwise(heard.segments))


def test_a_language_that_is_given_is_kept(client: openai.OpenAI, silence: Path) -> None:
    heard = client.audio.transcriptions.create(
        model=FASTER_WHISPER, file=silence, response_format="verbose_json", language="de"
    )
    assert (heard.text, heard.language) == ("", "german")


async def test_warming_up_finds_a_bad_model_before_the_first_request(tmp_path: Path) -> None:
    recogniser = WhisperRecogniser(in_folder(_folder(tmp_path, b"no model")))
    with pytest.raises(ModelUnavailableError):
        await recogniser.warm_up()
    recogniser.close()


def test_an_unknown_compute_type_is_named(whisper_model: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="int3"):
        load(in_folder(whisper_model), WhisperSettings(device="cpu", compute_type="int3"))


def test_a_processor_computes_in_integers() -> None:
    assert computing(WhisperSettings(device="cpu")) == ("cpu", "int8")


@pytest.mark.parametrize(
    ("able", "chosen"),
    [
        ({"float32", "float16", "int8_float16", "int8_float32", "int8"}, "float16"),
        ({"float32", "int8_float32", "int8"}, "int8_float32"),
        ({"float32"}, "float32"),
    ],
)
def test_a_graphics_card_that_is_found_computes_in_halves_where_it_can(
    able: set[str], chosen: str, monkeypatch: pytest.MonkeyPatch, whisper_model: Path
) -> None:
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 1)
    monkeypatch.setattr("ctranslate2.get_supported_compute_types", lambda _: able)
    computing.cache_clear()
    try:
        assert computing(WhisperSettings()) == ("cuda", chosen)
        assert f" {chosen} " in identity(in_folder(whisper_model)), "answers of it are not the processor's"
    finally:
        computing.cache_clear()


def test_a_graphics_card_that_fails_is_named_with_the_way_round_it(whisper_model: Path) -> None:
    # This machine has none.
    settings = WhisperSettings(device="cuda", compute_type="float16")
    with pytest.raises(ModelUnavailableError, match="float16 on cuda") as refused:
        load(in_folder(whisper_model), settings)
    assert "CUDA_VISIBLE_DEVICES" in (refused.value.hint or "")


async def test_what_fails_while_it_computes_is_said(
    whisper_model: Path, short_speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")

    monkeypatch.setattr("faster_whisper.WhisperModel.transcribe", fail)
    recogniser = WhisperRecogniser(in_folder(whisper_model), WhisperSettings(device="cpu"))
    samples = decode_all(short_speech, cap_ms=60_000, ffmpeg=find_ffmpeg())
    with pytest.raises(EngineError, match="int8 on cpu: Library libcublas"):
        await recogniser.recognise(samples, Hints())
    recogniser.close()


class Counting(WhisperRecogniser):
    """One that finds a clip a second, and says of each when it begins."""

    def __init__(self, folder: Path) -> None:
        super().__init__(in_folder(folder), WhisperSettings(device="cpu", cores=2))
        self.heard: list[int] = []

    def _clips(self, samples: Samples) -> list[Region]:
        return [Region(at, at + 500) for at in range(0, samples.size // 16, 1_000)]

    def _hear(self, samples: Samples, clip: Region, hints: Hints, language: str | None) -> HeardClip:
        assert samples.size, hints
        self.heard.append(clip.start_ms)
        return HeardClip(language or "de", [Utterance("x", clip.start_ms, clip.end_ms)])


async def test_clips_come_in_order_and_a_client_that_goes_ends_the_rest(whisper_model: Path) -> None:
    recogniser, sound = Counting(whisper_model), np.zeros(320_000, np.int16)
    recognition = await recogniser.recognise(sound, Hints())
    assert recognition.language == "de"
    assert [each.start_ms async for each in recognition.utterances] == [*range(0, 20_000, 1_000)]
    recogniser.heard.clear()
    begun = (await recogniser.recognise(sound, Hints())).utterances
    assert [(await anext(begun)).start_ms, (await anext(begun)).start_ms] == [0, 1_000]
    await begun.aclose()
    recogniser.close()
    assert len(recogniser.heard) <= 4
    with pytest.raises(EngineError, match="closed"):
        await recogniser.warm_up()


def test_it_stands_for_openai_s_whisper_and_is_loaded_once(engine: Engine, whisper_model: Path) -> None:
    assert engine.models[:2] == (POCKETSPHINX, FASTER_WHISPER)
    one = engine.recogniser(FASTER_WHISPER)
    assert engine.recogniser("whisper-1") is one
    assert engine.recogniser(f"whisper-{whisper_model.name}") is one


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_only_models_of_many_languages_translate(client: openai.OpenAI, short_speech: Path) -> None:
    heard = client.audio.translations.create(
        model=FASTER_WHISPER, file=short_speech, response_format="verbose_json", temperature=0
    )
    assert heard.language == "english"
    with pytest.raises(openai.BadRequestError, match="does not translate"):
        client.audio.translations.create(model=POCKETSPHINX, file=short_speech)


@pytest.mark.skipif(not packaged(), reason="no weights are installed")
async def test_the_weights_that_are_installed_hear(short_speech: Path, short_script: str) -> None:
    recogniser = WhisperRecogniser(find_weights("auto"), WhisperSettings(device="cpu"))
    samples = decode_all(short_speech, cap_ms=60_000, ffmpeg=find_ffmpeg())
    recognition = await recogniser.recognise(samples, Hints())
    utterances = [utterance async for utterance in recognition.utterances]
    recogniser.close()
    assert recognition.language == "en"
    assert word_error_rate(short_script, "".join(each.text for each in utterances)) < 0.1
    words = [word for each in utterances for word in each.words]
    assert all(0 <= word.start_ms <= word.end_ms <= 10_500 for word in words)


def test_without_the_library_it_says_how_to_install_it() -> None:
    """In a Python that cannot see the package."""
    program = (
        "import sys; sys.modules['faster_whisper'] = None\n"
        "from stenoflow.tasks.engine.engine import choose_model, open_engine\n"
        "from stenoflow.tasks.engine.whisper import WhisperSettings\n"
        "print(choose_model(None, WhisperSettings()).name, 'faster-whisper' in open_engine().models)\n"
        "try: open_engine().recogniser('faster-whisper')\n"
        "except Exception as error: print(error.hint)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    models, hint = ran.stdout.splitlines()
    assert models == "pocketsphinx False"
    assert "pip install" in hint


def _folder(folder: Path, model: bytes, tokens: int = 51_864) -> Path:
    """Write what looks like a model."""
    (folder / "model.bin").write_bytes(model)
    (folder / "vocabulary.txt").write_text("x\n" * tokens)
    return folder
