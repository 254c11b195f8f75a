"""How words are divided among the clips of a sound, and where in a clip they begin."""

from __future__ import annotations

import numpy as np
import pytest

from stenoflow.tasks.acoustics.whisper_program import WhisperAligner, clips_of_words, sounding, tokens_of
from stenoflow.tasks.engine.weights import packaged
from stenoflow.tasks.transcript.alignment import with_times
from stenoflow.tasks.transcript.types import Region
from tests.timing.synthetic import needs_espeak, speak

_BASE = next((each for each in packaged() if each.name == "base"), None)


def test_words_are_where_they_were_heard() -> None:
    assert clips_of_words(["One,", "two", "three."], [["one"], ["two", "three"]]) == [0, 1, 1]


def test_a_clip_whose_words_the_text_lacks_gets_none() -> None:
    heard = [["it", "was", "late"], ["nobody", "wrote", "this", "down"], ["we", "went", "home"]]
    assert clips_of_words(["It", "was", "late,", "we", "went", "home."], heard) == [0, 0, 0, 2, 2, 2]


def test_words_that_were_heard_otherwise_are_between_those_beside_them() -> None:
    heard = [["mister", "mayor", "has"], ["gone", "home"]]
    assert clips_of_words(["Mr.", "Meyer", "has", "gone", "home"], heard) == [0, 0, 0, 1, 1]


def test_another_text_is_not_placed() -> None:
    assert clips_of_words(["a", "wholly", "different", "thing"], [["it", "was", "a", "night"]]) is None


def test_signs_stay_with_the_word_before_them() -> None:
    assert clips_of_words(["one", "-", "two"], [["one"], [], ["two"]]) == [0, 0, 2]


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("paid $3.5M to Dr. Miller", "paid three point five million dollars to doctor miller"),
        ("on 2027-02-26 we met", "on february 26 2027 we met"),
        ("the well-known U.S. firm", "the well known us firm"),
        ("soit 1\u202f250 \u20ac de plus", "soit 1250 euros de plus"),
    ],
)
def test_what_is_written_otherwise_than_it_is_said_stays_between_its_neighbours(
    written: str, heard: str
) -> None:
    words, said = written.split(" "), heard.split()
    clips = [tokens_of(f"well {said[0]}"), tokens_of(" ".join(said[1:-1])), tokens_of(f"{said[-1]} again")]
    assert clips_of_words(words, clips) == [0, *[1] * (len(words) - 2), 2]


def test_scripts_without_blanks_are_compared_by_character() -> None:
    assert tokens_of("今天 Very GOOD!") == ["今", "天", "very", "good"]
    assert clips_of_words(["今", "天", "好"], [["今"], ["天", "好"]]) == [0, 1, 1]


def test_a_word_begins_after_the_pause_that_it_was_given() -> None:
    loud = np.zeros(100, np.bool_)
    loud[0:5] = loud[60:80] = True
    assert sounding(loud, 2, 95) == (60, 80)


def test_a_word_that_has_pauses_itself_begins_at_its_first_sound() -> None:
    loud = np.zeros(500, np.bool_)
    for first in (30, 120, 220, 320):
        loud[first : first + 70] = True
    assert sounding(loud, 0, 400) == (30, 390)


def test_a_quiet_word_keeps_its_time() -> None:
    assert sounding(np.zeros(100, np.bool_), 20, 40) == (20, 40)


@needs_espeak
@pytest.mark.slow
@pytest.mark.skipif(_BASE is None, reason="no weights of Whisper base are installed")
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Am 26.02.2027 zahlte die Firma 3,5 Millionen € an Dr. Müller, das sind 12% mehr als 1999."),
        ("es", "El 26 de febrero de 2027 pagamos $3.5 millones a la Sra. García, un 12% más que en 1999."),
        ("en-us", "On 2027-02-26 the well-known U.S. firm paid $3.5M to Dr. Miller, 12% more than in 1999."),
    ],
)
def test_numbers_money_dates_and_abbreviations_are_near_where_they_are_said(language: str, text: str) -> None:
    assert _BASE is not None
    said = speak(text, language)
    files = {name: b"".join(part.read_bytes() for part in parts) for name, parts in _BASE.files.items()}
    sound = said.sound.astype(np.float32) / np.float32(32768)
    placed = WhisperAligner(files, language[:2], 6, sound).align(said.words, 0, sound.size // 160)
    assert placed is not None
    regions = [each and Region(each[0] * 10, each[1] * 10) for each in placed]
    timed = with_times(said.words, regions, Region(0, sound.size // 16))
    late = sorted(abs(word.start_ms - true) for word, true in zip(timed, said.starts_ms, strict=True))
    assert late[-1] <= 600
    assert late[len(late) * 8 // 10] <= 200
