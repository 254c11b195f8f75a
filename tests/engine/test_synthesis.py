"""Making speech: what comes early, fails midway, is given up. The voices here are small programs."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Collection
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from stenoflow.tasks.engine.app import create_app
from stenoflow.tasks.engine.engine import Engine
from stenoflow.tasks.engine.synthesis import SynthesisScript, stream_synthesis, synthesize
from stenoflow.tasks.errors import EngineError
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.speech_arguments import SpeechFormat
from tests.engine.conftest import serving

# Says two seconds, and its number; then what `rest` says.
_VOICE = """
import os, sys, time
length = int.from_bytes(sys.stdin.buffer.read(4), "little")
assert sys.stdin.buffer.read(length) == "héllo".encode()
out = open(int(sys.argv[-1]), "wb")
open({note!r}, "w").write(str(os.getpid()))
out.write(bytes([0, 40]) * 48_000)
out.flush()
{rest}
"""


class SmallSpeaker:
    """A speaker whose voice is such a program."""

    def __init__(self, note: Path, rest: str) -> None:
        self._note, self._rest = str(note), rest

    @property
    def voices(self) -> Collection[str]:
        return ("small",)

    def script(self, text: str, voice: str, speed: float) -> SynthesisScript:
        assert (voice, speed) == ("small", 1)
        program = _VOICE.format(note=self._note, rest=self._rest)
        return SynthesisScript((sys.executable, "-c", program), text, 24_000, 1)


def script(note: Path, rest: str) -> SynthesisScript:
    return SmallSpeaker(note, rest).script("héllo", "small", 1)


@pytest.mark.parametrize("form", [SpeechFormat.MP3, SpeechFormat.OPUS, SpeechFormat.PCM, SpeechFormat.WAV])
def test_the_first_sound_comes_while_the_rest_is_not_there(tmp_path: Path, form: SpeechFormat) -> None:
    go = tmp_path / "go"
    rest = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\nout.write(bytes(48_000))"
    pieces = synthesize(script(tmp_path / "pid", rest), form, find_ffmpeg())
    first = next(pieces)
    go.touch()
    assert len(first) < len(first + b"".join(pieces))


def test_a_voice_that_fails_midway_gives_no_whole_file(tmp_path: Path) -> None:
    pieces = synthesize(script(tmp_path / "pid", "sys.exit('no breath')"), SpeechFormat.PCM, find_ffmpeg())
    with pytest.raises(EngineError, match="no breath"):
        b"".join(pieces)


def test_over_http_the_answer_then_breaks_off(tmp_path: Path) -> None:
    speaker = SmallSpeaker(tmp_path / "pid", "sys.exit('no breath')")
    body = {"model": "small", "voice": "small", "input": "héllo", "response_format": "pcm"}
    with serving(Engine({}, {"small": speaker})) as url, pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{url}/audio/speech", json=body)


def test_one_that_says_nothing_is_a_server_error(tmp_path: Path) -> None:
    speaker = SmallSpeaker(tmp_path / "nowhere" / "pid", "")
    body = {"model": "small", "voice": "small", "input": "héllo"}
    with serving(Engine({}, {"small": speaker})) as url:
        answer = httpx.post(f"{url}/audio/speech", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")


async def test_without_a_voice_it_says_how_to_get_one() -> None:
    app = create_app(Engine({}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine/v1") as http:
        body = {"model": "espeak-ng", "voice": "nova", "input": "hello"}
        answer = await http.post("/audio/speech", json=body)
    assert answer.status_code == 404
    assert 'pip install "stenoflow[speech]"' in answer.json()["error"]["message"]


async def test_giving_up_ends_the_voice(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    async with aclosing(
        stream_synthesis(synthesize(script(note, "time.sleep(600)"), SpeechFormat.PCM, find_ffmpeg()))
    ) as sound:
        assert await anext(sound)
    deadline = time.monotonic() + 20
    while is_running(int(note.read_text())):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
