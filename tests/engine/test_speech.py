"""Speaking, asked by the official client over HTTP, with each voice that the machine has."""

from __future__ import annotations

import base64
import io
import json
import wave
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from stenoflow.tasks.engine.engine import default_speech_model, find_synthesizers
from tests.engine.conftest import word_error_rate

SPEAKERS = find_synthesizers()
OPENAI_VOICES = [
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
]
TEXT = "Good morning, and thank you for coming. There are three things to talk about today."
SHORT = "Thank you for coming."
TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}

pytestmark = pytest.mark.skipif(not SPEAKERS, reason="neither flite nor espeakng-loader is here")


@pytest.fixture(params=["flite", "espeak-ng"])
def model(request: pytest.FixtureRequest) -> str:
    """Each model that speaks."""
    if request.param not in SPEAKERS:
        pytest.skip(f"{request.param} is not here")
    return str(request.param)


def spoken(client: openai.OpenAI, model: str, text: str = SHORT, **options: Any) -> bytes:
    """Ask for speech; raw samples unless another format is asked for."""
    asked = {"voice": "nova", "response_format": "pcm"} | options
    return client.audio.speech.create(model=model, input=text, **asked).content


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / 24_000


def decoded(content: bytes) -> tuple[NDArray[np.float32], int]:
    """Decode a file; its samples, and how many of them are a second."""
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.audio[0]
        assert stream.channels == 1
        resampler = av.AudioResampler(format="flt", layout="mono")
        parts = [
            part.to_ndarray()[0] for frame in container.decode(stream) for part in resampler.resample(frame)
        ]
        return np.concatenate(parts), stream.rate


@pytest.mark.parametrize("form", TYPES)
def test_each_format_opens_with_all_of_it_and_nothing_clipped(
    client: openai.OpenAI, model: str, form: str
) -> None:
    expected = seconds(spoken(client, model))
    answer = client.audio.speech.with_raw_response.create(
        model=model,
        input=SHORT,
        voice="nova",
        response_format=form,  # type: ignore[arg-type] # a str stands for the literals
    )
    assert answer.headers["content-type"] == TYPES[form]
    content = answer.content
    if form == "pcm":
        samples, rate = np.frombuffer(content, "<i2").astype(np.float32) / np.float32(32_768), 24_000
    else:
        samples, rate = decoded(content)
    assert samples.size / rate == pytest.approx(expected, abs=0.11), "encoders add up to two frames"
    assert 0.2 < np.abs(samples).max() < 0.98


def test_a_wav_is_announced_as_one_that_is_still_being_made(client: openai.OpenAI, model: str) -> None:
    content = spoken(client, model, response_format="wav")
    assert (content[:4], content[4:8], content[40:44]) == (b"RIFF", b"\xff" * 4, b"\xff" * 4)
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
    assert content[44:] == spoken(client, model)


def test_the_duration_is_divided_by_the_speed(client: openai.OpenAI, model: str) -> None:
    plain = seconds(spoken(client, model, TEXT))
    for speed in (0.25, 0.5, 2, 4):
        assert seconds(spoken(client, model, TEXT, speed=speed)) * speed == pytest.approx(plain, rel=0.04)


def test_every_voice_of_openai_is_another_voice_and_none_is_clipped(
    client: openai.OpenAI, model: str
) -> None:
    sounds = {spoken(client, model, "Good morning to you.", voice=voice) for voice in OPENAI_VOICES}
    assert len(sounds) == len(OPENAI_VOICES)
    assert all(3_000 < np.abs(np.frombuffer(sound, "<i2").astype(int)).max() < 32_000 for sound in sounds)


@pytest.mark.parametrize(
    ("model_name", "voice"), [("flite", "slt"), ("espeak-ng", "de"), ("espeak-ng", "en-gb+f2")]
)
def test_its_own_voices_have_their_own_names(client: openai.OpenAI, model_name: str, voice: str) -> None:
    if model_name not in SPEAKERS:
        pytest.skip(f"{model_name} is not here")
    assert seconds(spoken(client, model_name, voice=voice)) > 0.7
    listed = httpx.get(f"{client.base_url}audio/voices", params={"model": model_name}).json()["voices"]
    assert {*OPENAI_VOICES, voice.partition("+")[0]} <= set(listed)


