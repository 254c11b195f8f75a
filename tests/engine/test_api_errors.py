"""Bad requests: each gets the status and the envelope that the official client turns into its error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from stenoflow.tasks.engine.engine import Engine
from tests.engine.conftest import serving

MODEL = "pocketsphinx"


@pytest.fixture(scope="module")
def locked(engine: Engine) -> Iterator[str]:
    """The base URL of an engine that wants a key."""
    with serving(engine, api_key="sesame") as url:
        yield url


def test_a_file_that_is_no_audio_is_a_bad_request(client: openai.OpenAI, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp3"
    text.write_text("these are not the sounds that you are looking for\n" * 50)
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(model=MODEL, file=text)
    assert refused.value.code == "invalid_audio"
    assert refused.value.param == "file"


def test_an_empty_file_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(model=MODEL, file=("empty.wav", b""))
    assert refused.value.param == "file"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"temperature": 1.5}, "temperature"),
        ({"language": "klingon"}, "language"),
        ({"language": "de"}, "language"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        (
            {"timestamp_granularities": ["syllable"], "response_format": "verbose_json"},
            "timestamp_granularities",
        ),
        ({"stream": True, "response_format": "srt"}, "response_format"),
    ],
)
def test_a_wrong_parameter_is_named(
    client: openai.OpenAI, silence: Path, wrong: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(model=MODEL, file=silence, **wrong)
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"


def test_a_missing_file_or_model_is_named(client: openai.OpenAI) -> None:
    for given, missing in (({"model": MODEL}, "file"), ({"language": "en"}, "model")):
        answer = httpx.post(f"{client.base_url}audio/transcriptions", data=given)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == missing


def test_a_body_that_is_no_form_is_a_bad_request(client: openai.OpenAI) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{client.base_url}audio/transcriptions", content=b"{}", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_an_unknown_model_is_not_found(client: openai.OpenAI, silence: Path) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.audio.transcriptions.create(model="whisper-9", file=silence)
    assert refused.value.code == "model_not_found"
    assert "pocketsphinx" in str(refused.value), "it says what there is"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("whisper-9")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_a_model_of_one_language_declines_to_translate(client: openai.OpenAI, silence: Path) -> None:
    with pytest.raises(openai.BadRequestError, match="does not translate"):
        client.audio.translations.create(model="pocketsphinx", file=silence)


def test_an_upload_over_25_mb_is_too_large(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.audio.transcriptions.create(model=MODEL, file=("big.wav", bytes(26 * 1024 * 1024)))
    assert refused.value.status_code == 413


def test_an_upload_that_hides_its_length_is_too_large_all_the_same(client: openai.OpenAI) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = (head if part == 0 else bytes(1024 * 1024) for part in range(27))
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{client.base_url}audio/transcriptions", content=body, headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize("key", ["wrong", "sesame2", "Sesame"])
def test_a_wrong_key_is_refused(locked: str, key: str) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        openai.OpenAI(base_url=locked, api_key=key, max_retries=0).models.list()
    assert refused.value.code == "invalid_api_key"


def test_no_key_is_refused_and_the_right_one_is_let_in(locked: str) -> None:
    assert httpx.get(f"{locked}/models").status_code == 401
    assert list(openai.OpenAI(base_url=locked, api_key="sesame").models.list())


def test_an_unknown_path_answers_in_the_envelope(client: openai.OpenAI) -> None:
    answer = httpx.get(f"{client.base_url}audio/speeches")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
