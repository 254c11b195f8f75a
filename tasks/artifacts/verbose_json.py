"""`transcript.json`: a superset of the API's verbose_json, schema ``stenoflow.transcript/1``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stenoflow.tasks.artifacts.document import MEASURED, Document
from stenoflow.tasks.transcript.name_suggestions import NameSuggestion
from stenoflow.tasks.transcript.quality import SuspectAnswer, SuspectUtterance
from stenoflow.tasks.transcript.second_opinion import Difference
from stenoflow.tasks.transcript.timecode import seconds
from stenoflow.tasks.transcript.types import OtherLanguage, Stretch, Utterance, Word

SCHEMA = "stenoflow.transcript/1"


def render(document: Document) -> str:
    """Render the JSON; times in seconds on the recording's own timeline, to the millisecond.

    An entry a line, written one by one: a day has 100,000 words, which as one document of dictionaries would
    take 100 MB.
    """
    written = io.StringIO()
    opening = "{\n"
    for name, value in _fields(document):
        written.write(f"{opening}{_json(name)}: ")
        opening = ",\n"
        if isinstance(value, Iterator):
            _write_list(written, value)
        else:
            written.write(_json(value))
    written.write("\n}\n")
    return written.getvalue()


def _fields(document: Document) -> Iterator[tuple[str, Any]]:
    """Yield the fields of the document; lists are made as they are written."""
    transcript, speaking = document.transcript, document.speaking
    spoken = (_by(word, each.speaker) for each in transcript.utterances for word in each.words)
    yield "schema", SCHEMA
    yield "task", "translate" if transcript.translated else "transcribe"
    yield "language", transcript.language
    yield "duration", seconds(transcript.duration_ms)
    yield "timing", transcript.timing.value
    if transcript.aligner is not None:
        yield "aligner", transcript.aligner
    yield "text", transcript.text
    yield (
        "segments",
        (
            _with_ours(index, *each)
            for index, each in enumerate(zip(transcript.utterances, document.suspect_reasons, strict=True))
        ),
    )
    yield "words", spoken
    yield "speakers", sorted({each.speaker for each in transcript.utterances if each.speaker})
    if speaking.by is not None:
        yield "speakers_by", speaking.by
        yield "speakers_throughout", speaking.throughout
    if speaking.model is not None:
        yield "speakers_model", speaking.model
        yield "speakers_experimental", speaking.experimental
    if speaking.experimental:
        yield "speakers_measured", MEASURED
    if speaking.attendees:
        yield "attendees", list(speaking.attendees)
    if speaking.suggestions:
        yield "name_suggestions", (suggestion_entry(each, speaking.names) for each in speaking.suggestions)
    yield "other_languages", map(_other_language, transcript.other_languages)
    yield "coverage", (_stretch(stretch) for stretch in transcript.coverage)
    yield "doubtful", (_suspect_answer(answer) for answer in document.suspect_answers)
    if document.differences is not None:
        yield "second_opinion", map(difference_entry, document.differences)


def _write_list(written: io.StringIO, entries: Iterator[dict[str, Any]]) -> None:
    opening = "[\n"
    for entry in entries:
        written.write(f"{opening} {_json(entry)}")
        opening = ",\n"
    written.write("[]" if opening.startswith("[") else "\n]")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


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
    timed = {"word": word.text.rstrip(" "), "start": seconds(word.start_ms), "end": seconds(word.end_ms)}
    return timed if word.confidence is None else {**timed, "probability": word.confidence}


def _other_language(other: OtherLanguage) -> dict[str, Any]:
    """Describe a stretch in which another language was spoken than in the whole."""
    return {
        "start": seconds(other.start_ms),
        "end": seconds(other.end_ms),
        "language": other.language,
    }


def _by(word: Word, speaker: str | None) -> dict[str, Any]:
    return word_entry(word) if speaker is None else {**word_entry(word), "speaker": speaker}


def _with_ours(index: int, utterance: Utterance, reasons: Sequence[SuspectUtterance]) -> dict[str, Any]:
    ours = {"speaker": utterance.speaker, "missing": not utterance.words, "suspect": list(reasons)}
    timing = {} if utterance.timing is None else {"timing": utterance.timing.value}
    return segment_entry(index, utterance) | ours | timing


def _suspect_answer(answer: SuspectAnswer) -> dict[str, Any]:
    return {
        "start": seconds(answer.region.start_ms),
        "end": seconds(answer.region.end_ms),
        "why": answer.reason.value,
    }


def difference_entry(difference: Difference) -> dict[str, Any]:
    """Describe where a second opinion differs."""
    region = difference.region
    return {"start": seconds(region.start_ms), "end": seconds(region.end_ms), "kind": difference.kind.value}


def suggestion_entry(suggestion: NameSuggestion, names: Mapping[str, str]) -> dict[str, Any]:
    """Describe a name that a speaker may have; ``speaker`` is what the transcript says now."""
    return {
        "speaker": names.get(suggestion.speaker, suggestion.speaker),
        "name": suggestion.name,
        "source": suggestion.source.value,
        "at": seconds(suggestion.region.start_ms),
        "quote": suggestion.quote,
    }


def _stretch(stretch: Stretch) -> dict[str, Any]:
    return {
        "start": seconds(stretch.start_ms),
        "end": seconds(stretch.end_ms),
        "kind": stretch.kind.value,
    }
