"""One suite over all providers' dialects, with real sockets: what is sent, and what is made of the answer.

What is sent is held against `dialects.json`, by provider: `python -m tests.api.test_dialects` writes it anew.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.api.answers import parse_answer
from stenoflow.tasks.api.chat import ChatRequest, Message
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.dialects import DIALECTS
from stenoflow.tasks.api.errors import BadAnswerError, CallError, KeyRefusedError, ModelNotFoundError
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.providers import DialectName, Provider, load_providers
from stenoflow.tasks.api.requests import TranscriptionRequest
from stenoflow.tasks.api.speech import SpeechRequest
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.errors import SettingsError
from tests.servers.dialects import SERVERS, Sent, dialect_server

GOLDEN = Path(__file__).with_name("dialects.json")
DEPLOYED: dict[str, object] = {"deployments": {"my-whisper": "whisper-1", "my-gpt": "gpt-4o-mini"}}
OWN: dict[str, dict[str, object]] = {
    "azure": DEPLOYED,
    "azure-v1": {**DEPLOYED, "dialect": "azure", "header": "api-key", "scheme": ""},
}
_MODELS = {"mistral": "voxtral-mini-latest", "deepgram": "nova-3", "groq": "whisper-large-v3"}
_KEY_HEADERS = {"authorization", "api-key"}
_PLAIN = {"litellm"}
_WITHOUT_WORDS = {"litellm", "vllm", "speaches", "localai", "mistral"}
_KEYLESS = {"mistral", "litellm", "vllm", "speaches", "localai", "whisper.cpp"}


def provider_at(name: str, base_url: str) -> Provider:
    return load_providers({name: {**OWN.get(name, {}), "base_url": base_url}}).get(name)


def api_of(name: str, base_url: str, key: str = "key-1") -> AudioApi:
    server = provider_at(name, base_url)
    return AudioApi(AudioApiSettings(base_url, key, server.name, server=server), load_models())


def request_for(name: str) -> TranscriptionRequest:
    return TranscriptionRequest(
        _MODELS.get(name, "whisper-1"), language="en", keywords=("Ada Lovelace", "Zuse"), temperature=0.0
    )


async def asked(name: str, sound: Path) -> tuple[Any, list[Sent]]:
    with dialect_server(name) as (base_url, came):
        async with api_of(name, base_url) as api:
            return await api.transcribe(sound, request_for(name), duration_ms=2_000), came


_TRANSCRIBE_ONLY = {"deepgram", "whisper.cpp"}
OTHERS = sorted(SERVERS.keys() - _TRANSCRIBE_ONLY)


async def asked_otherwise(name: str) -> list[Sent]:
    """Ask a question, have something spoken, and ask for the list; whatever is answered."""
    question = ChatRequest("gpt-4o-mini", (Message("user", "What is the time?"),), 50, effort="low")
    with dialect_server(name) as (base_url, came):
        async with api_of(name, base_url) as api:
            with suppress(CallError):
                await api.chat(question)
            with suppress(CallError):
                await api.speak(SpeechRequest("tts-1", "It is nine.", "alloy", "mp3"))
            assert [each.name for each in await api.models()] == ["whisper-1"]
    return came


def shown_otherwise(came: list[Sent]) -> list[dict[str, Any]]:
    return [
        {
            "path": sent.path,
            "query": [list(pair) for pair in sent.query],
            "key": {name: value for name, value in sent.headers.items() if name in _KEY_HEADERS},
            "document": sent.document,
        }
        for sent in came
    ]


def shown(came: list[Sent]) -> list[dict[str, Any]]:
    """Return requests as the golden file has them."""
    return [
        {
            "path": sent.path,
            "query": [list(pair) for pair in sent.query],
            "key": {name: value for name, value in sent.headers.items() if name in _KEY_HEADERS},
            "type": sent.headers["content-type"].partition(";")[0],
            "fields": [list(pair) for pair in sent.fields],
        }
        for sent in came
    ]


@pytest.mark.parametrize("name", SERVERS)
async def test_what_is_sent_and_what_is_taken(name: str, segment: Path) -> None:
    answer, came = await asked(name, segment)
    assert shown(came) == json.loads(GOLDEN.read_text("utf-8"))[name]
    assert {len(sent.sound) for sent in came} == {256 * 320}

    assert answer.text == "Good morning."
    words = [(word.text, word.start_ms, word.end_ms) for word in answer.words]
    assert words == ([] if name in _WITHOUT_WORDS else [("Good", 100, 400), ("morning.", 500, 900)])
    assert bool(answer.utterances) == (name not in _PLAIN)
    speaker = "B" if name in {"mistral", "deepgram"} else None
    assert {each.speaker for each in answer.utterances} <= {speaker}
    counted = {"mistral": 1, "deepgram": 1.25}.get(name)
    assert (answer.usage_seconds is None) == (counted is None)
    assert counted is None or float(answer.usage_seconds) == counted


@pytest.mark.parametrize("name", OTHERS)
async def test_what_is_sent_to_who_writes_speaks_and_lists(name: str) -> None:
    assert (
        shown_otherwise(await asked_otherwise(name)) == json.loads(GOLDEN.read_text("utf-8"))["others"][name]
    )


@pytest.mark.parametrize("name", sorted(SERVERS.keys() - _KEYLESS))
async def test_a_wrong_key_stops_the_provider_and_is_not_repeated(name: str, segment: Path) -> None:
    with dialect_server(name) as (base_url, came):
        async with api_of(name, base_url, "key-that-is-wrong") as api:
            with pytest.raises(KeyRefusedError) as refused:
                await api.transcribe(segment, request_for(name), duration_ms=2_000)
    assert len(came) == 1
    assert "key-that-is-wrong" not in str(refused.value)


async def test_a_server_that_steps_down_is_asked_so_from_then_on(segment: Path) -> None:
    with dialect_server("vllm") as (base_url, came):
        async with api_of("vllm", base_url) as api:
            for _ in range(2):
                await api.transcribe(segment, request_for("vllm"), duration_ms=2_000)
    assert [sent.values("timestamp_granularities[]") for sent in came] == [
        ["segment", "word"],
        ["segment"],
        ["segment"],
    ]


@pytest.mark.parametrize(
    ("formats", "fields"),
    [
        (["json"], [("language", "en")]),
        (["verbose_json"], [("timestamp_granularities", "segment")]),
        (["diarized_json"], [("timestamp_granularities", "segment"), ("diarize", "true")]),
    ],
)
async def test_mistral_is_told_the_language_or_asked_for_times_never_both(
    segment: Path, formats: list[str], fields: list[tuple[str, str]]
) -> None:
    model: dict[str, object] = {"formats": formats, "granularities": ["segment"], "keywords": True}
    with dialect_server("mistral") as (base_url, came):
        server = provider_at("mistral", base_url)
        settings = AudioApiSettings(base_url, "key-1", server.name, server=server)
        async with AudioApi(settings, load_models({"voxtral-other": model})) as api:
            request = TranscriptionRequest("voxtral-other", language="en")
            await api.transcribe(segment, request, duration_ms=2_000)
    assert list(came[0].fields) == [("model", "voxtral-other"), *fields]


async def test_azure_is_asked_by_deployment_for_chat_too() -> None:
    question = ChatRequest("gpt-4o-mini", (Message("user", "What is the time?"),), 50)
    with dialect_server("azure") as (base_url, came):
        async with api_of("azure", base_url) as api:
            assert (await api.chat(question)).text == "Nine."
            with pytest.raises(ModelNotFoundError):
                await api.chat(ChatRequest("gpt-9", (Message("user", "?"),), 50))
    assert came[0].path == "/openai/deployments/my-gpt/chat/completions"
    assert came[0].document["model"] == "my-gpt"


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    (tmp_path / "nothing.mp3").touch()
    return tmp_path / "nothing.mp3"


async def test_deepgrams_words_on_a_refusal_are_told(nothing: Path) -> None:
    with dialect_server("deepgram") as (base_url, _):
        async with api_of("deepgram", base_url) as api:
            with pytest.raises(CallError, match="no audio"):
                await api.transcribe(nothing, request_for("deepgram"), duration_ms=2_000)


def test_a_known_host_tells_the_provider_and_an_unknown_one_gets_limits_that_all_accept() -> None:
    table = load_providers()
    assert table.at("https://api.groq.com/openai/v1").name == "groq"
    azure = table.at("https://mine.openai.azure.com/openai/v1")
    assert (azure.name, azure.header, azure.scheme) == ("azure", "api-key", "")
    unknown = table.at("https://gateway.example/v1")
    assert unknown.name == "gateway.example"
    model = unknown.limited(load_models().get("whisper-1"))
    assert (model.max_seconds, model.max_bytes) == (600, 26_214_400)
    assert table.get("openai").limited(load_models().get("whisper-1")).max_seconds is None


@pytest.mark.parametrize(
    ("name", "entry", "said"),
    [
        ("mine", {"base_uri": "x"}, "base_uri"),
        ("mine", {"dialect": "morse"}, "dialect"),
        ("azure", {"deployments": {"a": "whisper-1", "b": "whisper-1"}}, "several deployments"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(name: str, entry: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_providers({name: entry})


def test_a_provider_that_nobody_knows_or_that_is_nowhere_is_refused() -> None:
    with pytest.raises(SettingsError, match="no provider nobody"):
        load_providers().get("nobody")
    with pytest.raises(SettingsError, match="where azure is"):
        load_providers().get("azure")


def _write() -> None:
    with tempfile.NamedTemporaryFile(suffix=".mp3") as file:
        file.write(b"sound")
        file.flush()
        sent: dict[str, Any] = {name: shown(asyncio.run(asked(name, Path(file.name)))[1]) for name in SERVERS}
    sent["others"] = {name: shown_otherwise(asyncio.run(asked_otherwise(name))) for name in OTHERS}
    GOLDEN.write_text(json.dumps(sent, indent=1) + "\n", "utf-8")


_NAMES = (
    *("results", "channels", "alternatives", "words", "utterances", "languages", "transcript", "speaker"),
    *("speaker_id", "start", "end", "metadata", "duration", "usage", "prompt_audio_seconds", "segments"),
    *("text", "word", "punctuated_word", "confidence", "detected_language", "language"),
)
_ANYTHING = st.recursive(
    st.sampled_from(
        [None, True, 7, -1.5, float("inf"), "x", "\ud800", "9" * 5_000, "speaker_" + "9" * 5_000]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6),
    max_leaves=12,
)
_THINGS = st.dictionaries(st.sampled_from(_NAMES), _ANYTHING, max_size=6)


@given(name=st.sampled_from(sorted(DIALECTS)), whole=_THINGS, inner=_THINGS, is_nested=st.booleans())
def test_whatever_a_server_sends_is_an_answer_or_none(
    name: DialectName, whole: dict[str, Any], inner: dict[str, Any], *, is_nested: bool
) -> None:
    if is_nested:
        channel = {"alternatives": [{"transcript": "Hello.", **inner, "words": [inner]}], **whole}
        whole = {**whole, "results": {"channels": [channel], "utterances": [inner]}, "segments": [inner]}
    body = json.dumps({"text": "Hello.", **whole}).encode()
    with suppress(BadAnswerError):
        assert parse_answer(DIALECTS[name].read(body), Target(name), 2_000) is not None


if __name__ == "__main__":
    _write()
