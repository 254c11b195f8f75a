"""The program of an aligner process with hama's phonemes: words and sound come in on stdin, times go out.

hama hears phonemes, those of English for the most part, in windows of 12 s. Each word is given the sounds
that its letters mostly have, and its place is on the best path of the whole text through what was heard.
Sounds that are like each other count for each other there, so that spelling is enough in any alphabet that is
known here. This file is run by its path and imports nothing of ours.

The request is a line of JSON: ``sure``, whether texts that lack much of what is said are left alone;
``pieces``, for each ``[first frame, one past the last, words]``; then 16 kHz mono 16-bit sound to the end.
The answer is JSON: for each piece, for each word ``[first frame, one past the last, mean log score]``, 100
frames a second, or null where it was not found; or null for all of a piece, whose text is not said there.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

Placed = tuple[int, int, float]
Scores = NDArray[np.float32]

_RATE = 16_000
# hama gives one frame for two of ours.
_STEP_SAMPLES, _FRAMES_A_STEP = 320, 2
# Over more than a minute, hama hears nothing any more. The edges of a window are heard in the one beside it.
_WINDOW_STEPS, _EDGE_STEPS = 600, 25
_LEAST_SAMPLES = 1_600
# A sound is noted so long after it begins: measured on 166 English words, 60 to 105 ms in five clips, and
# on a synthetic voice in ten languages, 65 to 90 ms.
_LATE_FRAMES = 8
# What a path through the text may hold: more, which is a piece of five minutes, goes to the next aligner.
_MOST_CELLS = 120_000_000
# A sound that is like it counts for so much, any other vowel or consonant for so much, and all others for so.
_LIKE, _OF_A_KIND, _ANY = 0.3, 0.03, 1e-4
# Any sound is as good as this where it is not known which are said.
_ANY_SOUND = 0.9
# A sound that no word of the text has costs so much (log): less, and words are passed over; more, and where
# some were not written down, their neighbours are drawn over them.
_UNWRITTEN = 0.5
# By so much a sound (log) the text must be more like what is heard than its words are in the reverse order.
# Measured in ten languages: 0.4 and more where every tenth word is wrong or missing, 0.26 and more by
# telephone; 0.2 at most of other texts.
_LEAST_GAIN = 0.25
# So much of what is heard may have no word. Measured: 5 to 17 % where texts are true or every tenth word is
# wrong, 10 to 20 % where every tenth is missing, 15 to 34 % where twelve in a row are, which mostly does no
# harm; where half of the text is, which does, 45 % and more.
_MOST_UNWRITTEN = 0.35
# Of the words that have letters, so many must be such as can be pronounced.
_LEAST_KNOWN = 0.7
# hama writes out no more of a word's letters.
_LONGEST_WORD = 48

_VOWELS, _CONSONANTS = (
    each.split()
    for each in (
        "i ɪ eɪ e ɛ æ ɑ a ʌ ə aɪ aʊ ɔ o oʊ ɔɪ u ʊ ɝ",
        "p b t d ð θ ɾ k g h f v s z ʃ ʒ t͡ʃ d͡ʒ m n ŋ l ɹ w j",
    )
)
_PHONES = (*_VOWELS, *_CONSONANTS)
_ANY_PHONE = "*"
# What cannot be pronounced, such as a digit, is two sounds or so, which any may be.
_UNKNOWN = [_ANY_PHONE] * 2
_COLUMNS = {phone: column for column, phone in enumerate((*_PHONES, _ANY_PHONE))}
_ALIKE = [
    each.split()
    for each in (
        "p b", "f v p b", "t d ð θ ɾ", "k g h", "s z ʃ ʒ t͡ʃ d͡ʒ", "m n ŋ", "l ɹ w ɝ ɾ", "j i", "w u ʊ oʊ",
        "i ɪ eɪ e ɛ j", "ɛ æ e eɪ ə", "ɑ a æ ʌ ə aɪ aʊ", "ɔ o oʊ ɔɪ ɑ", "u ʊ oʊ o ʌ w", "aɪ eɪ ɔɪ", "ɝ ə ʌ",
    )
]  # fmt: skip


def _table(text: str) -> dict[str, str]:
    return dict(entry.split("=") for entry in text.split())


# Letters as they mostly sound; marks above and below them are passed over. Of ten alphabetic languages, these
# gave better times than the pronunciations of hama, which takes what has no accents for English.
_LETTERS = {letter: letter for letter in "bdfghjklmnopstuvwzi"} | _table(
    "a=ɑ e=ɛ c=k q=k x=s y=i r=ɹ ß=s ø=e œ=e æ=æ ł=w ı=ɪ đ=d ð=ð þ=θ ə=ə ŋ=ŋ "
    "а=ɑ б=b в=v г=g д=d е=ɛ ё=o ж=ʒ з=z и=i й=j к=k л=l м=m н=n о=o п=p р=ɹ с=s т=t у=u ф=f х=h ц=s ч=t͡ʃ "
    "ш=ʃ щ=ʃ ы=ɪ э=ɛ ю=u я=ɑ є=ɛ і=i ї=i ґ=g ј=j љ=l њ=n џ=d͡ʒ ђ=d͡ʒ ћ=t͡ʃ "
    "α=ɑ β=v γ=g δ=ð ε=ɛ ζ=z η=i θ=θ ι=i κ=k λ=l μ=m ν=n ξ=s ο=o π=p ρ=ɹ σ=s ς=s τ=t υ=i φ=f χ=h ψ=s ω=o"
)
_SILENT = frozenset("ьъʼ")
# What hama writes of other scripts, as the nearest that it hears.
_NEAREST = {phone: phone for phone in _PHONES} | _table(
    "ɡ=g ɟ=g ɣ=g c=k kʰ=k k͈=k x=h χ=h ç=h ħ=h ɦ=h ʁ=ɹ r=ɹ ɻ=ɹ ɽ=ɹ ʀ=ɹ β=v ʋ=v ɸ=f ɱ=m ɲ=n ɴ=ŋ ʎ=l ɫ=l ɮ=l "
    "ɕ=ʃ ʂ=ʃ ʑ=ʒ ʐ=ʒ s͈=s t͡ɕ=t͡ʃ t͡ɕʰ=t͡ʃ t͡ɕ͈=t͡ʃ ʈ=t tʰ=t t͈=t ɖ=d ɗ=d pʰ=p p͈=p ɓ=b ʝ=j ɥ=w ɰ=w "
    "ä=ɑ ɐ=ɑ ɒ=ɑ ã=ɑ à=ɑ ja=ɑ wa=ɑ å=ɔ ɤ=ʌ jʌ=ʌ wʌ=ʌ ɯ=u ʉ=u y=u ũ=u ju=u ʏ=ʊ ɯi=i ĩ=i ì=i ǐ=i wi=i ɨ=ɪ ɪə=ɪ "
    "ø=e ẽ=e œ=ɛ eə=ɛ je=ɛ we=ɛ ɵ=o õ=o jo=o ɘ=ə ɜ=ɝ ɚ=ɝ"
)


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard, step by step.

    Attributes:
        scores: log; a column for each phone, then for any sound, anything, what has no word, rests in words.
        loud: how much of each step is a sound at all.
    """

    scores: Scores
    loud: Scores


