from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.media.levels import amplified, frame_levels, gain_db
from tests.media.test_clipping import voice


@pytest.mark.parametrize("over_db", [6, -10, -30])
def test_ordinary_levels_are_sent_as_they_are(over_db: float) -> None:
    sound = voice(3, over_db)
    assert gain_db(frame_levels(sound).tolist(), [sound]) == 0
    (sent,) = amplified([sound], 0)
    assert sent is sound


def test_speech_that_is_too_soft_is_sent_as_loud_as_others() -> None:
    sound = voice(3, -50)
    by_db = gain_db(frame_levels(sound).tolist(), [sound[:8_000], sound[8_000:]])
    assert 30 < by_db <= 50
    sent = np.concatenate(list(amplified([sound[:8_000], sound[8_000:]], by_db)))
    assert np.percentile(frame_levels(sent), 95) == pytest.approx(-16, abs=1.5)


def test_nothing_and_digital_silence_stay_what_they_are() -> None:
    silence = np.zeros(1_600, np.int16)
    assert gain_db([], []) == 0
    assert gain_db(frame_levels(silence).tolist(), [silence]) == 0


@given(peak=st.integers(-32768, 32767), noise=st.integers(1, 30))
def test_a_click_is_not_clipped(peak: int, noise: int) -> None:
    sound = np.random.default_rng(1).integers(-noise, noise, 16_000, np.int16, endpoint=True)
    levels = frame_levels(sound).tolist()
    sound[5] = peak
    by_db = gain_db(levels, [sound])
    assert by_db >= 0
    (sent,) = amplified([sound], by_db)
    # What went round the ends would have another sign.
    assert np.array_equal(np.sign(sent), np.sign(sound))
    assert np.all(np.abs(sent.astype(int)) >= np.abs(sound.astype(int)))
