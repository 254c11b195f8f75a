"""The misbehaving server's own bill must be right, or it proves nothing."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import httpx
import numpy as np
import pytest

from tests.servers.audio_api import AudioApiServer, Fields, audio_api_server, seconds_of
from tests.waiting import FOREVER


def mp3(seconds: int) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=16_000, layout="mono")
        stream.bit_rate = 64_000
        for second in range(seconds):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), "s16p", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, second * 16_000, Fraction(1, 16_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def post(server: AudioApiServer, audio: bytes, **fields: str) -> httpx.Response:
    url = f"{server.base_url}/audio/transcriptions"
    return httpx.post(url, data=fields, files={"file": ("a.mp3", audio, "audio/mpeg")}, timeout=FOREVER)


def test_it_bills_the_seconds_that_it_heard() -> None:
    heard: list[bytes] = []

    def hear(audio: bytes, fields: Fields) -> dict[str, object]:
        heard.append(audio)
        return {"text": dict(fields)["model"]}

    audio = mp3(3)
    with audio_api_server(hear) as server:
        server.script(["400", "502"])
        for _ in range(3):
            last = post(server, audio, model="whisper-1")

    assert last.json() == {"text": "whisper-1"}
    assert heard == [audio]
    assert [call.charged for call in server.calls] == [False, True, True]
    assert server.billed_seconds == pytest.approx(2 * 3, abs=0.3)


def test_bytes_that_are_no_audio_count_as_64_kbps() -> None:
    assert seconds_of(b"\0" * 80_000) == 10.0


@pytest.mark.parametrize(("asked", "keys"), [("word", {"words"}), ("segment", {"segments"})])
def test_it_gives_the_granularity_that_was_asked_for_alone(
    server: AudioApiServer, asked: str, keys: set[str]
) -> None:
    fields = {"model": "x", "response_format": "verbose_json", "timestamp_granularities[]": asked}

    answer = post(server, b"audio", **fields).json()

    assert answer.keys() & {"words", "segments"} == keys


def test_the_script_comes_first_and_then_the_mode(server: AudioApiServer) -> None:
    server.mode = "422"
    server.script(["500", "ok"])

    assert [post(server, b"x", model="x").status_code for _ in range(4)] == [500, 200, 422, 422]


def test_a_mode_that_does_not_exist_is_noticed(server: AudioApiServer) -> None:
    with pytest.raises(AssertionError, match="teapot"):
        server.script(["teapot"])
