from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.audio_api import AudioApiServer, audio_api_server


@pytest.fixture
def server() -> Iterator[AudioApiServer]:
    with audio_api_server() as running:
        yield running


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """A file of 80 KiB; the server does not mind that it is no MP3."""
    path = tmp_path / "0001 the board's meeting.mp3"
    path.write_bytes(bytes(range(256)) * 320)
    return path
