"""In short, what there is to read: stands under the title of what people read."""

from __future__ import annotations

from tasks.artifacts.document import Document
from tasks.speech.timecode import clock
from tasks.speech.transcript import Timing
from tasks.speech.words import Region

_MOST_NAMED = 3


def facts(document: Document) -> list[str]:
    """Return how long the recording is, how many words, in which language, and what is lacking."""
    transcript = document.readable
    words = sum(len(utterance.words) for utterance in transcript.utterances)
    said = [clock(transcript.duration_ms), f"{words:,} words"]
    if transcript.language:
        others = sorted({each.language for each in transcript.other_languages})
        parts = f" (parts: {', '.join(others)})" if others else ""
        said.append(f"language: {transcript.language}{parts}")
    if transcript.timing is Timing.ESTIMATED:
        said.append("times of words are estimated")
    if transcript.missing:
        lost = sum(each.end_ms - each.start_ms for each in transcript.missing)
        said.append(f"{clock(lost + 999)} missing")
    if document.unheard:
        where = ", ".join(map(span, document.unheard[:_MOST_NAMED]))
        more = "" if len(document.unheard) <= _MOST_NAMED else " and elsewhere"
        said.append(f"no word from {where}{more}, though somebody speaks")
    return said


def span(region: Region) -> str:
    """Write from when to when a stretch lasts, in whole seconds outward."""
    return f"{clock(region.start_ms)} to {clock(region.end_ms + 999)}"
