"""Documents to make pages of: a talk of any length between two speakers, a word every 400 ms."""

from __future__ import annotations

from collections.abc import Sequence

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.transcript.coverage import cover, missing_mark
from stenoflow.tasks.transcript.types import Kind, Region, Stretch, Timing, Transcript, Utterance, Word

WORD_MS = 400
_TEXT = """
Good morning and thank you for coming. There are three things to talk about today: the new website, the money
for next year, and the people from London. The first version is ready, and it was tested for a week. We found
two problems with the search page; both of them are small. How long will that take? Two days at the most.
""".split()  # noqa: SIM905 - to be read
_WORDS_AN_UTTERANCE = 12


def utterance(words: Sequence[str], start_ms: int, speaker: str | None = None) -> Utterance:
    """Return an utterance with a word every 400 ms, each of 300 ms."""
    begins = range(start_ms, start_ms + WORD_MS * len(words), WORD_MS)
    timed = tuple(Word(word, at, at + 300) for word, at in zip(words, begins, strict=True))
    return Utterance(" ".join(words), start_ms, timed[-1].end_ms, timed, speaker)


def document(
    *utterances: Utterance, name: str = "talk.mp3", source: str = "s3://talks/talk.mp3", duration_ms: int = 0
) -> Document:
    """Return a document of these utterances; one without words is a missing stretch."""
    end_ms = max([duration_ms, *(each.end_ms for each in utterances)])
    missing = [Region(each.start_ms, each.end_ms) for each in utterances if not each.words]
    coverage = cover(end_ms, [Region(0, end_ms)], missing)
    return Document(Transcript(end_ms, "en", utterances, coverage, Timing.WORD), name, source=source)


def missing(start_ms: int, end_ms: int) -> Utterance:
    """Return a stretch that could not be transcribed."""
    return Utterance(missing_mark(Stretch(start_ms, end_ms, Kind.MISSING)), start_ms, end_ms)


def talk(words: int, speakers: Sequence[str] = ("Anna", "Ben")) -> Document:
    """Return a talk of so many words, in which each speaker says five utterances in turn."""
    utterances = []
    for first in range(0, words, _WORDS_AN_UTTERANCE):
        said = [_TEXT[at % len(_TEXT)] for at in range(first, min(first + _WORDS_AN_UTTERANCE, words))]
        turn = first // _WORDS_AN_UTTERANCE // 5
        utterances.append(utterance(said, first * WORD_MS, speakers[turn % len(speakers)]))
    return document(*utterances)
