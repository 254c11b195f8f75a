"""The instrument itself: what it says is what it hears, whatever lies under and between the words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.instrument.beds import Bed
from tests.instrument.recogniser import CUT, recognise
from tests.instrument.recording import SpokenNumber, script, sound
from tests.instrument.tones import RATE, WORD_SAMPLES, Samples

_MINUTE = 60.0


def _uploaded(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("upload") / "upload.mp3"
    encode_mp3([samples], path, ffmpeg=find_ffmpeg())
    return path.read_bytes()


def _starts_are_right(heard: Sequence[dict[str, float]], said: Sequence[SpokenNumber], first: int) -> bool:
    errors = [
        abs(one["start"] * RATE - (word.start_sample - first)) for one, word in zip(heard, said, strict=True)
    ]
    return max(errors) < RATE / 2000


@pytest.mark.parametrize("bed", Bed)
@pytest.mark.parametrize("gapless", [(), ((0, 60),), ((7, 31.5),)])
@pytest.mark.parametrize("first_number", [0, 900_000])
def test_every_word_is_heard_after_an_upload(
    bed: Bed,
    gapless: tuple[tuple[float, float], ...],
    first_number: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    said = [
        SpokenNumber(word.number + first_number, word.start_sample)
        for word in script(_MINUTE, gapless=gapless, silences=[(40, 46)])
    ]
    samples = np.concatenate(list(sound(said, _MINUTE, bed)))
    heard = recognise(_uploaded(samples, tmp_path_factory))["words"]
    assert [word["word"] for word in heard] == [word.text for word in said]
    assert _starts_are_right(heard, said, 0)


@pytest.mark.parametrize("bed", Bed)
def test_of_words_without_a_pause_those_at_the_edges_are_cut(
    bed: Bed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said = script(_MINUTE, gapless=[(0, 60)])
    samples = np.concatenate(list(sound(said, _MINUTE, bed)))
    for number in range(1, 9):
        # At each step some more of the first and the last word is missing.
        first = said[5].start_sample + number * WORD_SAMPLES // 9
        end = said[80].start_sample + number * WORD_SAMPLES // 9
        heard = recognise(_uploaded(samples[first:end], tmp_path_factory))["words"]
        assert [word["word"] for word in heard] == [CUT, *(word.text for word in said[6:80]), CUT]
        assert _starts_are_right(heard[1:-1], said[6:80], first)


def test_a_cut_between_two_words_cuts_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = script(_MINUTE, gapless=[(0, 60)])
    samples = np.concatenate(list(sound(said, _MINUTE)))
    for beside in (-RATE // 200, 0, RATE // 200):
        first, end = said[5].start_sample + beside, said[80].start_sample + beside
        heard = recognise(_uploaded(samples[first:end], tmp_path_factory))["words"]
        assert [word["word"] for word in heard] == [word.text for word in said[5:80]]


def test_gapless_stretches_have_no_pause_and_silences_no_word() -> None:
    said = script(300, gapless=[(60, 180)], silences=[(100, 130), (200, 260)])
    starts = np.array([word.start_sample for word in said])
    assert [word.number for word in said] == list(range(len(said)))
    for first, end in ((60, 100), (130, 180)):
        within = starts[(starts >= first * RATE) & (starts < end * RATE)]
        assert within[0] == first * RATE
        assert set(np.diff(within)) == {WORD_SAMPLES}
    for first, end in ((100, 130), (200, 260)):
        assert not np.any((starts + WORD_SAMPLES > first * RATE) & (starts < end * RATE))


def test_gapless_words_keep_one_level() -> None:
    samples = np.concatenate(list(sound(script(10, gapless=[(0, 10)]), 10, Bed.SILENCE)))
    frames = samples[RATE : 8 * RATE].astype(np.float64).reshape(-1, RATE // 100)
    levels = 10 * np.log10(np.mean(frames**2, axis=1))
    assert np.ptp(levels) < 1.5
