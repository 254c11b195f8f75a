"""The API as a process of its own, so that what it costs is not counted as ours.

Run as ``python -m tests.bench.server simulated|swift|tones``; prints its base URL, and ends when its standard
input does. Simulated, it answers after 1 s and 1 % of the audio, with a word a second; swift, after 2 s; for
tones, it hears.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stenoflow.tasks.media.encode import samples_declared
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE
from tests.bench.measuring import cores
from tests.instrument.recogniser import recognise

_LEAST_S = 1.0
_SHARE = 0.01
_SWIFT_S = 2.0
_BYTES_PER_S = 64_000 / 8
_UTTERANCE_S = 10

# Hearing ten minutes takes 0.4 GB and a core.
_hearing = threading.Semaphore(cores())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hears = kind == "tones"
        self.swift = kind == "swift"
        self.log: list[dict[str, float]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Give the log of requests since it was last asked for."""
        if self.path != "/v1/log":
            self._answer({"object": "list", "data": [{"id": "whisper-1", "object": "model"}]})
            return
        log, self.server.log = self.server.log, []
        self._answer(log)

    def do_POST(self) -> None:
        """Transcribe."""
        at = time.monotonic()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sound = _file_in(body, self.headers["Content-Type"].partition("boundary=")[2])
        if self.server.hears:
            with _hearing:
                answer = recognise(sound)
        else:
            answer = _made_up(_seconds(sound))
            time.sleep(_SWIFT_S if self.server.swift else _LEAST_S + _SHARE * answer["duration"])
        self.server.log.append(
            {"at": at, "took_s": time.monotonic() - at, "audio_s": float(answer["duration"])}
        )
        self._answer(answer)

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


def _file_in(body: bytes, boundary: str) -> bytes:
    """Return the file of a form."""
    mark = b"--" + boundary.strip('"').encode()
    for part in body.split(mark):
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            return content.removesuffix(b"\r\n")
    raise ValueError("no file was sent")


def _seconds(sound: bytes) -> float:
    """Return how long an upload is: as its header says, or as long as its bytes last at 64 kbps."""
    samples = samples_declared(sound)
    return len(sound) / _BYTES_PER_S if samples is None else samples / SAMPLE_RATE


def _made_up(seconds: float) -> dict[str, Any]:
    words = [
        {"word": f"word{second}", "start": second + 0.1, "end": second + 0.6}
        for second in range(int(seconds))
    ]
    groups = [words[first : first + _UTTERANCE_S] for first in range(0, len(words), _UTTERANCE_S)]
    segments = [
        {
            "id": number,
            "start": group[0]["start"],
            "end": group[-1]["end"],
            "text": " " + " ".join(str(word["word"]) for word in group),
        }
        for number, group in enumerate(groups)
    ]
    text = "".join(str(segment["text"]) for segment in segments).strip()
    return {
        "task": "transcribe",
        "language": "english",
        "duration": seconds,
        "text": text,
        "words": words,
        "segments": segments,
    }


def main() -> None:
    """Serve until standard input ends."""
    server = _Server(sys.argv[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}/v1", flush=True)  # noqa: T201 - what the caller waits for
    sys.stdin.read()
    # Requests that nobody waits for any more must not hold it.
    os._exit(0)


if __name__ == "__main__":
    main()
