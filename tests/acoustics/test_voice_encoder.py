"""The encoder that is built in, on real voices, and what it refuses to read."""

from __future__ import annotations

import io
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stenoflow.tasks.acoustics.voice import VoiceStream
from stenoflow.tasks.acoustics.voice_clustering import HeardVoices
from stenoflow.tasks.acoustics.voice_encoder import VoiceEncoder, mel_spectrum
from stenoflow.tasks.acoustics.voice_listener import VoiceListener
from stenoflow.tasks.acoustics.voice_models import GE2E, find_model
from stenoflow.tasks.errors import ModelUnavailableError
from tests.instrument.tones import RATE
from tests.real_speech import clip, needs_speech
from tests.voices import needs_voices, talk


def test_another_file_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    payload = io.BytesIO()
    pickle.dump(["step"], payload)
    # What runs a command when it is unpickled.
    payload.write(b"cposix\nsystem\n(S'touch " + str(ran).encode() + b"'\ntR.")
    (tmp_path / "pretrained.pt").write_bytes(payload.getvalue())
    with pytest.raises(ModelUnavailableError, match="sha256 differs"):
        VoiceEncoder.read(tmp_path / "pretrained.pt")
    with pytest.raises(ModelUnavailableError, match="cannot be read"):
        VoiceEncoder.read(tmp_path / "gone.pt")
    assert not ran.exists()


def test_a_tone_is_in_the_band_that_has_it_whatever_its_level() -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    loud, soft = (mel_spectrum((level * tone).astype(np.int16)) for level in (20_000, 2_000))
    assert loud.shape == (101, 40)
    middle = loud[10:-10]
    # Slaney's scale has 1 kHz at mel 15; 40 bands lie over 45 mels.
    assert set(middle.argmax(axis=1)) <= {12, 13, 14}
    assert np.allclose(loud, soft, rtol=0.02, atol=1e-6)


@needs_voices
def test_windows_of_one_voice_are_more_alike_than_those_of_two() -> None:
    encoder = VoiceEncoder.read(find_model(GE2E, Path("nowhere")).paths["pretrained.pt"])
    window = round(1.6 * RATE)
    linda = [clip(f"LJ001-00{number:02}.wav")[RATE : RATE + window] for number in (1, 3, 5, 7)]
    john = [clip("jfk.wav")[first : first + window] for first in (RATE // 2, 4 * RATE, 8 * RATE)]
    found = encoder.embed([*linda, *john])
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    alike = found @ found.T
    same = [alike[one, other] for one in range(4) for other in range(one)]
    others = alike[:4, 4:]
    assert min(same) > others.max() + 0.05
    assert np.allclose(encoder.embed([linda[0]])[0], found[0], atol=1e-5), "others beside it change nothing"


@needs_voices
def test_what_is_heard_does_not_depend_on_the_blocks_in_which_it_comes() -> None:
    encoder = VoiceEncoder.read(find_model(GE2E, Path("nowhere")).paths["pretrained.pt"])
    sound = talk(["linda", "john"], 15, 3).sound

    def listened(size: int) -> HeardVoices:
        listener = VoiceListener(encoder)
        for first in range(0, sound.size, size):
            listener.add(sound[first : first + size])
        return listener.finish()

    whole, small = listened(sound.size), listened(7_001)
    assert whole.parts == small.parts
    assert [each.scored.turn for each in whole.tell_apart()] == [
        each.scored.turn for each in small.tell_apart()
    ]


@needs_speech
def test_a_stream_of_voice_ends_its_regions_where_nobody_speaks() -> None:
    pause = np.zeros(RATE, np.int16)
    sound = np.concatenate([pause, clip("LJ001-0002.wav"), pause, clip("LJ001-0008.wav"), pause])
    stream, found = VoiceStream(300, 30_000), []
    for first in range(0, sound.size, 1_000):
        found += stream.add(sound[first : first + 1_000])
    found += stream.finish()
    second = 1_000 + clip("LJ001-0002.wav").size * 1_000 // RATE + 1_000
    assert len(found) == 2
    assert 900 < found[0].start_ms < 1_300
    assert second - 100 < found[1].start_ms < second + 300
    assert all(one.end_ms <= second for one in found[:1])


@needs_speech
def test_a_long_region_is_given_out_in_pieces_without_a_gap() -> None:
    sound = np.tile(clip("jfk.wav")[: 3 * RATE], 4)
    stream = VoiceStream(500, 500)
    found = [*stream.add(sound), *stream.finish()]
    assert len(found) >= 4
    # Each begins where the one before was given out, or after a pause; while one lasts, it goes on.
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(found))
    assert any(one.end_ms == other.start_ms for one, other in pairwise(found))
    assert all(each.duration_ms <= 1_032 for each in found)
