"""faster-whisper, with a model that the test makes: all but what it says is real."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import openai
import pytest

from stenoflow.tasks.engine.engine import FASTER_WHISPER, POCKETSPHINX, default_model, open_engine
from stenoflow.tasks.engine.whisper import WhisperRecogniser, WhisperSettings, load
from stenoflow.tasks.errors import ModelUnavailableError
from stenoflow.tasks.transcript.languages import NAME_OF

if importlib.util.find_spec("faster_whisper") is None:
    pytest.skip("needs the extra stenoflow[whisper]", allow_module_level=True)


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
    recogniser = WhisperRecogniser(WhisperSettings(str(tmp_path), local_files_only=True))
    with pytest.raises(ModelUnavailableError):
        await recogniser.warm_up()


def test_a_model_that_is_not_at_hand_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "no-such-model")
    with pytest.raises(ModelUnavailableError, match="no-such-model"):
        load(WhisperSettings(missing, local_files_only=True))


def test_a_folder_that_holds_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=tmp_path.name):
        load(WhisperSettings(str(tmp_path), device="cpu"))


def test_an_unknown_compute_type_is_named(whisper_model: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="int3"):
        load(WhisperSettings(str(whisper_model), device="cpu", compute_type="int3"))


def test_it_is_the_default_where_it_is_installed() -> None:
    assert default_model() == FASTER_WHISPER
    assert open_engine().models[:2] == (POCKETSPHINX, FASTER_WHISPER)


def test_without_the_extra_it_says_how_to_install_it() -> None:
    """In a Python that cannot see the package."""
    program = (
        "import sys; sys.modules['faster_whisper'] = None\n"
        "from stenoflow.tasks.engine.engine import default_model, open_engine\n"
        "print(default_model(), *open_engine().models[:1], 'faster-whisper' in open_engine().models)\n"
        "try: open_engine().recogniser('faster-whisper')\n"
        "except Exception as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    models, error = ran.stdout.splitlines()
    assert models == "pocketsphinx pocketsphinx False"
    assert "pip install 'stenoflow[whisper]'" in error
