"""A transcript as the page shows it: paragraphs of words, and the times of all words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.artifacts.page.doubt import doubt, is_unsure
from tasks.artifacts.paragraphs import paragraphs
from tasks.speech.text import space_between
from tasks.speech.timecode import clock
from tasks.speech.transcript import Transcript
from tasks.speech.words import Utterance, Word

_CHARACTERS_A_LINE = 75


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
        words: what was said; nothing in a missing stretch.
        text: what stands in place of words.
        speaker: the number of the speaker, in order of names.
        doubts: why it may be wrong.
        size: about how many lines it takes, as a power of two.
    """

    number: int
    start_ms: int
    words: Sequence[ShownWord]
    text: str
    speaker: int | None
    doubts: Sequence[str]
    size: int

    @property
    def clock(self) -> str:
        """When it begins."""
        return clock(self.start_ms)


def speakers(transcript: Transcript) -> list[str]:
    """Return the names of those who speak, in order."""
    return sorted({each.speaker for each in transcript.utterances if each.speaker})


def lay_out(transcript: Transcript) -> Iterator[Paragraph]:
    """Yield the paragraphs, one by one: a day has thousands."""
    numbers = {name: number for number, name in enumerate(speakers(transcript))}
    for number, group in enumerate(paragraphs(transcript.utterances)):
        text = "" if group[0].words else group[0].text
        length = len(text) + sum(len(each.text) + 1 for each in group)
        yield Paragraph(
            number=number,
            start_ms=group[0].start_ms,
            words=list(_shown(group)),
            text=text,
            speaker=numbers.get(group[0].speaker or ""),
            doubts=sorted({why for each in group if (why := doubt(each))}),
            size=1 << (length // _CHARACTERS_A_LINE).bit_length(),
        )


def words_of(transcript: Transcript) -> Iterator[Word]:
    """Yield all words, in the order in which they stand on the page."""
    return (word for utterance in transcript.utterances for word in utterance.words)


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


def _shown(group: Sequence[Utterance]) -> Iterator[ShownWord]:
    before = None
    for utterance in group:
        doubted = doubt(utterance) is not None
        for word in utterance.words:
            space = "" if before is None else space_between(before, word.text)
            yield ShownWord(space, word.text, doubted or is_unsure(word))
            before = word.text
