"""The program of an aligner process: words and sound come in on stdin, times go out on stdout.

pocketsphinx holds the interpreter's lock for a whole alignment, so it works in a process of its own. This
file is run by its path and imports nothing of ours.

The request is a line of JSON: ``least_known``, the share of the words that the dictionary must have;
``pass_over``, whether words that do not fit may be passed over; ``pieces``, for each ``[first frame, one past
the last, words, rough]`` with, for each word as written, the words that are said:
``[["three", "dollars"], …]``, and ``rough``, where another aligner has about found them, or null; then 16 kHz
mono 16-bit sound to the end. The answer is JSON: for each piece, for each word as written ``[first frame, one
past the last, mean log score a frame]``, 100 frames a second, or null where it was not found; or null for all
of a piece.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import chain, pairwise
from random import Random
from typing import Any

from pocketsphinx import Decoder

Placed = tuple[int, int, float]

_FRAME_BYTES = 320
# With usual beams, the path is lost where a word is wrong or missing: of a clip with every tenth word wrong
# 86 % were within 200 ms, with these 97 %; where fewer ends of words are kept than middles, some paths die
# there. Noise between words is cheap first, for the same reason, and then dear: a voice with a cold was all
# noise. Beams that cost several times as much find no better path, but one where the others found none.
_SEARCHES: tuple[dict[str, float], ...] = tuple(
    {"beam": beam, "wbeam": beam, "pbeam": beam, "fillprob": noise}
    for beam, noise in ((1e-100, 0.5), (1e-100, 1e-8), (1e-160, 1e-8))
)
# A path that ends early has gone wrong before: from so many words before its end, the rest is found anew.
_BACK_WORDS = 3
# Quiet round a piece: where its last word ends with it, the path is not seen to have come to its end.
_PAD_FRAMES = 20
_PAD = array("h", Random(0).choices(range(-4, 5), k=_PAD_FRAMES * 160)).tobytes()  # noqa: S311 - noise
LONGEST_FRAMES = 400
"""No word lasts longer: the path was lost."""
# Measured: with such a score a frame are up to 11 % of the words of a true text, 16 % where every tenth is
# missing, and 20 to 23 % where every tenth is wrong; then those that do not fit are better passed over.
_UNLIKE, _MOST_UNLIKE = -4.0, 0.18
_PASSED_OVER = 1e-4
# Measured: where the path holds, 7 to 22 % are passed over; where it is lost, 35 %.
_MOST_PASSED_OVER = 0.25
# What is found by itself in a piece holds where so many words are as near to where they roughly are.
_NEAR_FRAMES, _MOSTLY_NEAR, _NEARLY_ALL = 30, 0.7, 0.9
# A text need not be cut where so many are.
_WHOLE_NEAR = 0.8
# A word that is unlike its sound is drawn to where something is less so: it must be nearer.
_UNLIKE_FRAMES = 15
# A text is cut between words that the other aligner is sure of, in a pause, every few seconds; or in a long
# pause.
_SURE, _PAUSE_FRAMES, _PIECE_FRAMES, _LONG_PAUSE_FRAMES = -1.5, 12, 300, 100
_LEAST_WORDS = 2
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


@dataclass(frozen=True, slots=True)
class Piece:
    """Words, from one to before another, and the frames that they are in."""

    begin: int
    stop: int
    first: int
    end: int


def pieces_of(rough: Sequence[Placed | None], first: int, end: int) -> list[Piece]:
    """Cut a text in pauses, between words whose places are sure.

    Args:
        rough: where each word is, about.
        first: the first frame of the sound.
        end: one past the last.
    """
    cuts = [0]
    for at, (before, after) in enumerate(pairwise(rough), 1):
        if before is None or after is None:
            continue
        pause = after[0] - before[1]
        began = rough[cuts[-1]]
        is_long = before[1] - (began[0] if began else first) >= _PIECE_FRAMES
        sure = min(before[2], after[2]) > _SURE and pause >= _PAUSE_FRAMES
        if pause >= _LONG_PAUSE_FRAMES or (sure and is_long):
            cuts.append(at)
    return [_piece(begin, stop, rough, (first, end)) for begin, stop in pairwise([*cuts, len(rough)])]


def halves_of(piece: Piece, rough: Sequence[Placed | None]) -> list[Piece] | None:
    """Cut a piece in its longest pause; None where it is too short."""

    def pause(at: int) -> float:
        before, after = rough[at - 1], rough[at]
        if before is None or after is None:
            return -math.inf
        is_sure = min(before[2], after[2]) > _SURE
        return after[0] - before[1] - (0 if is_sure else _PAUSE_FRAMES)

    places = range(piece.begin + _LEAST_WORDS, piece.stop - _LEAST_WORDS + 1)
    at = max(places, key=pause, default=None)
    if at is None or pause(at) == -math.inf:
        return None
    bounds = piece.first, piece.end
    return [_piece(piece.begin, at, rough, bounds), _piece(at, piece.stop, rough, bounds)]


def _piece(begin: int, stop: int, rough: Sequence[Placed | None], bounds: tuple[int, int]) -> Piece:
    """Give words the frames to the middles of the pauses round them; of long ones, less."""
    first, end = bounds
    own, last = rough[begin], rough[stop - 1]
    before = rough[begin - 1] if begin else None
    after = rough[stop] if stop < len(rough) else None
    if own is not None:
        first = max(first, own[0] - _LONG_PAUSE_FRAMES, (before[1] + own[0]) // 2 if before else 0)
    if last is not None:
        end = min(end, last[1] + _LONG_PAUSE_FRAMES, (last[1] + after[0]) // 2 if after else end)
    return Piece(begin, stop, first, max(first, end))


class PocketsphinxAligner:
    """Aligns texts to parts of one sound."""

    def __init__(self, words: Iterable[str], sound: bytes) -> None:
        self._sound = sound
        self._words = list(dict.fromkeys(words))
        self._decoder, unknown = self._load(_SEARCHES[0])
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

    def align(
        self, words: Sequence[str], first: int, end: int, *, pass_over: bool
    ) -> list[Placed | None] | None:
        """Align words to frames: all of them, or, where some may be passed over, those that are found."""
        placed = next(self._forced(words, first, end), None)
        if not pass_over or (placed and _unlike(placed) <= _MOST_UNLIKE * len(words)):
            return None if placed is None else [*placed]
        found = self._found(words, first, end)
        return found if found or placed is None else [*placed]

    def align_near(
        self, words: Sequence[Sequence[str]], rough: Sequence[Placed | None], first: int, end: int
    ) -> list[Placed | None]:
        """Align words as written, piece by piece; where that fails, they stay where they roughly are.

        Args:
            words: for each as written, those that are said.
            rough: where each is, by another aligner.
            first: the first frame.
            end: one past the last.
        """
        found: list[Placed | None] = []
        whole = Piece(0, len(words), first, end)
        pieces = [whole]
        while pieces:
            piece = pieces.pop(0)
            guess = rough[piece.begin : piece.stop]
            share, placed = self._nearest(words[piece.begin : piece.stop], guess, piece)
            if piece is whole and share < _WHOLE_NEAR:
                pieces = pieces_of(rough, first, end)
                continue
            halves = None if share >= _MOSTLY_NEAR else halves_of(piece, rough)
            if halves is not None:
                pieces[:0] = halves
            else:
                holds = share >= _MOSTLY_NEAR
                found += [_better(*both, holds=holds) for both in zip(placed, guess, strict=True)]
        return found

    def _nearest(
        self, words: Sequence[Sequence[str]], rough: Sequence[Placed | None], piece: Piece
    ) -> tuple[float, list[Placed | None]]:
        """Return the path that agrees most with where words roughly are, and in how many of them."""
        best: tuple[float, list[Placed | None]] = (0.0, [None] * len(words))
        said = list(chain.from_iterable(words))
        for placed in self._forced(said, piece.first, piece.end, _SEARCHES[:-1]):
            written = list(joined(placed, [len(each) for each in words]))
            share = _share_near(written, rough)
            if share > best[0]:
                best = share, written
            if share >= _NEARLY_ALL:
                break
        return best

    def _forced(
        self,
        words: Sequence[str],
        first: int,
        end: int,
        searches: Sequence[Mapping[str, float]] = _SEARCHES,
    ) -> Iterator[list[Placed]]:
        """Yield the paths through all words that the searches find, one after the other."""
        for options in searches if words else ():
            for name, value in options.items():
                self._decoder.config[name] = value
            placed = self._path(words, first, end)
            if _BACK_WORDS < len(placed) < len(words):
                del placed[-_BACK_WORDS:]
                placed += self._path(words[len(placed) :], placed[-1][2], end)
            if len(placed) == len(words) and not any(map(_is_lost, placed)):
                yield [each[1:] for each in placed]

    def _path(self, words: Sequence[str], first: int, end: int) -> list[tuple[str, int, int, float]]:
        """Return the words, one after the other, as far as the path comes."""
        self._decoder.set_align_text(" ".join(words))
        return self._decode(self._decoder, first, end)

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
        sound = self._sound[first * _FRAME_BYTES : end * _FRAME_BYTES]
        decoder.process_raw(_PAD + sound + _PAD, full_utt=True)
        decoder.end_utt()
        before = first - _PAD_FRAMES
        return [
            (
                _VARIANT.sub("", each.word),
                min(end, max(first, before + each.start_frame)),
                min(end, max(first, before + each.end_frame + 1)),
                _score(each),
            )
            for each in decoder.seg() or ()
            if not each.word.startswith(_NO_WORD)
        ]


def _unlike(placed: Iterable[Placed]) -> int:
    return sum(each[2] < _UNLIKE for each in placed)


def _share_near(found: Iterable[Placed | None], rough: Iterable[Placed | None]) -> float:
    """Return how many words are near to where they roughly are; those count whose rough place is sure."""
    pairs = [(mine, theirs) for mine, theirs in zip(found, rough, strict=True) if mine and theirs]
    sure = [pair for pair in pairs if pair[1][2] > _SURE] or pairs
    return sum(_is_near(*pair) for pair in sure) / max(1, len(sure))


def _is_near(mine: Placed | None, theirs: Placed | None) -> bool:
    return mine is not None and theirs is not None and abs(mine[0] - theirs[0]) <= _NEAR_FRAMES


def _better(mine: Placed | None, theirs: Placed | None, *, holds: bool) -> Placed | None:
    """Return where a word is: on the path, unless it does not hold, or the word is unlike what is there."""
    if mine is None or theirs is None:
        return mine or theirs
    apart = abs(mine[0] - theirs[0])
    if mine[2] >= _UNLIKE and (holds or theirs[2] <= _SURE):
        return mine
    return mine if apart <= (_UNLIKE_FRAMES if holds else _NEAR_FRAMES) else theirs


def _is_lost(placed: tuple[str, int, int, float]) -> bool:
    return placed[2] - placed[1] > LONGEST_FRAMES


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
    pieces: list[tuple[int, int, list[list[str]], list[Placed | None] | None]] = request["pieces"]
    said = [[word for each in words for word in each] for _, _, words, _ in pieces]
    aligner = PocketsphinxAligner(chain.from_iterable(said), sys.stdin.buffer.read())
    answers: list[list[Placed | None] | None] = []
    for (first, end, words, rough), spoken in zip(pieces, said, strict=True):
        if not spoken or aligner.known < request["least_known"]:
            answers.append(None)
        elif rough is not None:
            answers.append(aligner.align_near(words, rough, first, end))
        else:
            placed = aligner.align(spoken, first, end, pass_over=request["pass_over"])
            answers.append(placed and list(joined(placed, [len(each) for each in words])))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
