from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stenoflow.tasks.media.channels import WINDOW_SAMPLES, Downmix
from tests.media.chirps import samples

Mono = NDArray[np.int16]
NOTHING = np.zeros(10 * WINDOW_SAMPLES, np.int16)


def voice(seed: int, amplitude: float = 3000.0) -> Mono:
    return np.random.default_rng(seed).normal(0, amplitude, NOTHING.size).astype(np.int16)


def mix(left: Mono, right: Mono, downmix: Downmix | None = None) -> Mono:
    downmix = downmix or Downmix()
    frames = np.stack([left, right], axis=1)
    return np.concatenate([downmix.add(window) for window in np.split(frames, 10)])


def holds(mixed: Mono, sound: Mono) -> float:
    """How much of ``sound`` is in ``mixed``: its gain, of either sign."""
    heard = sound.astype(float)
    return abs(float(np.dot(mixed.astype(float), heard) / np.dot(heard, heard)))


def test_the_same_on_both_sides_stays_as_it_is() -> None:
    assert np.array_equal(mix(voice(1), voice(1)), voice(1))


def test_an_inverted_side_does_not_cancel_the_other() -> None:
    downmix = Downmix()
    assert holds(mix(voice(1), -voice(1), downmix), voice(1)) == pytest.approx(1, abs=0.001)
    assert downmix.inverted_windows == 10


def test_inverted_speech_under_different_noise_is_kept() -> None:
    mixed = mix(voice(1) + voice(2, 1500), -voice(1) + voice(3, 1500))
    assert holds(mixed, voice(1)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("crosstalk", [0.0, 0.1, -0.1, -0.3])
def test_both_parties_of_a_call_are_kept_whoever_speaks_first(crosstalk: float) -> None:
    first, second = voice(1), voice(2)
    first[NOTHING.size // 2 :] = 0
    second[: NOTHING.size // 2] = 0
    left, right = first + crosstalk * second, second + crosstalk * first
    mixed = mix(left.astype(np.int16), right.astype(np.int16))
    assert holds(mixed, first) > 0.3
    assert holds(mixed, second) > 0.3


def test_a_humming_side_does_not_displace_a_quiet_speaker() -> None:
    hum = (8000 * np.sin(np.arange(NOTHING.size) * 2 * np.pi * 50 / 16000)).astype(np.int16)
    assert holds(mix(voice(1, 500), hum), voice(1, 500)) == pytest.approx(0.5, abs=0.05)


def test_a_change_of_wiring_is_followed() -> None:
    left, right = voice(1), voice(1)
    right[NOTHING.size // 2 :] *= -1
    mixed = mix(left, right)
    for half in np.split(np.arange(NOTHING.size), 2):
        assert holds(mixed[half], left[half]) == pytest.approx(1, abs=0.01)


def test_a_change_of_mind_is_no_click() -> None:
    # Both tones are at their top where the windows meet, so that a bare change of sign would be a step.
    seconds = np.arange(NOTHING.size) / WINDOW_SAMPLES
    low, high = (8000 * np.cos(2 * np.pi * hertz * seconds) for hertz in (100, 200))
    left = (low + high).astype(np.int16)
    right = (np.linspace(1, 0, NOTHING.size) * low - high).astype(np.int16)
    downmix = Downmix()
    mixed = mix(left, right, downmix).astype(float)
    assert 0 < downmix.inverted_windows < 10
    assert np.abs(np.diff(mixed)).max() < 1.1 * np.abs(np.diff(left.astype(float))).max()


def test_noise_in_a_pause_does_not_change_what_is_decided() -> None:
    speech = voice(1)
    speech[3 * WINDOW_SAMPLES : 6 * WINDOW_SAMPLES] = 0
    left, right = speech + voice(2, 100), -speech + voice(3, 100)
    downmix = Downmix()
    mix(left, right, downmix)
    assert downmix.inverted_windows == 10


def test_full_scale_does_not_wrap() -> None:
    loud = np.where(samples(duration_s=10) > 0, 32767, -32768).astype(np.int16)
    opposite = np.where(loud > 0, -32768, 32767).astype(np.int16)
    mixed = mix(loud, opposite)
    assert np.array_equal(mixed > 0, loud > 0)
