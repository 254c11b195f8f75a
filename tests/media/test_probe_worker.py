"""The ends of long files: what their last packets tell is what reading through them tells."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import av
import pytest
from av.container import InputContainer

from stenoflow.tasks.media import _probe_worker
from tests.media.conftest import Make

_PICTURE = ("-f", "lavfi", "-i", "testsrc=duration=12:size=64x48:rate=5")


def _examined(path: Path) -> dict[str, Any]:
    with av.open(str(path), metadata_errors="replace") as container:
        return _probe_worker.examine(container, estimated=False)


@pytest.mark.parametrize(
    ("name", "options", "before", "kept"),
    [
        ("a.wav", (), (), 1.0),
        ("float.wav", ("-c:a", "pcm_f32le"), (), 1.0),
        ("cut.wav", (), (), 0.6),
        ("a.w64", (), (), 1.0),
        ("a.aiff", (), (), 1.0),
        ("cut.aiff", (), (), 0.6),
        ("a.caf", ("-c:a", "pcm_s16be"), (), 1.0),
        ("a.m4a", ("-c:a", "aac"), (), 1.0),
        ("index-first.m4a", ("-c:a", "aac", "-movflags", "+faststart"), (), 1.0),
        ("cut.m4a", ("-c:a", "aac", "-movflags", "+faststart"), (), 0.6),
        ("lossless.m4a", ("-c:a", "alac"), (), 1.0),
        ("two.m4a", ("-map", "0", "-map", "0", "-c:a", "aac", "-t:a:1", "5"), (), 1.0),
        ("late.mp4", ("-c:v", "mpeg4", "-c:a", "aac"), (*_PICTURE, "-itsoffset", "3"), 1.0),
        ("fragments.mp4", ("-c:a", "aac", "-movflags", "empty_moov", "-frag_duration", "1000000"), (), 1.0),
    ],
)
def test_the_ends_tell_what_the_whole_tells(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: tuple[str, ...],
    before: tuple[str, ...],
    kept: float,
) -> None:
    path = make(name, *options, before=before)
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * kept)])
    whole = _examined(path)
    monkeypatch.setattr(_probe_worker, "_LONG_S", 3)
    monkeypatch.setattr(_probe_worker, "_LAST_S", 2)
    assert _examined(path) == whole


def test_what_lies_between_the_ends_is_not_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probe_worker, "_LONG_S", 3)
    monkeypatch.setattr(_probe_worker, "_LAST_S", 2)
    read = 0

    class Counted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal read
            data: bytes = super().read(size) or b""
            read += len(data)
            return data

    path = make("a.wav")
    with Counted(path) as file, av.open(file, "r", options={"max_probe_packets": "4"}) as container:
        _probe_worker.examine(container, estimated=False)
    assert 0 < read < path.stat().st_size


class _Unseekable:
    """A container that is read from its start to its end only."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def seek(self, *_: Any) -> None:
        raise av.FFmpegError(1, "no")


def test_what_cannot_be_sought_in_is_read_through(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("a.m4a", "-c:a", "aac")
    whole = _examined(path)
    monkeypatch.setattr(_probe_worker, "_LONG_S", 3)
    with av.open(str(path)) as container:
        assert _probe_worker.examine(cast("InputContainer", _Unseekable(container)), estimated=False) == whole