@pytest.mark.parametrize(
    ("model_name", "voice", "bound"), [("flite", "echo", 0.1), ("espeak-ng", "nova", 0.4)]
)
def test_what_is_spoken_is_heard_again(
    client: openai.OpenAI, model_name: str, voice: str, bound: float
) -> None:
    if model_name not in SPEAKERS:
        pytest.skip(f"{model_name} is not here")
    sound = spoken(client, model_name, TEXT, voice=voice, response_format="flac")
    heard = client.audio.transcriptions.create(model="pocketsphinx", file=("said.flac", sound))
    assert word_error_rate(TEXT, heard.text) < bound


@pytest.mark.skipif("espeak-ng" not in SPEAKERS, reason="espeakng-loader is not here")
def test_espeak_takes_the_language_from_the_script(client: openai.OpenAI) -> None:
    for text in ("Доброе утро", "早上好", "Καλημέρα", "안녕하세요"):
        assert seconds(spoken(client, "espeak-ng", text)) > 0.5


@pytest.mark.parametrize(
    "text",
    ["-voice rms", "<b>Hello</b> & \x00 goodbye", "[[h@]] it\u2019s caf\u00e9 \u2014 caf\u00e9!", "42"],
)
def test_text_is_only_text(client: openai.OpenAI, model: str, text: str) -> None:
    assert seconds(spoken(client, model, text)) > 0.3


def test_it_streams_to_a_file_and_in_pieces(client: openai.OpenAI, model: str, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"model": model, "input": TEXT, "voice": "alloy", "response_format": "mp3"}
    with client.audio.speech.with_streaming_response.create(**asked) as answer:
        assert "content-length" not in answer.headers
        answer.stream_to_file(tmp_path / "said.mp3")
    with client.audio.speech.with_streaming_response.create(**asked) as answer:
        pieces = list(answer.iter_bytes(1_024))
    client.audio.speech.create(**asked).write_to_file(tmp_path / "again.mp3")
    assert b"".join(pieces) == (tmp_path / "said.mp3").read_bytes() == (tmp_path / "again.mp3").read_bytes()


def test_as_events_it_is_the_same_sound(client: openai.OpenAI, model: str) -> None:
    with client.audio.speech.with_streaming_response.create(
        model=model, input=SHORT, voice="nova", response_format="pcm", stream_format="sse"
    ) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usage"]["input_tokens"] == 4
    assert sound == spoken(client, model)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"voice": "nobody"}, "voice"),
        ({"voice": "../../etc/passwd"}, "voice"),
        ({"voice": None}, "voice"),
        ({"response_format": "midi"}, "response_format"),
        ({"stream_format": "fax"}, "stream_format"),
        ({"speed": 4.1}, "speed"),
        ({"speed": 0.24}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"speed": True}, "speed"),
        ({"input": ""}, "input"),
        ({"input": " \n"}, "input"),
        ({"input": 7}, "input"),
        ({"input": "a" * 4_097}, "input"),
        ({"input": "\U0001f600 ... \U0001f680!"}, "input"),
        ({"model": None}, "model"),
    ],
)
def test_a_wrong_field_is_named(client: openai.OpenAI, wrong: dict[str, Any], param: str) -> None:
    body = {"model": default_speech_model(), "voice": "nova", "input": SHORT} | wrong
    answer = httpx.post(f"{client.base_url}audio/speech", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.skipif("flite" not in SPEAKERS, reason="flite is not here")
def test_a_script_that_flite_cannot_read_is_refused_and_one_name_in_it_is_not(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="speaks English") as refused:
        spoken(client, "flite", "\u65e9\u4e0a\u597d\u8c22\u8c22\u5927\u5bb6 to all")
    assert refused.value.code == "unspeakable_input"
    assert spoken(client, "flite", "My name is 王 and I am here.")


def test_a_model_that_does_not_speak_is_not_found(client: openai.OpenAI) -> None:
    for name in ("tts-2", "pocketsphinx"):
        with pytest.raises(openai.NotFoundError, match=default_speech_model()) as refused:
            spoken(client, name)
        assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"', b"\xff"])
def test_a_body_that_is_no_object_is_a_bad_request(client: openai.OpenAI, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{client.base_url}audio/speech", content=content, headers=headers)
    assert answer.status_code == 400


@pytest.mark.program
def test_names_that_clients_have_built_in_are_stood_in_for(client: openai.OpenAI) -> None:
    # Of a second of a synthetic voice, a model may hear nothing.
    text = f"{SHORT} We begin with the budget of the next year, and then we talk about the new office."
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format="wav")
    heard = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", spoken.content))
    said = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": heard.text}]
    )
    assert said.model == "extractive-summary"
    assert heard.text
    assert not {"tts-1", "whisper-1", "gpt-4o-mini"} & {model.id for model in client.models.list()}
