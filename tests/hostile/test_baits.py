"""The baits are good: a program without our arguments takes them, and that is seen."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.hostile.baits import Baits, Watch, is_bait, watched_baits
from tests.hostile.playlists import playlists, references
from tests.waiting import wait_for

_CARELESS = ("-protocol_whitelist", "file,http,tcp,concat,subfile,crypto,data")


@pytest.fixture
def laid_out(tmp_path: Path) -> Iterator[tuple[Baits, Watch]]:
    with watched_baits(tmp_path / "outside", tmp_path / "beside") as (baits, watch):
        for name, content in (*playlists(baits), *references(baits)):
            (baits.beside / name).write_bytes(content)
        watch.taken()
        yield baits, watch


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ffconcat-0.beside.mp3", ()),
        ("ffconcat-0.absolute.mp3", ("-safe", "0")),
        ("ffconcat-0.file-url.mp3", ("-safe", "0")),
        ("m3u8-0.beside.mp3", ("-f", "hls", "-allowed_extensions", "ALL", "-extension_picky", "0")),
        ("mpd-0.beside.mp3", ("-f", "dash", "-allowed_extensions", "ALL")),
        ("alias.mov", ("-enable_drefs", "1", "-use_absolute_path", "1")),
    ],
)
def test_a_careless_program_opens_a_bait(
    laid_out: tuple[Baits, Watch], name: str, options: tuple[str, ...]
) -> None:
    baits, watch = laid_out
    sound = _careless(baits.beside / name, *options)
    assert watch.taken() != []
    assert is_bait(sound[:16_000])


def test_a_careless_program_visits_the_address(laid_out: tuple[Baits, Watch]) -> None:
    baits, watch = laid_out
    taken: list[str] = []

    def visited() -> bool:
        taken.extend(watch.taken())
        return bool(taken)

    with subprocess.Popen(_careless_args(baits.beside / "ffconcat-0.http.mp3", "-safe", "0")) as program:
        wait_for(visited, program)
        # It waits for an answer that does not come.
        program.kill()
    assert taken == ["the address"]


def test_no_sound_of_a_recording_is_taken_for_a_bait() -> None:
    seconds = np.arange(16_000) / 16_000
    for frequency in (440, 3_000, 4_900, 5_100):
        assert not is_bait((9_000 * np.sin(2 * np.pi * frequency * seconds)).astype(np.int16))
    assert not is_bait(np.random.default_rng(3).integers(-9_000, 9_000, 16_000, np.int16))
    assert not is_bait(np.zeros(16_000, np.int16))


def _careless(path: Path, *options: str) -> NDArray[np.int16]:
    done = subprocess.run(_careless_args(path, *options), capture_output=True, check=False)
    print(done.stderr.decode(errors="replace"))  # noqa: T201 - pytest shows it where this fails
    return np.frombuffer(done.stdout, np.int16)


def _careless_args(path: Path, *options: str) -> list[str]:
    given = ("-v", "error", "-nostdin", *_CARELESS, *options, "-i", str(path))
    return [find_ffmpeg().path, *given, "-t", "2", "-ar", "16000", "-ac", "1", "-f", "s16le", "pipe:1"]
