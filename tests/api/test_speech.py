"""Asking for speech, against a real socket: what comes, and what does not pass for speech."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stenoflow.tasks.api import errors
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.speech import (
    SPEECH_FORMATS,
    Sound,
    SpeechFormat,
    SpeechRequest,
    form_of,
    is_cut_off,
    speech_document,
)
from stenoflow.tasks.api.speech_models import load_speech_models
from stenoflow.tasks.errors import SettingsError
from tests.servers.audio_api import AudioApiServer
from tests.servers.speech import sound_of_text

ASKED = SpeechRequest("tts-1", "One two three.", "nova", "mp3")


async def speak(server: AudioApiServer, request: SpeechRequest = ASKED, **settings: float) -> Sound:
    api = AudioApiSettings(server.base_url, "sk-test-0123456789", **settings)  # type: ignore[arg-type]
    async with AudioApi(api, load_models()) as client:
        return await client.speak(request)


def test_only_what_is_wished_is_sent() -> None:
    assert speech_document(ASKED) == {
        "model": "tts-1",
        "input": "One two three.",
        "voice": "nova",
        "response_format": "mp3",
    }
    more = speech_document(replace(ASKED, speed=1.5, instructions="Softly."))
    assert (more["speed"], more["instructions"]) == (1.5, "Softly.")


@pytest.mark.parametrize("format_", SPEECH_FORMATS)
@pytest.mark.parametrize("mode", ["ok", "unframed"])
async def test_sound_comes_as_it_was_sent(server: AudioApiServer, format_: SpeechFormat, mode: str) -> None:
    server.mode = mode
    sound = await speak(server, replace(ASKED, format=format_))
    assert sound == Sound(sound_of_text(ASKED.text, format_), format_)
    assert server.speech.calls[0].document["response_format"] == format_


async def test_whoever_listens_is_given_it_as_it_comes(server: AudioApiServer) -> None:
    parts: list[bytes] = []
    async with AudioApi(AudioApiSettings(server.base_url), load_models()) as client:
        sound = await client.speak(replace(ASKED, format="pcm"), parts.append)
    assert len(parts) > 1
    assert b"".join(parts) == sound.data


async def test_another_format_than_was_asked_for_is_told(server: AudioApiServer) -> None:
    server.mode = "other-format"
    parts: list[bytes] = []
    async with AudioApi(AudioApiSettings(server.base_url), load_models()) as client:
        sound = await client.speak(ASKED, parts.append)
    assert (sound.format, parts) == ("wav", [])


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("stops-midway", errors.UnknownOutcomeError),
        ("no-sound", errors.BadAnswerError),
        ("empty", errors.BadAnswerError),
        ("error-200", errors.BadAnswerError),
        ("400", errors.SegmentRefusedError),
        ("401", errors.KeyRefusedError),
        ("404-model", errors.ModelNotFoundError),
        ("429", errors.RateLimitedError),
        ("429-insufficient_quota", errors.BillingStoppedError),
        ("500", errors.UnknownOutcomeError),
        ("reset-after-body", errors.UnknownOutcomeError),
    ],
)
async def test_what_is_no_speech_is_told_as_what_it_means(
    server: AudioApiServer, mode: str, kind: type[errors.CallError]
) -> None:
    server.mode = mode
    with pytest.raises(errors.CallError) as failed:
        await speak(server)
    assert type(failed.value) is kind
    assert (failed.value.charged == "possible") == server.speech.calls[0].charged or mode == "500"


@pytest.mark.parametrize("format_", ["wav", "opus"])
async def test_half_of_it_is_not_taken_for_all_where_only_the_connection_ends_it(
    server: AudioApiServer, format_: SpeechFormat
) -> None:
    server.mode = "unframed-half"
    with pytest.raises(errors.BadAnswerError, match="cut off"):
        await speak(server, replace(ASKED, format=format_))


async def test_who_falls_silent_is_given_up(server: AudioApiServer) -> None:
    server.mode = "stalls"
    with pytest.raises(errors.UnknownOutcomeError, match="in time"):
        await speak(server, read_s=0.3)


async def test_no_more_is_read_than_is_to_be_kept(server: AudioApiServer) -> None:
    with pytest.raises(errors.BadAnswerError, match="more than 1000 bytes"):
        await speak(server, largest_answer_bytes=1_000)


@pytest.mark.parametrize("format_", SPEECH_FORMATS)
def test_a_form_is_told_by_its_beginning(format_: SpeechFormat) -> None:
    data = sound_of_text("One two.", format_)
    assert form_of(data[:12], format_) == format_
    assert not is_cut_off(data, format_)
    wanted: SpeechFormat = "mp3" if format_ != "pcm" else "pcm"
    assert form_of(data[:12], wanted) == format_
    assert form_of(json.dumps({"error": "no"}).encode()[:12], format_) is None


def test_mp3_in_place_of_samples_is_told_by_its_label() -> None:
    """Samples may begin with anything; what is labelled as MP3 and begins so is none."""
    frame = bytes.fromhex("fffb90c4") + bytes(8)
    assert form_of(frame, "pcm") == form_of(frame, "pcm", "audio/pcm") == "pcm"
    assert form_of(frame, "pcm", "audio/mpeg; x=1") == "mp3"
    assert form_of(bytes(12), "pcm", "audio/mpeg") == "pcm"


def test_models_are_data_and_users_add_theirs() -> None:
    table = load_speech_models({"mine": {"voices": ["anna"], "voice": "anna", "formats": ["wav"]}})
    assert "onyx" in table.get("tts-1-hd").voices
    assert (table.get("tts-1").instructions, table.get("gpt-4o-mini-tts").instructions) == (False, True)
    assert table.get("tts-1-2026-01-01").voices == table.get("tts-1").voices
    assert table.get("tts-1").max_characters == 4096
    assert table.get("tts-1").piece_format == "pcm"
    assert (table.get("mine").voices, table.get("mine").piece_format) == (("anna",), "wav")
    assert table.get("unheard-of").voices == ()
    with pytest.raises(SettingsError, match=r"formats\.0"):
        load_speech_models({"mine": {"formats": ["midi"]}})
    with pytest.raises(SettingsError, match="max_characters"):
        load_speech_models({"mine": {"max_characters": 0}})
