"""An OpenAI-compatible audio API on a real loopback socket that misbehaves on request.

    with audio_api_server(recogniser=hear) as server:
        server.script(["429-retry-after", "reset-after-body", "ok"])
        ...  # talk to server.base_url
        assert server.billed_seconds == ...

It keeps its own bill in ``calls``, so that a test can compare it with the ledger's. What each mode does
is in ``audio_api_modes``.
"""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av
from python_multipart import parse_form

from tests.servers.audio_api_modes import MODES, Exchange, Mode, refuse, wrong_key
from tests.servers.chat import CHAT_MODES, ChatDesk
from tests.servers.speech import SPEECH_MODES, SpeechDesk

Fields = tuple[tuple[str, str], ...]
Recogniser = Callable[[bytes, Fields], dict[str, Any]]


class UnheardError(Exception):
    """Raised by a recogniser for sound that is to be refused."""


@dataclass(frozen=True)
class Call:
    """One transcription that the server was asked for, as its provider would bill it."""

    number: int
    mode: str
    fields: Fields
    sha256: str
    size: int
    seconds: float
    charged: bool
    authorization: str | None
    endpoint: str = "transcriptions"

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


def fixed_text(_audio: bytes, _fields: Fields) -> dict[str, Any]:
    words = ("The", 0.0, 0.24), ("quick", 0.24, 0.6), ("brown", 0.6, 0.9), ("fox.", 0.9, 1.3)
    return {
        "task": "transcribe",
        "language": "english",
        "duration": 2.0,
        "text": "The quick brown fox.",
        "segments": [{"id": 0, "start": 0.0, "end": 1.3, "text": " The quick brown fox."}],
        "words": [{"word": word, "start": start, "end": end} for word, start, end in words],
    }


def seconds_of(audio: bytes) -> float:
    """Length by demuxing; of what is no audio, as if it were 64 kbps."""
    try:
        with av.open(io.BytesIO(audio), "r") as container:
            stream = container.streams.audio[0]
            ticks = sum(packet.duration or 0 for packet in container.demux(stream))
            return float(ticks * (stream.time_base or 0))
    except (av.FFmpegError, IndexError):
        return len(audio) * 8 / 64_000


class AudioApiServer:
    """What a test holds; made by `audio_api_server`."""

    def __init__(self, recogniser: Recogniser, mode: str, key: str | None, delay_s: float) -> None:
        self.recogniser = recogniser
        self.translator: Recogniser | None = None
        self.mode = mode
        self.key = key
        self.delay_s = delay_s
        self.calls: list[Call] = []
        self.request_ids: list[str] = []
        self.chat = ChatDesk()
        self.speech = SpeechDesk()
        self.models: list[dict[str, Any]] = [{"id": "whisper-1", "object": "model"}]
        self.connections = 0
        self.peak = 0
        self.stopping = threading.Event()
        self._in_flight = 0
        self._script: deque[str] = deque()
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def billed_seconds(self) -> float:
        return sum(call.seconds for call in self.calls if call.charged)

    def script(self, modes: Iterable[str]) -> None:
        """Name the modes of the next calls; after them the server's own mode holds again."""
        wanted = list(modes)
        unknown = [mode for mode in wanted if mode not in {*MODES, *CHAT_MODES, *SPEECH_MODES}]
        assert not unknown, f"no such modes: {unknown}"
        with self._lock:
            self._script.extend(wanted)

    def unscript(self) -> None:
        """Forget what is left of the script."""
        with self._lock:
            self._script.clear()

    def next_mode(self) -> tuple[str, Mode]:
        name = self.next_name()
        return name, MODES[name]

    def next_name(self) -> str:
        with self._lock:
            return self._script.popleft() if self._script else self.mode

    def record(
        self,
        mode: str,
        fields: Fields,
        audio: bytes,
        *,
        charged: bool,
        key: str | None,
        endpoint: str = "transcriptions",
    ) -> Call:
        digest = hashlib.sha256(audio).hexdigest()
        with self._lock:
            # One thread at a time: many would hand the interpreter's lock round at each packet.
            seconds = seconds_of(audio) if audio else 0.0
            number = len(self.calls) + 1
            call = Call(number, mode, fields, digest, len(audio), seconds, charged, key, endpoint)
            self.calls.append(call)
            return call

    @property
    def translations(self) -> list[Call]:
        """The calls that asked for English."""
        return [call for call in self.calls if call.endpoint == "translations"]

    @property
    def busy(self) -> int:
        """How many calls are being heard now."""
        return self._in_flight

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        with self._lock:
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def audio_api_server(
    recogniser: Recogniser = fixed_text, *, mode: str = "ok", key: str | None = None, delay_s: float = 0.0
) -> Iterator[AudioApiServer]:
    """Serve until the block ends.

    Args:
        recogniser: gets the file's bytes and the form's fields, returns a verbose_json object.
        mode: what calls beyond the script get.
        key: the only one taken; None takes any or none.
        delay_s: how long hearing takes.
    """
    server = AudioApiServer(recogniser, mode, key, delay_s)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    owner: AudioApiServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def setup(self) -> None:
        super().setup()
        self.server.owner.connections += 1

    def do_GET(self) -> None:
        exchange = Exchange(self, self.server.owner.stopping)
        if self.path == "/v1/models":
            exchange.answer(200, {"object": "list", "data": self.server.owner.models})
        else:
            refuse(exchange, 404, f"Invalid URL (GET {self.path})")

    def do_POST(self) -> None:
        owner = self.server.owner
        key = self.headers.get("Authorization")
        if self.path == "/v1/chat/completions":
            with owner.in_flight():
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(owner.delay_s)
                owner.chat.serve(Exchange(self, owner.stopping), owner.next_name(), body)
            return
        if self.path == "/v1/audio/speech":
            with owner.in_flight():
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner.speech.serve(Exchange(self, owner.stopping), owner.next_name(), body)
            return
        name, mode = owner.next_mode()
        if not mode.reads_body:
            owner.record(name, (), b"", charged=False, key=key)
            mode.act(Exchange(self, owner.stopping))
            return
        # Over before the answer goes out: a client may call again before this thread gets back here.
        with owner.in_flight():
            fields, audio = self._form()
            exchange = Exchange(self, owner.stopping, fields, owner.request_ids)
            if owner.key is not None and key != f"Bearer {owner.key}":
                name, mode = "401", wrong_key(key)
            hear = owner.recogniser
            endpoint = self.path.rpartition("/")[2]
            if endpoint == "translations":
                if owner.translator is None:
                    name, mode = "404-model", MODES["404-model"]
                else:
                    hear = owner.translator
            if mode.hears:
                time.sleep(owner.delay_s)
                try:
                    exchange.heard = hear(audio, fields)
                except UnheardError:
                    name, mode = "400", MODES["400"]
            charged = mode.charged(exchange)
            owner.record(name, fields, audio, charged=charged, key=key, endpoint=endpoint)
        mode.act(exchange)

    def _form(self) -> tuple[Fields, bytes]:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fields: list[tuple[str, str]] = []
        audio: list[bytes] = []

        def on_file(file: Any) -> None:
            file.file_object.seek(0)
            audio.append(file.file_object.read())
            file.close()

        parse_form(
            {"Content-Type": self.headers["Content-Type"].encode()},
            io.BytesIO(body),
            lambda field: fields.append(((field.field_name or b"").decode(), (field.value or b"").decode())),
            on_file,
        )
        return tuple(fields), b"".join(audio)

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""
