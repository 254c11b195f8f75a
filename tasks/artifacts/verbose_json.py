"""`transcript.json`: a superset of the API's verbose_json, schema ``stenoflow.transcript/1``."""

from __future__ import annotations

import json
from typing import Any

from tasks.speech.timecode import seconds
from tasks.speech.transcript import Stretch, Transcript
from tasks.speech.words import Utterance, Word

SCHEMA = "stenoflow.transcript/1"


def render(transcript: Transcript) -> str:
    """Render the JSON; times in seconds on the recording's own timeline, to the millisecond."""
    return json.dumps(_document(transcript), ensure_ascii=False, indent=1) + "\n"


def _document(transcript: Transcript) -> dict[str, Any]:
    spoken = [word for utterance in transcript.utterances for word in utterance.words]
    return {
        "schema": SCHEMA,
        "task": "transcribe",
        "language": transcript.language,
        "duration": seconds(transcript.duration_ms),
        "timing": transcript.timing.value,
        "text": transcript.text,
        "segments": [_with_ours(index, each) for index, each in enumerate(transcript.utterances)],
        "words": [word_entry(word) for word in spoken],
        "speakers": sorted({each.speaker for each in transcript.utterances if each.speaker}),
        "coverage": [_stretch(stretch) for stretch in transcript.coverage],
    }


def segment_entry(index: int, utterance: Utterance) -> dict[str, Any]:
    """Describe an utterance as the API's verbose_json does."""
    return {
        "id": index,
        "seek": 0,
        "start": seconds(utterance.start_ms),
        "end": seconds(utterance.end_ms),
        "text": utterance.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": utterance.avg_logprob,
        "compression_ratio": utterance.compression_ratio,
        "no_speech_prob": utterance.no_speech_prob,
    }


def word_entry(word: Word) -> dict[str, Any]:
    """Describe a word as the API's verbose_json does, with its probability where that is known."""
    timed = {"word": word.text, "start": seconds(word.start_ms), "end": seconds(word.end_ms)}
    return timed if word.confidence is None else {**timed, "probability": word.confidence}


def _with_ours(index: int, utterance: Utterance) -> dict[str, Any]:
    ours = {"speaker": utterance.speaker, "missing": not utterance.words}
    return segment_entry(index, utterance) | ours


def _stretch(stretch: Stretch) -> dict[str, Any]:
    return {
        "start": seconds(stretch.start_ms),
        "end": seconds(stretch.end_ms),
        "kind": stretch.kind.value,
    }
