"""The program of a diarizer process: a recording comes in on stdin, who speaks when goes out on stdout.

The request is a line of JSON: ``model`` and its ``files`` by their names, ``at_least`` and ``at_most`` so
many speakers, and ``niceness``; then 16 kHz mono 16-bit sound to the end. The answer is JSON: ``turns``, each
``[start ms, end ms, speaker, score]``, and ``voices``, an embedding of each turn as 32-bit floats in base64.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.acoustics.sherpa_voices import SherpaVoices
from stenoflow.tasks.acoustics.voice_clustering import HeardVoices, SpeakerLimits, VoiceTurn
from stenoflow.tasks.acoustics.voice_encoder import VoiceEncoder
from stenoflow.tasks.acoustics.voice_listener import VoiceListener
from stenoflow.tasks.acoustics.voice_models import SHERPA

_BLOCK_BYTES = 10 * 32_000


def main() -> None:
    """Answer one request."""
    request: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    os.nice(request["niceness"])
    limits = SpeakerLimits(request["at_least"], request["at_most"])
    files = {name: Path(path) for name, path in request["files"].items()}
    try:
        turns = _tell_apart(request["model"], files, limits)
    except StenoflowError as error:
        sys.exit(error.message)
    voices = np.stack([each.embedding for each in turns]) if turns else np.empty((0, 0), np.float32)
    entries = [
        [each.scored.turn.start_ms, each.scored.turn.end_ms, each.scored.turn.speaker, each.scored.score]
        for each in turns
    ]
    json.dump(
        {"turns": entries, "voices": base64.b64encode(voices.astype("<f4").tobytes()).decode()}, sys.stdout
    )


def _tell_apart(model: str, files: dict[str, Path], limits: SpeakerLimits) -> list[VoiceTurn]:
    if model == SHERPA:
        pieces = SherpaVoices(files["segmentation.onnx"], files["embedding.onnx"], limits)
        for block in _blocks():
            pieces.add(block)
        return pieces.tell_apart()
    listener = VoiceListener(VoiceEncoder.read(files["pretrained.pt"]), HeardVoices(limits=limits))
    for block in _blocks():
        listener.add(block)
    return listener.finish().tell_apart()


def _blocks() -> Iterator[NDArray[np.int16]]:
    while data := sys.stdin.buffer.read(_BLOCK_BYTES):
        yield np.frombuffer(data, "<i2", len(data) // 2)


if __name__ == "__main__":
    main()
