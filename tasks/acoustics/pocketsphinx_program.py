"""The program of an aligner process: words and sound come in on stdin, times go out on stdout.

pocketsphinx holds the interpreter's lock for a whole alignment, so it works in a process of its own. This
file is run by its path and imports nothing of ours.

The request is a line of JSON: ``least_known``, the share of the words that the dictionary must have;
``pieces``, for each ``[first frame, one past the last, words]`` with, for each word as written, the words
that are said: ``[["three", "dollars"], …]``; then 16 kHz mono 16-bit sound to the end. The answer is JSON:
for each piece, for each word as written ``[first frame, one past the last, mean log score a frame]``, 100
frames a second, or null where it was not found; or null for all of a piece.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import cached_property
from itertools import chain
from typing import Any

from pocketsphinx import Decoder

Placed = tuple[int, int, float]

_FRAME_BYTES = 320
# With usual beams, the path is lost where a word is wrong or missing: of a clip with every tenth word wrong
# 86 % were within 200 ms, with these 95 %. Noise between words must be cheap for the same reason.
_SEARCH = {"beam": 1e-100, "wbeam": 1e-80, "pbeam": 1e-100, "fillprob": 0.5}
# No word lasts longer: the path was lost.
_LONGEST_FRAMES = 400
# Measured: with such a score a frame are 11 % of the words of a true text, 16 % where every tenth is missing,
# and 20 to 23 % where every tenth is wrong; then those that do not fit are better passed over.
_UNLIKE, _MOST_UNLIKE = -4.0, 0.18
_PASSED_OVER = 1e-4
# Measured: where the path holds, 7 to 22 % are passed over; where it is lost, 35 %.
_MOST_PASSED_OVER = 0.25
_VARIANT = re.compile(r"\(\d+\)$")
_NO_WORD = ("<", "[", "+")

_CONSONANTS = ("B", "D", "F", "G", "HH", "JH", "K", "L", "M", "N", "P", "R", "S", "T", "V", "W", "Y", "Z")
# Letters as they mostly sound, the longest first: good enough to place a name between its neighbours.
_SOUNDS = {
    "tion": "SH AH N",
    "sch": "SH",
    "tch": "CH",
    "igh": "AY",
    "ch": "CH",
    "sh": "SH",
    "th": "TH",
    "ph": "F",
    "wh": "W",
    "ck": "K",
    "ng": "NG",
    "qu": "K W",
    "ee": "IY",
    "ea": "IY",
    "oo": "UW",
    "ou": "AW",
    "ow": "OW",
    "ai": "EY",
    "ay": "EY",
    "oa": "OW",
    "oi": "OY",
    "au": "AO",
    "ie": "IY",
    "ei": "AY",
    "er": "ER",
    "ar": "AA R",
    "or": "AO R",
    **dict(zip("bdfghjklmnprstvwyz", _CONSONANTS, strict=True)),
    "a": "AE",
    "c": "K",
    "e": "EH",
    "i": "IH",
    "o": "AA",
    "q": "K",
    "u": "AH",
    "x": "K S",
}


class Aligner:
    """Aligns texts to parts of one sound."""

    def __init__(self, words: Iterable[str], sound: bytes) -> None:
        self._sound = sound
        self._words = list(dict.fromkeys(words))
        self._decoder, unknown = self._load(_SEARCH)
        self.known = 1 - unknown / max(1, len(self._words))

    def _load(self, options: dict[str, float]) -> tuple[Any, int]:
        """Return a decoder that knows all words, and of how many it had to guess the sounds."""
        decoder: Any = Decoder(loglevel="FATAL", lm=None, maxhmmpf=-1, **options)
        unknown = [word for word in self._words if decoder.lookup_word(word) is None]
        for word in unknown:
            decoder.add_word(word, sounds_of(word), word == unknown[-1])
        return decoder, len(unknown)

    @cached_property
    def _finder(self) -> Any:
        """The decoder for words that may be passed over: with wide beams it would take too long."""
        return self._load({})[0]

    def align(self, words: Sequence[str], first: int, end: int) -> list[Placed | None] | None:
        """Align words to frames: all of them, or else those that are found."""
        self._decoder.set_align_text(" ".join(words))
        placed = self._decode(self._decoder, first, end)
        if len(placed) != len(words) or any(map(_is_lost, placed)):
            return self._found(words, first, end)
        unlike = sum(each[3] < _UNLIKE for each in placed)
        found = self._found(words, first, end) if unlike > _MOST_UNLIKE * len(words) else None
        return found or [each[1:] for each in placed]

    def _found(self, words: Sequence[str], first: int, end: int) -> list[Placed | None] | None:
        """Align words of which any may be passed over; None where too many are: the path is lost."""
        arcs: list[tuple[Any, ...]] = []
        for place, word in enumerate(words):
            arcs += [(place, place + 1, 1.0, word), (place, place + 1, _PASSED_OVER)]
        finder = self._finder
        finder.add_fsg("found", finder.create_fsg("found", 0, len(words), arcs))
        finder.activate_search("found")
        placed = self._decode(finder, first, end)
        matcher = SequenceMatcher(None, words, [each[0] for each in placed], autojunk=False)
        found: list[Placed | None] = [None] * len(words)
        for place, at, count in matcher.get_matching_blocks():
            found[place : place + count] = [each[1:] for each in placed[at : at + count]]
        passed_over = sum(each is None for each in found)
        return None if passed_over > _MOST_PASSED_OVER * len(words) else found

    def _decode(self, decoder: Any, first: int, end: int) -> list[tuple[str, int, int, float]]:
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(self._sound[first * _FRAME_BYTES : end * _FRAME_BYTES], full_utt=True)
        decoder.end_utt()
        return [
            (_VARIANT.sub("", each.word), first + each.start_frame, first + each.end_frame + 1, _score(each))
            for each in decoder.seg() or ()
            if not each.word.startswith(_NO_WORD)
        ]


def _is_lost(placed: tuple[str, int, int, float]) -> bool:
    return placed[2] - placed[1] > _LONGEST_FRAMES


def _score(segment: Any) -> float:
    frames: int = segment.end_frame - segment.start_frame + 1
    likelihood: float = segment.ascore
    return round(math.log(max(likelihood, 1e-300)) / frames, 2)


def sounds_of(word: str) -> str:
    """Guess how a word sounds that is in no dictionary."""
    found: list[str] = []
    at = 0
    while at < len(word):
        length = next((n for n in (4, 3, 2, 1) if word[at : at + n] in _SOUNDS), 0)
        if length:
            found.append(_SOUNDS[word[at : at + length]])
        at += length or 1
    return " ".join(found) or "AH"


def joined(placed: Sequence[Placed | None], counts: Sequence[int]) -> Iterator[Placed | None]:
    """Yield the times of words as written, of those of the words that are said."""
    at = 0
    for count in counts:
        parts = [part for part in placed[at : at + count] if part is not None]
        at += count
        scores = [score for *_, score in parts]
        yield (parts[0][0], parts[-1][1], round(sum(scores) / len(scores), 2)) if parts else None


def main() -> None:
    """Answer one request."""
    os.nice(5)
    request = json.loads(sys.stdin.buffer.readline())
    pieces: list[tuple[int, int, list[list[str]]]] = request["pieces"]
    said = [[word for each in words for word in each] for _, _, words in pieces]
    aligner = Aligner(chain.from_iterable(said), sys.stdin.buffer.read())
    answers: list[list[Placed | None] | None] = []
    for (first, end, words), spoken in zip(pieces, said, strict=True):
        known = aligner.known >= request["least_known"]
        placed = aligner.align(spoken, first, end) if spoken and known else None
        answers.append(placed and list(joined(placed, [len(each) for each in words])))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
