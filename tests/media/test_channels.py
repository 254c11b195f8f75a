from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stenoflow.tasks.media.channels import WINDOW_SAMPLES, Downmix, Tracks, levels_of, loudest
from stenoflow.tasks.media.decode import decode
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.probe import probe
from stenoflow.tasks.media.segmenter import Samples, Segmenter
from stenoflow.tasks.transcript.planning import CutRule
from stenoflow.tasks.transcript.regions import LevelHistogram
from tests.instrument.recording import script
from tests.instrument.tracks import channels_of, write_channels
from tests.media.chirps import samples

_RULE = CutRule(2_000, 600)
_WHOLE = CutRule(60_000, 20_000)


def _beep(at_ms: int, amplitude: int) -> Samples:
    track = np.zeros(16_000, np.int16)
    time = np.arange(4_000) / 16_000
    track[at_ms * 16 : at_ms * 16 + 4_000] = amplitude * np.sin(2 * np.pi * 440 * time)
    return track


@pytest.mark.parametrize(
    ("name", "channels"),
    [("a.wav", 2), ("a.flac", 2), ("a.wav", 4), ("a.flac", 6), ("a.m4a", 2), ("a.wav", 9)],
)
def test_channels_are_decoded_apart_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg, name: str, channels: int
) -> None:
    given = np.stack([_beep(80 * channel, 8_000) for channel in range(channels)], axis=1)
    path = write_channels(tmp_path_factory.mktemp("tracks") / name, given)
    with decode(path, probe(path).default_stream, ffmpeg=ffmpeg, apart=True) as decoding:
        blocks = list(decoding)
    heard = np.concatenate(blocks)
    assert heard.shape[1] == channels
    assert decoding.samples == len(heard)
    for channel in range(channels):
        loud = np.flatnonzero(np.abs(heard[:, channel]) > 4_000)
        assert loud[0] / 16 == pytest.approx(80 * channel, abs=3)
        assert loud[-1] / 16 == pytest.approx(80 * channel + 250, abs=3)


def test_each_track_is_cut_where_it_pauses_itself_and_is_whole() -> None:
    words = script(20)
    said = [words[::2], words[1::2]]
    given = channels_of(said, 20, bleed_db=None)
    given[:, 1] += 1
    tracks = Tracks({channel: Segmenter(_RULE) for channel in range(2)})
    pieces = [
        piece for first in range(0, len(given), 9_000) for piece in tracks.add(given[first : first + 9_000])
    ]
    pieces += tracks.finish()
    for channel in range(2):
        own = [piece for by, piece in pieces if by == channel]
        parts = [piece.sound[piece.start_sample - piece.sound_start :] for piece in own]
        parts = [
            part[: piece.end_sample - piece.start_sample] for part, piece in zip(parts, own, strict=True)
        ]
        assert np.array_equal(np.concatenate(parts), given[:, channel])
    assert {piece.end_sample for by, piece in pieces if by == 0} != {
        piece.end_sample for by, piece in pieces if by == 1
    }


def test_a_channel_that_is_the_first_one_again_is_silence() -> None:
    block = np.stack([_beep(0, 8_000), _beep(0, 8_000), _beep(0, 7_999)], axis=1)
    tracks = Tracks({channel: Segmenter(_RULE) for channel in range(3)})
    assert list(tracks.add(block)) == []
    assert [bool(piece.sound.any()) for _, piece in tracks.finish()] == [True, False, True]


def test_a_voice_from_afar_is_not_a_channels_own() -> None:
    """Two speak in turn, each heard 25 dB softer in the other's channel; then both, one softly."""
    loud, soft = _noise(4, -20), _noise(4, -45)
    one = np.concatenate([loud, soft, _noise(1, -70), _noise(4, -20)])
    other = np.concatenate([soft, loud, _noise(1, -70), _noise(4, -34)])
    tracks, given = Tracks({0: Segmenter(_WHOLE), 1: Segmenter(_WHOLE)}), np.stack([one, other], axis=1)
    for first in range(0, len(given), 16_000):
        assert not list(tracks.add(given[first : first + 16_000]))
    own = []
    for channel, piece in tracks.finish():
        listened = LevelHistogram()
        listened.add(piece.levels)
        assert -22 < listened.voice_db() < -17
        own.append([np.mean(tracks.own(channel, piece, listened)[at : at + 300]) for at in (50, 450, 950)])
    assert own[0] == pytest.approx([-20, -70, -20], abs=2)
    assert own[1] == pytest.approx([-70, -20, -34], abs=2)


def _noise(seconds: int, level_db: float) -> Samples:
    noise = np.random.default_rng(seconds).standard_normal(seconds * 16_000)
    sound: Samples = (noise * 32768 * 10 ** (level_db / 20)).astype(np.int16)
    return sound


def test_levels_are_those_of_every_50_ms() -> None:
    tracks = Tracks({0: Segmenter(_RULE)})
    list(tracks.add(_beep(500, 16_384).reshape(-1, 1)))
    ((_, piece),) = tracks.finish()
    assert levels_of(piece.levels, 450, 620) == (-100, -9, -9, -9)
    assert loudest(np.array([[0, 0], [0, -32_768], [5, 0]], np.int16)).tolist() == [0, 1_000, 1_000]


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
