from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stenoflow.tasks.media.decode import decode
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.levels import TOO_MUCH, ClippingMeter, count_clipped, frame_levels
from stenoflow.tasks.media.probe import probe

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
