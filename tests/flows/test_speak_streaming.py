"""What a player hears: in order, as the API gives it, and no further than it can be had."""

from __future__ import annotations

import asyncio
import json
import os
import select
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from stenoflow.flows.speak import SpeakWork
from stenoflow.tasks.calls.live_stream import StreamBrokenError
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.jobs.speak.plan import open_speech_job
from stenoflow.tasks.jobs.speak.publish import published
from stenoflow.tasks.jobs.speak.run import SpeechResult
from stenoflow.tasks.jobs.speak.settings import VoiceOptions, speech_settings
from stenoflow.tasks.settings import load_settings
from tests.flows.conftest import charges
from tests.flows.silent import silent_runner
from tests.flows.test_speak import CHAPTER, LINE, TOLD, limit_to_short_pieces, words_heard
from tests.servers.audio_api import AudioApiServer
from tests.servers.speech import RATE, sound_of_text

HELD_BYTES = 9_600


@pytest.fixture
def context(home: Path, api: AudioApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppContext]:
    del home, api
    monkeypatch.setenv("STENOFLOW_PROVIDER", "openai")
    limit_to_short_pieces()
    with open_context(load_settings()) as opened:
        yield opened


@asynccontextmanager
async def playing(
    context: AppContext, text: str, form: str, concurrency: int = 6
) -> AsyncIterator[tuple[int, asyncio.Task[SpeechResult]]]:
    """Speak to a pipe; gives its other end, and the command that is at work."""
    settings = speech_settings(context.settings, context.speech_models, VoiceOptions(format=form))
    job = open_speech_job(context, text, settings)
    runner = silent_runner(context, concurrency)
    reading, writing = os.pipe()

    async def speak() -> SpeechResult:
        work = SpeakWork(job, out=writing)
        try:
            await runner.run(work)
        finally:
            os.close(writing)
        if work.error is not None:
            raise work.error
        spoken = published(context, context.catalog.job(job.id))
        assert spoken is not None
        return spoken

    async with runner.open():
        yield reading, asyncio.create_task(speak())


def read_all(reading: int) -> bytes:
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read()


def read_what_comes(reading: int) -> None:
    while select.select([reading], [], [], 1.0)[0]:
        assert os.read(reading, 1 << 16)


def wait_for_calls(api: AudioApiServer, count: int) -> None:
    while len(api.speech.calls) < count:
        time.sleep(0.01)


async def test_the_first_bytes_are_heard_before_the_api_has_said_all(
    context: AppContext, api: AudioApiServer
) -> None:
    api.speech.hold_after_bytes = HELD_BYTES
    async with playing(context, LINE, "mp3") as (reading, speaking):
        # The rest is not sent until this is read.
        first = await asyncio.to_thread(os.read, reading, 1 << 16)
        api.speech.go_on.set()
        rest = await asyncio.to_thread(read_all, reading)
        spoken = await speaking
    assert first + rest == sound_of_text(LINE, "mp3")
    assert context.store.get_bytes(spoken.audio.key) == first + rest
    async with playing(context, LINE, "mp3") as (reading, _):
        assert await asyncio.to_thread(read_all, reading) == first + rest
    assert len(api.speech.calls) == 1


@pytest.mark.program
@pytest.mark.parametrize("form", ["wav", "mp3", "opus", "aac", "flac", "pcm"])
async def test_of_several_pieces_the_first_bytes_are_heard_too(
    context: AppContext, api: AudioApiServer, form: str
) -> None:
    # What an encoder holds back is less than this.
    api.speech.hold_after_bytes = RATE * 2
    async with playing(context, CHAPTER, form) as (reading, speaking):
        first = await asyncio.to_thread(os.read, reading, 1 << 16)
        api.speech.go_on.set()
        assert first
        assert await asyncio.to_thread(read_all, reading)
        assert (await speaking).pieces == 3


async def test_pieces_are_heard_in_order_whoever_is_there_first(
    context: AppContext, api: AudioApiServer
) -> None:
    api.speech.hold_after_bytes = HELD_BYTES
    async with playing(context, CHAPTER, "wav") as (reading, speaking):
        await asyncio.to_thread(wait_for_calls, api, 3)
        api.speech.go_on.set()
        data = await asyncio.to_thread(read_all, reading)
        await speaking
    assert struct.unpack_from("<I", data, 40)[0] == 0xFFFFFFFF
    assert words_heard(np.frombuffer(data[44:], "<i2"), TOLD) == [
        "alpha",
        "end.",
        "bravo",
        "end.",
        "delta",
        "end.",
    ]