_ANY_COLUMN, _ANYTHING_COLUMN, _UNWRITTEN_COLUMN, _REST_COLUMN = range(len(_PHONES), len(_PHONES) + 4)


def heard_of(log_probabilities: Scores, tokens: Sequence[str]) -> Heard:
    """Return what a network heard; its tokens are phones, ``<wb>`` between words, ``<blank>`` and others."""
    probabilities = np.exp(log_probabilities)
    blank, between = (probabilities[:, tokens.index(name)] for name in ("<blank>", "<wb>"))
    loud = np.clip(1 - blank - between, 0, 1)
    phones = probabilities @ _alike(tokens).T + _ANY
    any_sound = _ANY_SOUND * loud + _ANY
    anything = blank + between + any_sound
    unwritten = blank + between + np.exp(-_UNWRITTEN) * loud + 1e-9
    rest = blank + _LIKE * between + 1e-9
    columns = np.column_stack([phones, any_sound, anything, unwritten, rest])
    return Heard(np.log(columns).astype(np.float32), loud)


def _alike(tokens: Sequence[str]) -> Scores:
    """Return for each phone how much each token counts for it."""
    alike = np.zeros((len(_PHONES), len(tokens)), np.float32)
    at = {token: number for number, token in enumerate(tokens)}
    for row, phone in enumerate(_PHONES):
        near = set(chain.from_iterable(each for each in _ALIKE if phone in each))
        for other in _VOWELS if phone in _VOWELS else _CONSONANTS:
            alike[row, at[other]] = _OF_A_KIND
        for other in near:
            alike[row, at[other]] = _LIKE
        alike[row, at[phone]] = 1
    return alike


