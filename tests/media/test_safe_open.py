"""A recording that is open stays the one that was opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stenoflow.tasks.errors import SourceUnreadableError
from stenoflow.tasks.media.decode import decode, decode_all
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.probe import probe
from stenoflow.tasks.media.safe_open import opened
from tests.media.conftest import Make


def test_a_name_that_leads_elsewhere_meanwhile_changes_nothing(make: Make, bundled: Ffmpeg) -> None:
    path, other = make("a.wav"), make("other.flac", "-af", "volume=0")
    expected = decode_all(path, cap_ms=20_000, ffmpeg=bundled)
    stream = probe(path).default_stream
    with decode(path, stream, ffmpeg=bundled) as decoding:
        other.replace(path)
        assert np.array_equal(np.concatenate(list(decoding)), expected)


def test_a_file_that_was_written_to_since_it_was_hashed_is_refused(make: Make, bundled: Ffmpeg) -> None:
    path = make("a.wav")
    stream = probe(path).default_stream
    with opened(path) as file:
        stamp = file.stamp
        file.check_unchanged()
    path.write_bytes(path.read_bytes() + bytes(2))
    with (
        pytest.raises(SourceUnreadableError, match=r"a\.wav changed while it was being read"),
        decode(path, stream, ffmpeg=bundled, stamp=stamp),
    ):
        pass


def test_a_file_that_is_written_to_while_it_is_decoded_fails(make: Make, bundled: Ffmpeg) -> None:
    path = make("a.wav")
    with decode(path, probe(path).default_stream, ffmpeg=bundled) as decoding:
        blocks = iter(decoding)
        next(blocks)
        with path.open("ab") as file:
            file.write(bytes(2))
        with pytest.raises(SourceUnreadableError, match="changed while it was being read"):
            list(blocks)


def test_no_part_of_a_name_reaches_a_program(make: Make) -> None:
    path = make("a.wav")
    with opened(path) as file:
        assert path.name not in file.url
        assert Path(file.url.removeprefix("file:")).read_bytes() == path.read_bytes()
