"""How words are divided among the clips of a sound, and where in a clip they begin."""

from __future__ import annotations

import numpy as np

from stenoflow.tasks.acoustics.whisper_program import clips_of_words, sounding, tokens_of


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


def test_scripts_without_blanks_are_compared_by_character() -> None:
    assert tokens_of("今天 Very GOOD!") == ["今", "天", "very", "good"]
    assert clips_of_words(["今", "天", "好"], [["今"], ["天", "好"]]) == [0, 1, 1]


def test_a_word_begins_after_the_pause_that_it_was_given() -> None:
    loud = np.zeros(100, np.bool_)
    loud[0:5] = loud[60:80] = True
    assert sounding(loud, 2, 95) == (60, 80)


def test_a_quiet_word_keeps_its_time() -> None:
    assert sounding(np.zeros(100, np.bool_), 20, 40) == (20, 40)
