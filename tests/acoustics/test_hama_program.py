"""How words are placed by their sounds among those that were heard, and when a text is not what is said."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.acoustics.hama_program import (
    _PHONES,
    HamaAligner,
    Heard,
    Placed,
    frames_of,
    heard_of,
    nearest_sounds,
    place_words,
    sounds_of_letters,
)
from stenoflow.tasks.transcript.alignment import with_times
from stenoflow.tasks.transcript.types import Region
from tests.timing.synthetic import TEXTS, Synthetic, needs_espeak, needs_hama, speak

_TOKENS = ("<unk>", *_PHONES, "<wb>", "<blank>")
_TEXT = (
    "todos",
    "los",
    "seres",
    "humanos",
    "nacen",
    "libres",
    "e",
    "iguales",
    "en",
    "dignidad",
    "y",
    "derechos",
)
_OTHER = ("alle", "menschen", "sind", "frei", "und", "gleich", "an", "wert", "und", "rechten", "geboren")


def _hear(said: dict[int, str], steps: int) -> Heard:
    """Hear sounds at steps, and quiet else."""
    heard = np.full((steps, len(_TOKENS)), 1e-4)
    heard[:, -1] = 1
    for step, sound in said.items():
        heard[step, _TOKENS.index(sound)] = 50
    return heard_of(np.log(heard / heard.sum(1, keepdims=True)).astype(np.float32), _TOKENS)


def _sounds(*words: str) -> list[list[str]]:
    return [sounds_of_letters(word) or [] for word in words]


def _say(words: Sequence[str], first: int = 10) -> tuple[dict[int, str], list[int]]:
    """Return words with a sound every fourth step and a pause after each, and where they begin."""
    said: dict[int, str] = {}
    begins = []
    step = first
    for sounds in _sounds(*words):
        begins.append(step)
        for sound in sounds:
            said[step] = sound
            step += 4
        step += 6
    return said, begins


def _begins(placed: Sequence[Placed | None] | None) -> list[int | None]:
    assert placed is not None
    return [each and each[0] for each in placed]


def test_words_are_where_their_sounds_are() -> None:
    said, begins = _say(_TEXT)
    placed = place_words(_hear(said, max(said) + 20), _sounds(*_TEXT), sure=True)
    assert _begins(placed) == begins
    assert placed is not None
    assert placed[0] is not None
    assert placed[0][1] == begins[0] + 4 * 4 + 1


def test_a_sound_that_is_like_it_will_do() -> None:
    said, begins = _say(_TEXT)
    others = {"d": "t", "s": "z", "o": "oʊ", "ɹ": "l", "i": "ɪ"}
    heard = _hear({step: others.get(sound, sound) for step, sound in said.items()}, max(said) + 20)
    assert _begins(place_words(heard, _sounds(*_TEXT), sure=True)) == begins


def test_what_was_not_written_down_is_passed_over() -> None:
    said, begins = _say(_TEXT)
    written = [word for at, word in enumerate(_TEXT) if at not in {3, 4}]
    placed = place_words(_hear(said, max(said) + 20), _sounds(*written), sure=True)
    assert _begins(placed) == [*begins[:3], *begins[5:]]


def test_a_text_that_lacks_half_is_placed_only_where_nobody_is_surer() -> None:
    said, begins = _say([*_TEXT, *_OTHER])
    heard = _hear(said, max(said) + 20)
    assert place_words(heard, _sounds(*_TEXT), sure=True) is None
    assert _begins(place_words(heard, _sounds(*_TEXT), sure=False)) == begins[: len(_TEXT)]


def test_another_text_is_not_placed() -> None:
    said, _ = _say(_TEXT)
    assert place_words(_hear(said, max(said) + 20), _sounds(*_OTHER), sure=False) is None


def test_a_number_is_any_sounds_between_its_neighbours() -> None:
    said, begins = _say(["en", "mil", "novecientos", "noventa", "y", "nueve", *_TEXT])
    placed = place_words(_hear(said, max(said) + 20), _sounds("en", "1999", *_TEXT), sure=True)
    assert _begins(placed) == [*begins[:2], *begins[6:]]


def test_signs_are_not_placed() -> None:
    said, begins = _say(_TEXT)
    placed = place_words(_hear(said, max(said) + 20), _sounds(*_TEXT[:2], "-", *_TEXT[2:]), sure=True)
    assert _begins(placed) == [*begins[:2], None, *begins[2:]]


@pytest.mark.parametrize("words", [(), ("-",), ("1999",), _TEXT])
def test_nothing_is_placed_where_nothing_is_to_pronounce_or_to_hear(words: tuple[str, ...]) -> None:
    assert place_words(_hear({2: "s"}, 5), _sounds(*words), sure=False) is None


@given(st.lists(st.sampled_from([*_TEXT, "12", "-"]), min_size=1, max_size=8), st.integers(0, 2**32))
def test_words_are_in_order_and_within_the_sound(words: list[str], seed: int) -> None:
    steps = 200
    random = np.random.default_rng(seed)
    heard = random.gamma(0.05, 1, (steps, len(_TOKENS))) + 1e-6
    placed = place_words(
        heard_of(np.log(heard / heard.sum(1, keepdims=True)).astype(np.float32), _TOKENS),
        _sounds(*words),
        sure=False,
    )
    frames = [each for each in frames_of(placed or [], 100, 100 + 2 * steps) if each is not None]
    bounds = [100, *(frame for first, end, _ in frames for frame in (first, end)), 100 + 2 * steps]
    assert bounds == sorted(bounds)


def test_words_begin_before_their_first_sound_is_noted_and_end_where_the_next_begins() -> None:
    placed: list[Placed | None] = [(1, 9, -1.0), None, (10, 12, -2.0)]
    assert frames_of(placed, 100, 130) == [(100, 112, -1.0), None, (112, 124, -2.0)]


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("Égaux,", "ɛ g ɑ u s"),
        ("Würde", "w u ɹ d ɛ"),
        ("İstanbul'da", "i s t ɑ n b u l d ɑ"),
        ("свободный", "s v o b o d n ɪ j"),
        ("ελευθερία", "ɛ l ɛ i θ ɛ ɹ i ɑ"),
        ("đường", "d u o n g"),
        ("12%", "* * * *"),
        ("…", ""),
    ],
)
def test_letters_have_the_sounds_that_they_mostly_have(word: str, sounds: str) -> None:
    assert sounds_of_letters(word) == sounds.split()


@pytest.mark.parametrize("word", ["今天", "안녕", "שלום", "COVID病毒"])
def test_other_letters_have_none(word: str) -> None:
    assert sounds_of_letters(word) is None


def test_phonemes_that_are_never_heard_are_the_nearest_ones() -> None:
    assert nearest_sounds(["tʰ", "ɪ", "̯", "ɛ", "ŋ", "⁵"]) == ["t", "ɪ", "ɛ", "ŋ"]


def _aligned(said: Synthetic, words: Sequence[str], *, sure: bool = True) -> list[Placed | None] | None:
    aligner = HamaAligner(said.sound.astype(np.float32) / np.float32(32768))
    return aligner.align(words, 0, said.sound.size // 160, sure=sure)


@needs_hama
@needs_espeak
@pytest.mark.parametrize("language", ["fr", *(pytest.param(each, marks=pytest.mark.slow) for each in TEXTS)])
def test_a_voice_of_another_language_is_aligned(language: str) -> None:
    said = speak(TEXTS[language], language)
    placed = _aligned(said, said.words)
    assert placed is not None
    late = [abs(each[0] * 10 - true) for each, true in zip(placed, said.starts_ms, strict=True) if each]
    assert len(late) >= 0.95 * len(said.words)
    assert quantiles(late, n=10)[-1] <= (250 if language == "cmn" else 120)


@needs_hama
@needs_espeak
def test_the_text_of_another_language_is_not() -> None:
    said = speak(TEXTS["es"], "es")
    assert _aligned(said, TEXTS["de"].split(), sure=False) is None
    assert _aligned(said, ["כל", "בני", "אדם"], sure=False) is None


@needs_hama
@needs_espeak
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Am 26.02.2027 zahlte die Firma 3,5 Millionen € an Dr. Müller, das sind 12% mehr als 1999."),
        ("es", "El 26 de febrero de 2027 pagamos $3.5 millones a la Sra. García, un 12% más que en 1999."),
        ("fr", "Le 14 juillet 1789, environ 950 personnes ont payé 3,5 millions € à M. Dupont."),
        ("ru", "26 февраля 2027 года фирма заплатила 3,5 миллиона рублей, на 12% больше, чем в 1999 году."),
    ],
)
def test_numbers_money_dates_and_abbreviations_are_near_where_they_are_said(language: str, text: str) -> None:
    said = speak(text, language)
    placed = _aligned(said, said.words)
    assert placed is not None
    regions = [each and Region(each[0] * 10, each[1] * 10) for each in placed]
    timed = with_times(said.words, regions, Region(0, said.sound.size // 16))
    late = sorted(abs(word.start_ms - true) for word, true in zip(timed, said.starts_ms, strict=True))
    assert late[-1] <= 600
    assert late[len(late) * 8 // 10] <= 300