class Trellis:
    """The ways through a text: sounds with rests between them, and what has no word between words.

    Args:
        words: for each its sounds, of `_PHONES`; words without are passed over.
    """

    def __init__(self, words: Sequence[Sequence[str]]) -> None:
        columns, owners = [_UNWRITTEN_COLUMN], [-1]
        for number, phones in enumerate(words):
            for place, phone in enumerate(phones):
                if place:
                    either = phone == phones[place - 1] == _ANY_PHONE
                    columns.append(_ANYTHING_COLUMN if either else _REST_COLUMN)
                    owners.append(number)
                columns.append(_COLUMNS[phone])
                owners.append(number)
            if phones:
                columns.append(_UNWRITTEN_COLUMN)
                owners.append(-1)
        self.columns, self.owners = np.array(columns), np.array(owners)
        self.is_phone = self.columns <= _ANY_COLUMN
        # A rest may be passed over but between two that are the same.
        self._leaps = np.zeros(self.columns.size, np.bool_)
        apart = (self.columns[2:] != self.columns[:-2]) | (self.columns[2:] == _ANY_COLUMN)
        self._leaps[2:] = self.is_phone[2:] & apart

    @property
    def sounds(self) -> int:
        """How many sounds it has that are known."""
        return int((self.columns < _ANY_COLUMN).sum())

    def search(self, scores: Scores, came: NDArray[np.int8] | None = None) -> NDArray[np.float64]:
        """Return the score of the best path to each last state; notes in ``came`` how far each step came."""
        best = np.full(self.columns.size, -np.inf)
        best[:2] = scores[0, self.columns[:2]]
        for step in range(1, len(scores)):
            ways = np.full((3, best.size), -np.inf)
            ways[0] = best
            ways[1, 1:] = best[:-1]
            ways[2, 2:][self._leaps[2:]] = best[:-2][self._leaps[2:]]
            chosen = ways.argmax(0)
            if came is not None:
                came[step] = chosen
            best = ways.max(0) + scores[step, self.columns]
        return best

    def path(self, scores: Scores) -> tuple[float, NDArray[np.int64]] | None:
        """Return the best path's score and its state at each step; None where there are too many sounds."""
        came = np.zeros((len(scores), self.columns.size), np.int8)
        best = self.search(scores, came)
        state = best.size - 2 + int(best[-1] >= best[-2])
        score = float(best[state])
        if not np.isfinite(score):
            return None
        states = np.empty(len(scores), np.int64)
        for step in range(len(scores) - 1, -1, -1):
            states[step] = state
            state -= int(came[step, state])
        return score, states


def place_words(heard: Heard, words: Sequence[Sequence[str]], *, sure: bool) -> list[Placed | None] | None:
    """Place words by their sounds.

    Args:
        heard: what was heard.
        words: for each its sounds, of `_PHONES`; those without are not placed.
        sure: whether a text that lacks much of what was heard is not placed either.

    Returns:
        For each word ``(first step, one past the last, mean log score)``; None where the text is another's.
    """
    trellis = Trellis(words)
    if not trellis.sounds or len(heard.scores) * trellis.columns.size > _MOST_CELLS:
        return None
    found = trellis.path(heard.scores)
    if found is None:
        return None
    score, states = found
    # What any words of this language would come to.
    other = float(Trellis(words[::-1]).search(heard.scores)[-2:].max())
    written = trellis.owners[states] >= 0
    lacks = float(heard.loud[~written].sum()) > _MOST_UNWRITTEN * float(heard.loud.sum())
    if score - other < _LEAST_GAIN * trellis.sounds or (sure and lacks):
        return None
    placed: list[Placed | None] = [None] * len(words)
    steps = np.flatnonzero(trellis.is_phone[states])
    owners = trellis.owners[states[steps]]
    for word, first, count in zip(*np.unique(owners, return_index=True, return_counts=True), strict=True):
        mine = steps[first : first + count]
        fits = heard.scores[mine, trellis.columns[states[mine]]].mean()
        placed[int(word)] = int(mine[0]), int(mine[-1]) + 1, round(float(fits), 2)
    return placed


def sounds_of_letters(word: str) -> list[str] | None:
    """Return the sounds that the letters of a word mostly have; None where a letter is not known.

    A digit may be any sounds, and is about two.
    """
    sounds = []
    for letter in unicodedata.normalize("NFC", word.lower()):
        bare = letter if letter in _LETTERS else unicodedata.normalize("NFD", letter)[0]
        if bare in _LETTERS:
            sounds.append(_LETTERS[bare])
        elif bare.isdecimal():
            sounds += _UNKNOWN
        elif bare.isalpha() and bare not in _SILENT:
            return None
    return sounds


