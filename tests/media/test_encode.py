from __future__ import annotations

import hashlib
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from stenoflow.storage.errors import DiskFullError
from stenoflow.tasks.errors import MediaError
from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.encode import encode_mp3, samples_declared
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from tests.media.chirps import CHIRPS_S, find_chirps, samples


@pytest.mark.parametrize("size", [159, 575, 576, 1105, 16_000, 160_001])
def test_as_many_samples_come_back_as_went_in(ffmpeg: Ffmpeg, tmp_path: Path, size: int) -> None:
    encoded = encode_mp3([samples()[:size]], tmp_path / "segment.mp3", ffmpeg=ffmpeg)
    assert encoded.samples == size
    assert decode_all(encoded.path, cap_ms=20_000, ffmpeg=ffmpeg).size == size


@pytest.mark.parametrize("size", [1, 577, 622])
def test_a_little_over_a_frame_comes_back_with_silence_behind(
    ffmpeg: Ffmpeg, tmp_path: Path, size: int
) -> None:
    encoded = encode_mp3([samples()[:size]], tmp_path / "segment.mp3", ffmpeg=ffmpeg)
    assert encoded.samples == size
    assert size <= decode_all(encoded.path, cap_ms=20_000, ffmpeg=ffmpeg).size <= size + 46


def test_a_chirp_stays_where_it_was(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    encoded = encode_mp3([samples()], tmp_path / "segment.mp3", ffmpeg=ffmpeg)
    found = find_chirps(decode_all(encoded.path, cap_ms=20_000, ffmpeg=ffmpeg))
    assert found == pytest.approx([1000 * at_s for at_s in CHIRPS_S], abs=0.1)


def test_the_file_is_what_is_said_of_it(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    encoded = encode_mp3([samples()], tmp_path / "segment.mp3", ffmpeg=ffmpeg)
    content = encoded.path.read_bytes()
    assert encoded.size_bytes == len(content)
    assert encoded.sha256 == hashlib.sha256(content).hexdigest()
    # 64 kbit/s are 8 bytes a millisecond.
    assert len(content) / 12_000 == pytest.approx(8, rel=0.02)
    assert list(tmp_path.iterdir()) == [encoded.path]


def test_the_same_samples_give_the_same_bytes(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    first, second = (encode_mp3([samples()], tmp_path / name, ffmpeg=ffmpeg) for name in ("a.mp3", "b.mp3"))
    assert first.sha256 == second.sha256


def test_a_strided_view_is_encoded_as_what_it_shows(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    stereo = np.stack([samples(), np.zeros_like(samples())], axis=1)
    viewed = encode_mp3([stereo[:, 0]], tmp_path / "a.mp3", ffmpeg=ffmpeg)
    assert viewed.sha256 == encode_mp3([samples()], tmp_path / "b.mp3", ffmpeg=ffmpeg).sha256


def test_a_file_cut_off_anywhere_is_not_taken_for_whole(bundled: Ffmpeg, tmp_path: Path) -> None:
    content = encode_mp3([samples()], tmp_path / "segment.mp3", ffmpeg=bundled).path.read_bytes()
    assert samples_declared(content) == samples().size
    assert all(samples_declared(content[:size]) is None for size in (0, 10, 100, 180, 5000, len(content) - 1))


@pytest.mark.parametrize("times", [1, 30])
def test_a_full_disk_is_told_and_nothing_is_left(bundled: Ffmpeg, tmp_path: Path, times: int) -> None:
    # The real encoder, writing where there is never any space.
    full = wrapper(
        tmp_path / "ffmpeg", "os.execv(real, [real, *given[:-2], 'file:/dev/full', '-y'])", bundled
    )
    folder = tmp_path / "work"
    folder.mkdir()
    with pytest.raises(DiskFullError, match=r"segment\.mp3"):
        encode_mp3([np.tile(samples(), times)], folder / "segment.mp3", ffmpeg=full)
    assert not list(folder.iterdir())


def test_an_encoder_that_ends_early_leaves_what_was_there(bundled: Ffmpeg, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    kept = encode_mp3([samples()[:8000]], folder / "segment.mp3", ffmpeg=bundled)
    # Valid to look at, but shorter: what a killed feeder leaves.
    short = wrapper(tmp_path / "ffmpeg", "os.execv(real, [real, '-t', '3', *given])", bundled)
    with pytest.raises(MediaError, match=r"segment\.mp3"):
        encode_mp3([samples()], kept.path, ffmpeg=short)
    assert list(folder.iterdir()) == [kept.path]
    assert hashlib.sha256(kept.path.read_bytes()).hexdigest() == kept.sha256


def test_a_failing_encoder_says_why(bundled: Ffmpeg, tmp_path: Path) -> None:
    broken = wrapper(tmp_path / "ffmpeg", "os.execv(real, [real, *given, '-no_such_option'])", bundled)
    with pytest.raises(MediaError, match="no_such_option"):
        encode_mp3([samples()], tmp_path / "segment.mp3", ffmpeg=broken)


def test_a_folder_that_is_gone(bundled: Ffmpeg, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        encode_mp3([samples()], tmp_path / "gone" / "segment.mp3", ffmpeg=bundled)


def wrapper(path: Path, statement: str, real: Ffmpeg) -> Ffmpeg:
    """Return an ffmpeg that runs the real one with other arguments."""
    path.write_text(
        f"#!{sys.executable}\nimport os, sys\nreal, given = {real.path!r}, sys.argv[1:]\n{statement}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Ffmpeg(str(path), real.version, "PATH")
