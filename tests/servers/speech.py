"""The misbehaving API's voice: `POST /v1/audio/speech`, whose sound tells which words it says.

Each word is a tone of its own (`tone_of`), 40 ms a letter, between quiet stretches longer than a listener
would want. What each mode beside those of ``audio_api_modes`` does is in `SPEECH_MODES`.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.speech_audio import converted
from tests.servers.audio_api_modes import MODES, Exchange

RATE = 24_000
LEAD_S, TAIL_S, GAP_S = 0.3, 0.8, 0.06
LETTER_S = 0.04
LEVEL = 8_000
_CHUNK_BYTES = 4_800  # a tenth of a second of samples
_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


@dataclass(frozen=True)
class SpeechCall:
    """One text that the server was asked to speak."""

    mode: str
    document: dict[str, Any]
    charged: bool

    @property
    def text(self) -> str:
        return str(self.document["input"])


def tone_of(word: str) -> int:
    """Return the frequency of a word, in Hz."""
    return 300 + 40 * (zlib.crc32(word.lower().strip(".,;:!?").encode()) % 60)


@cache
def samples_of_text(text: str, speed: float = 1.0) -> NDArray[np.int16]:
    parts = [np.zeros(round(LEAD_S * RATE))]
    for word in text.split():
        seconds = max(2, len(word)) * LETTER_S / speed
        times = np.arange(round(seconds * RATE)) / RATE
        edge = np.minimum(1, np.minimum(times, times[::-1]) / 0.005)
        parts += [
            LEVEL * edge * np.sin(2 * np.pi * tone_of(word) * times),
            np.zeros(round(GAP_S / speed * RATE)),
        ]
    parts.append(np.zeros(round(TAIL_S * RATE)))
    return np.rint(np.concatenate(parts)).astype(np.int16)


def sound_of_text(text: str, format_: str, speed: float = 1.0) -> bytes:
    """Return what the server says; the same bytes each time."""
    return _sound_of_text(text, format_, speed)


@cache
def _sound_of_text(text: str, format_: str, speed: float) -> bytes:
    data = samples_of_text(text, speed).astype("<i2").tobytes()
    return data if format_ == "pcm" else converted(data, "pcm", format_, ffmpeg=find_ffmpeg())


class SpeechDesk:
    """What a test holds of the voice.

    Attributes:
        first_byte_s: how long it thinks before it speaks.
        chunk_s: how long between two tenths of a second of sound.
        given_at: when each call's first byte went out, by `time.monotonic`.
        hold_after_bytes: after so many the first call waits until `go_on`; None: it does not.
    """

    def __init__(self) -> None:
        self.calls: list[SpeechCall] = []
        self.first_byte_s = 0.0
        self.chunk_s = 0.0
        self.given_at: list[float] = []
        self.hold_after_bytes: int | None = None
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    @property
    def billed_characters(self) -> int:
        return sum(len(call.text) for call in self.calls if call.charged)

    def serve(self, exchange: Exchange, name: str, body: bytes) -> None:
        document = json.loads(body)
        act = SPEECH_MODES.get(name)
        charged = MODES[name].charged(exchange) if act is None else True
        with self._lock:
            self.calls.append(SpeechCall(name, document, charged))
        if act is None:
            MODES[name].act(exchange)
            return
        time.sleep(self.first_byte_s)
        act(self, exchange, document)

    def stream(self, exchange: Exchange, data: bytes, format_: str, *, framed: bool = True) -> None:
        """Send sound as it is made; unframed, only the end of the connection ends it."""
        how = "Transfer-Encoding: chunked" if framed else "Connection: close"
        exchange.raw(f"HTTP/1.1 200 X\r\nContent-Type: {_TYPES[format_]}\r\n{how}\r\n\r\n".encode())
        holds = self.hold_after_bytes if len(self.calls) == 1 else None
        for number, chunk in enumerate(_chunks(data)):
            if holds is not None and number * _CHUNK_BYTES >= holds:
                self.go_on.wait()
            if number:
                time.sleep(self.chunk_s)
            else:
                self.given_at.append(time.monotonic())
            exchange.raw(b"%x\r\n%b\r\n" % (len(chunk), chunk) if framed else chunk)


def _chunks(data: bytes) -> Iterator[bytes]:
    return (data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES))


def _spoken(document: dict[str, Any]) -> tuple[bytes, str]:
    format_ = document.get("response_format", "mp3")
    return sound_of_text(document["input"], format_, float(document.get("speed", 1))), format_


def _ok(desk: SpeechDesk, exchange: Exchange, document: dict[str, Any]) -> None:
    desk.stream(exchange, *_spoken(document))
    exchange.raw(b"0\r\n\r\n")


def _part(desk: SpeechDesk, exchange: Exchange, document: dict[str, Any], share: float) -> None:
    data, format_ = _spoken(document)
    desk.stream(exchange, data[: int(len(data) * share)], format_)


def _stops_midway(desk: SpeechDesk, exchange: Exchange, document: dict[str, Any]) -> None:
    _part(desk, exchange, document, 0.5)
    exchange.close()


def _stalls(desk: SpeechDesk, exchange: Exchange, document: dict[str, Any]) -> None:
    _part(desk, exchange, document, 0.5)
    exchange.stopping.wait()
    exchange.close()


def _ends_early(desk: SpeechDesk, exchange: Exchange, document: dict[str, Any]) -> None:
    """End as if that were all: a server behind this one has stopped."""
    _part(desk, exchange, document, 0.1)
    exchange.raw(b"0\r\n\r\n")


def _unframed(share: float) -> Callable[[SpeechDesk, Exchange, dict[str, Any]], None]:
    def act(desk: SpeechDesk, exchange: Exchange, document: dict[str, Any]) -> None:
        data, format_ = _spoken(document)
        desk.stream(exchange, data[: int(len(data) * share)], format_, framed=False)
        exchange.close()

    return act


def _other_format(desk: SpeechDesk, exchange: Exchange, document: dict[str, Any]) -> None:
    _ok(desk, exchange, {**document, "response_format": "wav"})


def _no_sound(_desk: SpeechDesk, exchange: Exchange, _document: dict[str, Any]) -> None:
    exchange.answer(200, b"a text that is long enough to be sound", {"Content-Type": "audio/mpeg"})


SPEECH_MODES: dict[str, Callable[[SpeechDesk, Exchange, dict[str, Any]], None]] = {
    "ok": _ok,
    "stops-midway": _stops_midway,
    "stalls": _stalls,
    "ends-early": _ends_early,
    "unframed": _unframed(1.0),
    "unframed-half": _unframed(0.5),
    "other-format": _other_format,
    "no-sound": _no_sound,
}
