from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stenoflow.tasks.media.decode import decode
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.levels import (
    FRAME_SAMPLES,
    SILENCE_DB,
    TOO_MUCH,
    ClippingMeter,
    LevelMeter,
    amplified,
    count_clipped,
    frame_levels,
    gain_db,
)
from stenoflow.tasks.media.probe import probe


def sine(amplitude: float) -> NDArray[np.int16]:
    t = np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
    return np.rint(amplitude * np.sin(2 * np.pi * 4 * t)).astype(np.int16)


@pytest.mark.parametrize(("amplitude", "expected"), [(32767, -3.01), (3276.7, -23.01), (327.67, -43.01)])
def test_the_level_of_a_sine(amplitude: float, expected: float) -> None:
    assert frame_levels(sine(amplitude))[0] == pytest.approx(expected, abs=0.02)


def test_full_scale_is_0_db_and_digital_silence_the_floor() -> None:
    loudest = np.full(FRAME_SAMPLES, -32768, np.int16)
    faintest = np.zeros(FRAME_SAMPLES, np.int16)
    faintest[0] = 1
    silence = np.zeros(FRAME_SAMPLES, np.int16)
    assert frame_levels(np.concatenate([loudest, faintest, silence])).tolist() == [
        0.0,
        SILENCE_DB,
        SILENCE_DB,
    ]


@given(
    size=st.integers(0, 5 * FRAME_SAMPLES),
    cuts=st.lists(st.integers(0, 5 * FRAME_SAMPLES), max_size=6),
    seed=st.integers(0, 100),
)
def test_where_the_blocks_are_cut_makes_no_difference(size: int, cuts: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-32768, 32768, size).astype(np.int16)
    meter = LevelMeter()
    levels = [meter.add(block) for block in np.split(samples, sorted(cuts))]
    last = meter.finish()
    assert np.array_equal(np.concatenate(levels), frame_levels(samples))
    assert last.size == (size % FRAME_SAMPLES > 0)
    assert all(each.dtype == np.float32 for each in levels)


def test_the_last_shorter_frame_has_its_own_level() -> None:
    meter = LevelMeter()
    assert meter.add(np.full(7, 16384, np.int16)).size == 0
    assert meter.finish()[0] == pytest.approx(-6.02, abs=0.01)
    assert meter.finish().size == 0


_RATE = 16_000


def voice(seconds: int, over_db: float) -> NDArray[np.int16]:
    """Syllables at 4 Hz with overtones whose crest is so far over full scale."""
    t = np.arange(seconds * _RATE) / _RATE
    tone = sum(np.sin(2 * np.pi * 130 * n * t) / n for n in range(1, 9))
    sound = np.sin(2 * np.pi * 2 * t) ** 2 * tone
    loud = sound / np.abs(sound).max() * 32767 * 10 ** (over_db / 20)
    clipped: NDArray[np.int16] = np.clip(np.rint(loud), -32768, 32767).astype(np.int16)
    return clipped


def share(*channels: NDArray[np.int16]) -> float:
    meter, sound = ClippingMeter(), np.stack(channels, axis=1)
    for first in range(0, len(sound), _RATE):
        meter.add(sound[first : first + _RATE])
    for number, channel in enumerate(channels):
        meter.add_levels(frame_levels(channel).tolist(), number)
    return meter.share()


def test_both_ends_count() -> None:
    assert count_clipped(np.array([32767, 32766, -32768, -32767, -32766, 0], np.int16)) == 3


def test_what_is_loud_is_not_clipped_and_what_is_too_loud_is() -> None:
    assert share(voice(10, 0)) < TOO_MUCH < share(voice(10, 6)) < share(voice(10, 12)) <= 1


def test_pauses_and_other_channels_change_nothing() -> None:
    clipped, silence = voice(10, 12), np.zeros(10 * _RATE, np.int16)
    expected = share(clipped)
    assert share(np.concatenate([silence, clipped, silence])) == expected
    assert share(silence, clipped) == share(clipped, voice(10, -6)) == expected


@pytest.mark.parametrize("hertz", [50, 100, 1_000, 4_000])
def test_a_full_scale_tone_is_no_reason(hertz: int) -> None:
    tone = np.rint(32767 * np.sin(2 * np.pi * hertz * np.arange(5 * _RATE) / _RATE)).astype(np.int16)
    assert share(tone) == 0


def test_a_slammed_door_is_no_reason() -> None:
    sound = voice(10, -12)
    sound[3 * _RATE : 3 * _RATE + 4_000] = 32767
    assert share(sound) == 0
    assert share(sound[: 3 * _RATE + 4_000]) == 0


def test_a_side_is_measured_before_it_is_mixed(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, _RATE, 0, "NONE", ""))
        file.writeframes(np.stack([voice(5, 12), voice(5, -12)], axis=1).tobytes())
    with decode(path, probe(path).default_stream, ffmpeg=ffmpeg) as decoding:
        for block in decoding:
            assert count_clipped(block) == 0
            decoding.clipping.add_levels(frame_levels(block).tolist(), None)
    assert decoding.clipping.share() > 10 * TOO_MUCH


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
