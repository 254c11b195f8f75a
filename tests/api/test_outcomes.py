"""Each way in which a call can end, over a real socket, and what the client makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stenoflow.tasks.api import errors
from stenoflow.tasks.api.answers import Answer
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.requests import TranscriptionRequest
from tests.servers.audio_api import AudioApiServer
from tests.servers.audio_api_modes import BILLING_CODES, MODES

# Short only where the test is about them.
SHORT: dict[str, dict[str, Any]] = {"hang": {"read_s": 0.5}, "drip": {"deadline_s": 5.0}}


async def transcribe(server: AudioApiServer, segment: Path, mode: str) -> Answer:
    server.script([mode])
    settings = replace(AudioApiSettings(server.base_url, largest_answer_bytes=1 << 20), **SHORT.get(mode, {}))
    async with AudioApi(settings, load_models()) as api:
        return await api.transcribe(segment, TranscriptionRequest("whisper-1"), duration_ms=10_000)


REFUSED = {
    "302": errors.WrongAddressError,
    "html-200": errors.WrongAddressError,
    "400": errors.SegmentRefusedError,
    "401": errors.KeyRefusedError,
    "402": errors.BillingStoppedError,
    "403": errors.KeyRefusedError,
    "404-html": errors.ModelNotFoundError,
    "404-model": errors.ModelNotFoundError,
    "405": errors.WrongAddressError,
    "408": errors.UploadCutError,
    "409": errors.SegmentRefusedError,
    "413": errors.SegmentTooLargeError,
    "415": errors.SegmentRefusedError,
    "422": errors.SegmentRefusedError,
    **{f"429-{code}": errors.BillingStoppedError for code in BILLING_CODES},
}
RATE_LIMITED = {
    "429": None,
    "429-retry-after": 1.0,
    "429-retry-after-ms": 0.05,
    "429-retry-after-nonsense": None,
    "429-retry-after-zero": 0.0,
    "429-retry-after-a-day": 86_400.0,
}
DOUBTFUL = {
    **{
        str(status): errors.UnknownOutcomeError
        for status in (500, 502, 503, 504, 520, 521, 522, 523, 524, 529)
    },
    "reset-after-body": errors.UnknownOutcomeError,
    "close-after-body": errors.UnknownOutcomeError,
    "hang": errors.UnknownOutcomeError,
    "drip": errors.UnknownOutcomeError,
    "truncated": errors.UnknownOutcomeError,
    "broken-chunks": errors.UnknownOutcomeError,
    "ended-by-close": errors.BadAnswerError,
    "gzip-without-tail": errors.BadAnswerError,
    "empty": errors.BadAnswerError,
    "not-json": errors.BadAnswerError,
    "json-list": errors.BadAnswerError,
    "error-200": errors.BadAnswerError,
    "no-text": errors.BadAnswerError,
    "huge": errors.BadAnswerError,
}
GOOD_ENOUGH = {
    "ok",
    "words-null",
    "no-segments",
    "duration-string",
    "zero-times",
    "nan-times",
    "infinite-times",
    "backward-times",
    "times-outside",
    "text-only",
    "empty-text",
    "repetition",
}
# Tried on their own, here or in test_client.
BY_THEMSELVES = {
    *("refuses-verbose-json", "refuses-voices", "429-retry-after-date", "reset-before-body"),
    *("refuses-words", "422-words", "422-granularities", "422-format", "500-format"),
    *("refuses-language", "422-language"),
}


def test_every_mode_of_the_server_is_tried() -> None:
    assert {*REFUSED, *RATE_LIMITED, *DOUBTFUL, *GOOD_ENOUGH, *BY_THEMSELVES} == set(MODES)


@pytest.mark.parametrize(("mode", "kind"), {**REFUSED, **DOUBTFUL}.items())
async def test_each_failure_has_its_error(
    server: AudioApiServer, segment: Path, mode: str, kind: type[CallError]
) -> None:
    with pytest.raises(CallError) as caught:
        await transcribe(server, segment, mode)

    assert type(caught.value) is kind
    assert len(server.calls) == 1
    # What the provider bills is never taken for free.
    assert caught.value.charged == "possible" or not server.calls[0].charged
    assert "whisper-1 at 127.0.0.1" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(("mode", "wait_s"), RATE_LIMITED.items())
async def test_each_form_of_retry_after_is_read(
    server: AudioApiServer, segment: Path, mode: str, wait_s: float | None
) -> None:
    with pytest.raises(errors.RateLimitedError) as caught:
        await transcribe(server, segment, mode)

    assert caught.value.retry_after_s == wait_s


async def test_retry_after_with_a_date_is_measured_from_now(server: AudioApiServer, segment: Path) -> None:
    with pytest.raises(errors.RateLimitedError) as caught:
        await transcribe(server, segment, "429-retry-after-date")

    assert caught.value.retry_after_s is not None
    assert 0 <= caught.value.retry_after_s <= 1


@pytest.mark.parametrize("mode", sorted(GOOD_ENOUGH))
async def test_an_odd_answer_is_read_all_the_same(server: AudioApiServer, segment: Path, mode: str) -> None:
    answer = await transcribe(server, segment, mode)

    assert (answer.text == "") == (mode == "empty-text")
    assert bool(answer.words) == (mode in {"ok", "no-segments", "duration-string", "backward-times"})


async def test_an_answer_without_end_is_cut_off_at_the_cap(server: AudioApiServer, segment: Path) -> None:
    with pytest.raises(errors.BadAnswerError, match="more than 1048576 bytes"):
        await transcribe(server, segment, "huge")
