"""Baits: files and an address that only a hostile file names, and what tells that they were taken.

Their sound is a tone of 5 kHz for 40 s, which none of the recordings holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import socket
import struct
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAME = "canary"
SECONDS = 40
_TONE_HZ = 5_000
_RATE = 16_000
_IN_OPEN = 0x20
_EVENT = struct.Struct("iIII")


@dataclass(frozen=True, slots=True)
class Baits:
    """Where they lie.

    Attributes:
        outside: a folder that holds nothing else.
        beside: the folder of the files that name them.
        host: an address on this machine that waits for visitors.
    """

    outside: Path
    beside: Path
    host: tuple[str, int]

    @property
    def addresses(self) -> dict[str, str]:
        """The ways of naming one."""
        host, port = self.host
        return {
            "beside": f"{NAME}.wav",
            "absolute": f"{self.outside}/{NAME}.wav",
            "file-url": f"file://{self.outside}/{NAME}.wav",
            "http": f"http://{host}:{port}/{NAME}.wav",
        }


class Watch:
    """Sees which baits were taken since it was last asked."""

    def __init__(self, baits: Baits, visitors: socket.socket) -> None:
        self._visitors = visitors
        self._events = _watch(baits.outside, baits.beside) if sys.platform == "linux" else None

    def taken(self) -> list[str]:
        """Name the baits that were opened or visited."""
        opened = set() if self._events is None else _opened(self._events)
        names = [name for name in sorted(opened) if name in _NAMES]
        with contextlib.suppress(BlockingIOError):
            self._visitors.accept()[0].close()
            names.append("the address")
        return names


@contextlib.contextmanager
def watched_baits(outside: Path, beside: Path) -> Iterator[tuple[Baits, Watch]]:
    """Lay the baits out, and watch them."""
    tone = _tone()
    for folder in (outside, beside):
        folder.mkdir(parents=True, exist_ok=True)
        for name in _NAMES:
            (folder / name).write_bytes(tone)
    with socket.create_server(("127.0.0.1", 0)) as visitors:
        visitors.setblocking(False)
        baits = Baits(outside, beside, visitors.getsockname())
        yield baits, Watch(baits, visitors)


# As names with patterns would be expanded, too.
_NAMES = [f"{NAME}.wav", f"{NAME}.mp3", f"{NAME}01.mp3", f"{NAME}1.mp3"]


def is_bait(block: NDArray[np.int16]) -> bool:
    """Say whether a second of sound is mostly the baits' tone."""
    if block.size < _RATE // 2 or not block.any():
        return False
    power = np.abs(np.fft.rfft(block)) ** 2
    centre = _TONE_HZ * block.size // _RATE
    return bool(power[centre - 20 : centre + 21].sum() > 0.5 * power.sum())


def _tone() -> bytes:
    """Return the tone as WAV."""
    sound = 20_000 * np.sin(2 * np.pi * _TONE_HZ * np.arange(SECONDS * _RATE) / _RATE)
    raw = io.BytesIO()
    with wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(sound.astype("<i2").tobytes())
    return raw.getvalue()


def _watch(*folders: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    events: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    for folder in folders:
        assert libc.inotify_add_watch(events, os.fsencode(folder), _IN_OPEN) >= 0, os.strerror(
            ctypes.get_errno()
        )
    return events


def _opened(events: int) -> set[str]:
    names = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            names |= set(_names(os.read(events, 1 << 16)))
    return names


def _names(raw: bytes) -> Iterator[str]:
    at = 0
    while at < len(raw):
        *_, size = _EVENT.unpack_from(raw, at)
        at += _EVENT.size
        yield os.fsdecode(raw[at : at + size].rstrip(b"\0"))
        at += size
