"""The client against a real socket; `test_outcomes` has the many ways in which a call can end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stenoflow.tasks.api import errors
from stenoflow.tasks.api.chat import ChatRequest, Message
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.models import ListedModel, load_models
from stenoflow.tasks.api.requests import SpeakerReference, TranscriptionRequest
from stenoflow.tasks.api.speech import SpeechRequest
from tests.servers.audio_api import AudioApiServer, audio_api_server

MODELS = load_models()
WHISPER = TranscriptionRequest("whisper-1")
DURATION_MS = 10_000
SEGMENT_BYTES = 256 * 320
KEY = "sk-very-secret-0123456789"


def settings_for(server: AudioApiServer) -> AudioApiSettings:
    return AudioApiSettings(server.base_url)


async def test_what_is_sent(server: AudioApiServer, segment: Path) -> None:
    request = TranscriptionRequest("whisper-1", language="en", prompt="Pr\u00fcfung", temperature=0.2)

    async with AudioApi(settings_for(server), MODELS) as api:
        answer = await api.transcribe(segment, request, duration_ms=DURATION_MS)

    (call,) = server.calls
    assert call.fields == (
        ("model", "whisper-1"),
        ("response_format", "verbose_json"),
        ("language", "en"),
        ("prompt", "Pr\u00fcfung"),
        ("temperature", "0.2"),
        ("timestamp_granularities[]", "segment"),
        ("timestamp_granularities[]", "word"),
    )
    assert call.size == SEGMENT_BYTES
    assert call.authorization is None
    assert [word.text for word in answer.words] == ["The", "quick", "brown", "fox."]
    assert answer.language == "english"


async def test_an_upload_that_is_reset_midway_cost_nothing(server: AudioApiServer, tmp_path: Path) -> None:
    large = tmp_path / "large.mp3"
    large.write_bytes(bytes(24_000_000))
    server.script(["reset-before-body"])

    async with AudioApi(settings_for(server), MODELS) as api:
        with pytest.raises(errors.UploadCutError) as caught:
            await api.transcribe(large, WHISPER, duration_ms=DURATION_MS)

    assert caught.value.charged == "no"


async def test_a_server_that_refuses_the_format_is_asked_for_plain_json_from_then_on(
    server: AudioApiServer, segment: Path
) -> None:
    server.mode = "refuses-verbose-json"
    request = TranscriptionRequest("someones-whisper")
    async with AudioApi(settings_for(server), MODELS) as api:
        assert api.model("someones-whisper").timed
        for _ in range(2):
            answer = await api.transcribe(segment, request, duration_ms=DURATION_MS)
            assert (answer.text, answer.words) == ("The quick brown fox.", ())
        assert not api.model("someones-whisper").timed
        assert api.model("whisper-1").timed

    asked = [call.values("response_format") for call in server.calls]
    assert asked == [["verbose_json"], ["json"], ["json"]]
    assert [call.charged for call in server.calls] == [False, True, True]


@pytest.mark.parametrize(
    ("mode", "asked", "timed"),
    [
        ("refuses-words", [["segment", "word"], ["segment"], ["segment"]], True),
        ("422-words", [["segment", "word"], ["segment"], ["segment"]], True),
        ("422-granularities", [["segment", "word"], ["segment"], [], []], True),
        ("422-format", [["segment", "word"], [], []], False),
        ("500-format", [["segment", "word"], [], []], False),
    ],
)
async def test_a_server_that_refuses_the_times_of_words_is_asked_for_those_of_segments_then_for_none(
    server: AudioApiServer, segment: Path, mode: str, asked: list[list[str]], *, timed: bool
) -> None:
    server.mode = mode
    async with AudioApi(settings_for(server), MODELS) as api:
        for _ in range(2):
            answer = await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)
            assert answer.text == "The quick brown fox."
            assert (bool(answer.utterances), answer.words) == (timed, ())

    assert [call.values("timestamp_granularities[]") for call in server.calls] == asked
    assert [call.values("response_format") for call in server.calls[-2:]] == [
        ["verbose_json" if timed else "json"]
    ] * 2
    assert [call.charged for call in server.calls] == [False] * (len(asked) - 2) + [True] * 2


@pytest.mark.parametrize("mode", ["refuses-language", "422-language"])
async def test_a_language_that_is_refused_has_an_error_of_its_own(
    server: AudioApiServer, segment: Path, mode: str
) -> None:
    server.mode = mode
    async with AudioApi(settings_for(server), MODELS) as api:
        with pytest.raises(errors.LanguageRefusedError) as caught:
            await api.transcribe(segment, replace(WHISPER, language="jw"), duration_ms=DURATION_MS)
        assert (caught.value.charged, caught.value.kind) == ("no", "api-refused")
        assert (await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)).text


@pytest.mark.parametrize("endpoint", ["transcribe", "chat", "stream", "speak"])
async def test_a_page_in_place_of_an_answer_is_free_and_hints_at_the_address(
    server: AudioApiServer, segment: Path, endpoint: str
) -> None:
    server.mode = "html-200"
    question = ChatRequest("gpt-4o-mini", (Message("user", "Hello?"),), 50)
    async with AudioApi(settings_for(server), MODELS) as api:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "transcribe": lambda: api.transcribe(segment, WHISPER, duration_ms=DURATION_MS),
            "chat": lambda: api.chat(question),
            "stream": lambda: api.stream_chat(question, lambda _: None),
            "speak": lambda: api.speak(SpeechRequest("tts-1", "Hello.", "alloy", "wav")),
        }
        with pytest.raises(errors.WrongAddressError, match="web page") as caught:
            await calls[endpoint]()
    assert caught.value.charged == "no"
    assert "/v1" in (caught.value.hint or "")


async def test_a_server_that_refuses_clips_of_who_may_speak_is_sent_none_from_then_on(
    server: AudioApiServer, segment: Path
) -> None:
    server.mode = "refuses-voices"
    voices = (
        SpeakerReference("s0-A", "data:audio/mpeg;base64,AA=="),
        SpeakerReference("s0-B", "data:audio/mpeg;base64,BB=="),
    )
    request = TranscriptionRequest("gpt-4o-transcribe-diarize", voices=voices)
    async with AudioApi(settings_for(server), MODELS) as api:
        for _ in range(2):
            answer = await api.transcribe(segment, request, duration_ms=DURATION_MS)
            assert answer.text == "The quick brown fox."
        # A model that tells nobody apart is sent none to begin with.
        await api.transcribe(segment, replace(request, model="whisper-1"), duration_ms=DURATION_MS)

    sent = [(call.values("known_speaker_names[]"), call.charged) for call in server.calls]
    assert sent == [(["s0-A", "s0-B"], False), ([], True), ([], True), ([], True)]
    assert server.calls[0].values("known_speaker_references[]") == [voice.clip for voice in voices]


async def test_nobody_listening_is_free_and_names_the_address(segment: Path) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        async with AudioApi(AudioApiSettings(address), MODELS) as api:
            with pytest.raises(errors.UnreachableError, match=address):
                await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)


async def test_a_name_that_does_not_resolve_is_unreachable(segment: Path) -> None:
    async with AudioApi(AudioApiSettings("http://api.invalid/v1"), MODELS) as api:
        with pytest.raises(errors.UnreachableError):
            await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_a_certificate_that_no_one_vouches_for_stops(
    segment: Path, self_signed: ssl.SSLContext
) -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=self_signed)
    async with listening:
        address = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        async with AudioApi(AudioApiSettings(address), MODELS) as api:
            with pytest.raises(errors.CertificateError):
                await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)


async def test_tls_to_a_server_that_speaks_none_is_unreachable(server: AudioApiServer, segment: Path) -> None:
    settings = replace(settings_for(server), base_url=server.base_url.replace("http:", "https:"))
    async with AudioApi(settings, MODELS) as api:
        with pytest.raises(errors.UnreachableError):
            await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_address_is_used_as_given(server: AudioApiServer, segment: Path, slash: str) -> None:
    settings = replace(settings_for(server), base_url=server.base_url + slash)
    async with AudioApi(settings, MODELS) as api:
        assert await api.models()
        assert (await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)).text


async def test_the_key_is_sent_and_never_told(
    segment: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with audio_api_server(key="sk-another") as server:
        settings = replace(settings_for(server), api_key=KEY)
        async with AudioApi(settings, MODELS) as api:
            with pytest.raises(errors.KeyRefusedError) as caught:
                await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)

    assert server.calls[0].authorization == f"Bearer {KEY}"
    assert "Incorrect API key provided: Bearer (the key)" in caught.value.message
    assert KEY not in f"{caught.value!r} {caught.value} {settings!r} {caplog.text} {capsys.readouterr()}"


async def test_many_at_once_share_one_client(server: AudioApiServer, segment: Path) -> None:
    server.delay_s = 0.05
    async with AudioApi(settings_for(server), MODELS) as api:
        calls = (api.transcribe(segment, WHISPER, duration_ms=DURATION_MS) for _ in range(8))
        answers = await asyncio.gather(*calls)
        await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)

    assert len({answer.raw for answer in answers}) == 1
    assert server.peak > 1
    # The ninth went over a connection that was there.
    assert server.connections <= 8


async def test_a_client_that_was_closed_opens_again(server: AudioApiServer, segment: Path) -> None:
    api = AudioApi(settings_for(server), MODELS)
    for _ in range(2):
        await api.transcribe(segment, WHISPER, duration_ms=DURATION_MS)
        await api.aclose()

    assert len(server.calls) == 2


async def test_a_file_that_is_not_there_is_no_fault_of_the_api(
    server: AudioApiServer, tmp_path: Path
) -> None:
    async with AudioApi(settings_for(server), MODELS) as api:
        with pytest.raises(FileNotFoundError):
            await api.transcribe(tmp_path / "gone.mp3", WHISPER, duration_ms=DURATION_MS)

    assert server.calls == []


async def test_the_list_of_models_is_read_leniently(server: AudioApiServer) -> None:
    server.models = [{"id": "whisper-1", "shutdown_date": "2027-02-26"}, {"id": "b"}, {"name": "?"}]
    async with AudioApi(settings_for(server), MODELS) as api:
        listed = await api.models()

    assert listed == (ListedModel("whisper-1", date(2027, 2, 26)), ListedModel("b"))


async def test_an_address_without_the_api_has_no_models(server: AudioApiServer) -> None:
    settings = replace(settings_for(server), base_url=server.base_url.removesuffix("/v1"))
    async with AudioApi(settings, MODELS) as api:
        with pytest.raises(errors.ModelNotFoundError, match="OPENAI_BASE_URL"):
            await api.models()


async def test_an_application_in_this_process_is_reached_without_a_socket(segment: Path) -> None:
    async def hear(request: Request) -> JSONResponse:
        assert request.headers["accept-encoding"] == "identity"
        form = await request.form()
        upload = form["file"]
        assert not isinstance(upload, str)
        return JSONResponse({"text": f"{form['model']} heard {len(await upload.read())} bytes"})

    app = Starlette(routes=[Route("/v1/audio/transcriptions", hear, methods=["POST"])])
    settings = AudioApiSettings("http://engine/v1", provider="embedded")
    async with AudioApi(settings, MODELS, httpx.ASGITransport(app)) as api:
        answer = await api.transcribe(segment, TranscriptionRequest("pocketsphinx"), duration_ms=DURATION_MS)

    assert answer.text == f"pocketsphinx heard {SEGMENT_BYTES} bytes"