def nearest_sounds(phonemes: Iterable[str]) -> list[str]:
    """Return the nearest of `_PHONES`, without lengths, tones and the like."""
    return [_NEAREST[each] for each in phonemes if each in _NEAREST]


class HamaAligner:
    """Aligns words to parts of one sound.

    Args:
        sound: 16 kHz mono, -1 to 1.
    """

    def __init__(self, sound: Scores) -> None:
        from hama import ASRModel  # noqa: PLC0415 - an extra

        self._sound = sound
        self._model: Any = ASRModel()
        self._said: dict[str, list[str]] = {}

    def align(self, words: Sequence[str], first: int, end: int, *, sure: bool) -> list[Placed | None] | None:
        """Align words to frames; None where they are not what is said there, or not to be pronounced."""
        sounds = [self._sounds(word) for word in words]
        lettered = [each for each, word in zip(sounds, words, strict=True) if any(map(str.isalpha, word))]
        if sum(not set(each) <= {_ANY_PHONE} for each in lettered) < _LEAST_KNOWN * len(lettered):
            return None
        heard = self._heard(first, end)
        placed = None if heard is None else place_words(heard, sounds, sure=sure)
        return placed and frames_of(placed, first, end)

    def _sounds(self, word: str) -> list[str]:
        if word not in self._said:
            sounds = sounds_of_letters(word)
            self._said[word] = self._pronounced(word) if sounds is None else sounds
        return self._said[word]

    def _pronounced(self, word: str) -> list[str]:
        """Return the sounds of a word in kana, Hangul, Han or Thai: any, where hama does not know them."""
        from hama import split_text_to_jamo  # noqa: PLC0415

        letters = "".join(filter(str.isalnum, word))[:_LONGEST_WORD]
        if not self._pronounceable.issuperset(split_text_to_jamo(letters).tokens):
            return _UNKNOWN * len(letters)
        return nearest_sounds(each.phoneme for each in self._pronunciation(letters).alignments)

    @cached_property
    def _pronunciation(self) -> Any:
        from hama import G2PModel  # noqa: PLC0415

        return G2PModel(max_input_len=_LONGEST_WORD)

    @cached_property
    def _pronounceable(self) -> frozenset[str]:
        return frozenset(self._pronunciation.vocab.encoder)

    def _heard(self, first: int, end: int) -> Heard | None:
        """Listen to frames, window by window."""
        frame = _STEP_SAMPLES // _FRAMES_A_STEP
        sound = self._sound[first * frame : end * frame]
        steps = sound.size // _STEP_SAMPLES
        own = _WINDOW_STEPS - 2 * _EDGE_STEPS
        heard = []
        for begin in range(0, steps, own):
            stop = min(steps, begin + own)
            before = max(0, begin - _EDGE_STEPS)
            window = sound[before * _STEP_SAMPLES : (stop + _EDGE_STEPS) * _STEP_SAMPLES]
            if window.size < _LEAST_SAMPLES:
                break
            lengths = np.array([window.size])
            (scores,) = self._model.session.run(
                ["log_probs"], {"waveform": window[np.newaxis], "waveform_lengths": lengths}
            )
            heard.append(scores[0, begin - before : stop - before])
        return heard_of(np.concatenate(heard), self._model.decoder_tokens) if heard else None


def frames_of(placed: Sequence[Placed | None], first: int, end: int) -> list[Placed | None]:
    """Return where words are in frames of the sound: each begins before the first of its sounds is noted.

    Args:
        placed: as `place_words` gives them.
        first: the first frame.
        end: one past the last.
    """
    frames: list[Placed | None] = []
    after = end
    for each in reversed(placed):
        if each is None:
            frames.append(None)
            continue
        begin, stop, score = each
        begins = max(first, first + begin * _FRAMES_A_STEP - _LATE_FRAMES)
        frames.append((begins, min(after, first + stop * _FRAMES_A_STEP), score))
        after = begins
    return frames[::-1]


def main() -> None:
    """Answer one request."""
    os.nice(5)
    request = json.loads(sys.stdin.buffer.readline())
    sound = np.frombuffer(sys.stdin.buffer.read(), np.int16).astype(np.float32) / np.float32(32768)
    aligner = HamaAligner(sound)
    found = [
        aligner.align(words, first, end, sure=request["sure"]) for first, end, words in request["pieces"]
    ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
