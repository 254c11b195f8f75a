"""A transcript as the page shows it: paragraphs of words, and the times of all words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.plain_text import paragraphs
from stenoflow.tasks.transcript.quality import SuspectUtterance
from stenoflow.tasks.transcript.text import space_between
from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Region, Transcript, Utterance, Word

_CHARACTERS_A_LINE = 75
_Group = tuple[Sequence[Utterance], Sequence[tuple[SuspectUtterance, ...]]]


@dataclass(frozen=True, slots=True)
class ShownWord:
    """A word, with what stands between it and the one before."""

    space: str
    text: str
    unsure: bool


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of the page.

    Attributes:
        anchor: its time as a fragment of the page's address; None: the paragraph before has the same.
        words: what was said; nothing in a missing stretch.
        text: what stands in place of words.
        speaker: the number of the speaker, in order of names.
        warnings: reasons why it may be wrong, in words.
        size: about how many lines it takes, as a power of two.
    """

    number: int
    start_ms: int
    end_ms: int
    anchor: str | None
    words: Sequence[ShownWord]
    text: str
    speaker: int | None
    warnings: Sequence[str]
    size: int

    @property
    def clock(self) -> str:
        """When it begins."""
        return clock(self.start_ms)


def lay_out(document: Document) -> Iterator[Paragraph]:
    """Yield the paragraphs, one by one: a day has thousands."""
    numbers = {name: number for number, name in enumerate(document.speakers)}
    before_ms = -1
    for number, (group, reasons_of) in enumerate(_groups(document)):
        first = group[0]
        length = sum(len(each.text) + 1 for each in group)
        yield Paragraph(
            number=number,
            start_ms=first.start_ms,
            end_ms=max(each.end_ms for each in group),
            anchor=None if first.start_ms == before_ms else _anchor(first.start_ms),
            words=list(_shown(group, reasons_of)),
            text="" if first.words else first.text,
            speaker=numbers.get(first.speaker or ""),
            warnings=describe(each for reasons in reasons_of for each in reasons),
            size=1 << (length // _CHARACTERS_A_LINE).bit_length(),
        )
        before_ms = first.start_ms


def _groups(document: Document) -> Iterator[_Group]:
    """Yield the utterances of each paragraph with why each may be wrong, and notes on wordless speech."""
    reasons = iter(document.suspect_reasons)
    spoken = ((group, [next(reasons) for _ in group]) for group in paragraphs(document.readable.utterances))
    notes = sorted(_notes(document), key=lambda note: note.start_ms)
    return merge(spoken, (([note], [()]) for note in notes), key=lambda each: each[0][0].start_ms)


def _notes(document: Document) -> Iterator[Utterance]:
    for region in document.wordless_speech:
        yield _note("no word heard", region, "though somebody speaks")
    for region in document.omissions:
        yield _note("perhaps words are missing", region, "by a second opinion")


def _note(what: str, region: Region, why: str) -> Utterance:
    text = f"[{what} {clock(region.start_ms)}-{clock(region.end_ms + 999)}, {why}]"
    return Utterance(text, region.start_ms, region.end_ms)


def times(transcript: Transcript) -> str:
    """Write as JSON what the script needs to know of the words, all in numbers.

    ``words``: of each, ms from the start of the one before, and its length; ``passages``: the numbers of the
    words with which an utterance begins.
    """
    before = 0
    words: list[str] = []
    passages: list[str] = []
    for utterance in transcript.utterances:
        if utterance.words:
            passages.append(str(len(words)))
        for word in utterance.words:
            words.append(f"{word.start_ms - before},{word.end_ms - word.start_ms}")
            before = word.start_ms
    return f'{{"words":[{",".join(words)}],"passages":[{",".join(passages)}]}}'


def _anchor(milliseconds: int) -> str:
    """Write a time as the fragment of an address: ``t=754.2``, in seconds."""
    return f"t={milliseconds / 1000:.3f}".rstrip("0").rstrip(".")


def _shown(
    group: Sequence[Utterance], reasons_of: Sequence[tuple[SuspectUtterance, ...]]
) -> Iterator[ShownWord]:
    before = None
    for utterance, reasons in zip(group, reasons_of, strict=True):
        for word in utterance.words:
            space = "" if before is None else space_between(before, word.text)
            yield ShownWord(space, word.text, bool(reasons) or is_unsure(word))
            before = word.text


# More likely wrong than right.
_UNSURE = 0.5
_REASONS_IN_WORDS = {
    SuspectUtterance.COMPRESSION: "repeats itself",
    SuspectUtterance.REPETITION: "repeats itself",
    SuspectUtterance.LOGPROB: "hard to hear",
    SuspectUtterance.NO_SPEECH: "perhaps not speech",
    SuspectUtterance.RATE: "too many words for the time",
    SuspectUtterance.SILENCE: "words where nobody seems to speak",
    SuspectUtterance.SECOND_OPINION: "a second opinion differs",
}


def describe(reasons: Iterable[SuspectUtterance]) -> list[str]:
    """Return reasons why a passage may be wrong in words, each once."""
    return sorted({_REASONS_IN_WORDS[each] for each in reasons})


def is_unsure(word: Word) -> bool:
    """Tell whether a word was recognised with little confidence."""
    return word.confidence is not None and word.confidence < _UNSURE