async def test_no_more_is_bought_than_a_listener_may_soon_hear(
    context: AppContext, api: AudioApiServer
) -> None:
    many = "\n\n".join(f"Paragraph {number} of many: " + "alpha " * 12 for number in range(9))
    async with playing(context, many, "pcm", concurrency=2) as (reading, speaking):
        # The pipe is full long before the first piece has been heard.
        await asyncio.to_thread(wait_for_calls, api, 3)
        await asyncio.sleep(0.3)
        assert len(api.speech.calls) <= 4
        await asyncio.to_thread(read_all, reading)
        assert (await speaking).pieces == 9


async def test_a_stream_that_breaks_is_not_begun_anew(
    context: AppContext, api: AudioApiServer, home: Path
) -> None:
    api.script(["stops-midway"])
    async with playing(context, LINE, "pcm") as (reading, speaking):
        heard = await asyncio.to_thread(read_all, reading)
        with pytest.raises(StreamBrokenError) as broken:
            await speaking
    assert (broken.value.exit_code, broken.value.hint) == (3, "run it again: only what is missing is sent")
    assert 0 < len(heard) < len(sound_of_text(LINE, "pcm"))
    assert [kind for kind, _ in charges(home)] == ["reserve", "release", "possible"]
    async with playing(context, LINE, "pcm") as (reading, _):
        assert await asyncio.to_thread(read_all, reading) == sound_of_text(LINE, "pcm")
    assert len(api.speech.calls) == 2


async def test_what_fails_before_the_first_byte_is_tried_again(
    context: AppContext, api: AudioApiServer
) -> None:
    api.script(["429-retry-after-ms", "500"])
    async with playing(context, LINE, "pcm") as (reading, _):
        assert await asyncio.to_thread(read_all, reading) == sound_of_text(LINE, "pcm")
    assert len(api.speech.calls) == 3


async def test_a_later_piece_may_break_without_being_heard(context: AppContext, api: AudioApiServer) -> None:
    api.speech.hold_after_bytes = HELD_BYTES
    api.script(["ok", "stops-midway"])
    async with playing(context, CHAPTER, "pcm", concurrency=2) as (reading, speaking):
        await asyncio.to_thread(wait_for_calls, api, 3)
        api.speech.go_on.set()
        data = await asyncio.to_thread(read_all, reading)
        await speaking
    assert words_heard(np.frombuffer(data, "<i2"), TOLD)[-2:] == ["delta", "end."]
    assert len(api.speech.calls) == 4


async def test_what_comes_in_another_format_is_heard_in_the_right_one(
    context: AppContext, api: AudioApiServer
) -> None:
    api.mode = "other-format"
    async with playing(context, LINE, "flac") as (reading, _):
        assert (await asyncio.to_thread(read_all, reading)).startswith(b"fLaC")


async def test_when_the_listener_goes_away_what_is_paid_is_kept(
    context: AppContext, api: AudioApiServer, home: Path
) -> None:
    api.speech.hold_after_bytes = HELD_BYTES
    async with playing(context, CHAPTER, "pcm", concurrency=1) as (reading, speaking):
        assert await asyncio.to_thread(os.read, reading, 1 << 16)
        os.close(reading)
        api.speech.go_on.set()
        with pytest.raises(BrokenPipeError):
            await speaking
    (line,) = context.reports.jobs()
    assert (line.job.state, len(api.speech.calls) < 3) == ("interrupted", True)
    assert [kind for kind, _ in charges(home)].count("actual") == len(api.speech.calls)
    assert json.loads(
        context.ledger.answers([context.catalog.segments(line.job.id)[0].cache_key]).popitem()[1]
    )


async def test_a_listener_that_goes_away_waits_for_no_voice_that_stalls(
    context: AppContext, api: AudioApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context.settings, "grace_s", 0.2)
    api.speech.hold_after_bytes = HELD_BYTES
    async with playing(context, CHAPTER, "pcm", concurrency=2) as (reading, speaking):
        assert await asyncio.to_thread(os.read, reading, 1 << 16)
        # All that the API says before it stalls: nothing is written any more, so no pipe breaks.
        await asyncio.to_thread(read_what_comes, reading)
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            await speaking
        api.speech.go_on.set()
    (line,) = context.reports.jobs()
    assert line.job.state == "interrupted"
    assert line.spending.possible_micro
