from __future__ import annotations

import numpy as np
import pytest

from stenoflow.tasks.media.channels import Tracks, levels_of, loudest
from stenoflow.tasks.media.decode import decode
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.probe import probe
from stenoflow.tasks.media.segmenter import Samples, Segmenter
from stenoflow.tasks.transcript.planning import CutRule
from stenoflow.tasks.transcript.regions import LevelHistogram
from tests.instrument.recording import script
from tests.instrument.tracks import channels_of, write_channels

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
