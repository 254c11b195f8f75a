"""What the guide tells people to do: split by ffmpeg's segment muxer, then send the parts."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.bench.api import Api

_TIMEOUT_S = 300


def split(source: Path, folder: Path) -> list[Path]:
    """Split by the guide's recipe."""
    encoding = ("-f", "segment", "-segment_time", "600", "-c:a", "libmp3lame", "-b:a", "64k")
    _ffmpeg("-i", f"file:{source}", *encoding, f"file:{folder}/out%03d.mp3")
    return sorted(folder.glob("out*.mp3"))


def convert(source: Path, folder: Path) -> None:
    """Do in one process what any splitting must: decode, resample, mix and encode. The floor."""
    encoding = ("-ar", "16000", "-ac", "1", "-c:a", "libmp3lame", "-b:a", "64k", "-compression_level", "7")
    _ffmpeg("-i", f"file:{source}", *encoding, f"file:{folder}/whole.mp3")


def decode(source: Path) -> None:
    """Decode from the start to the end, and drop it."""
    _ffmpeg("-threads", "1", "-i", f"file:{source}", "-ar", "16000", "-ac", "1", "-f", "s16le", "/dev/null")


def transcribe(parts: Sequence[Path], api: Api, at_once: int) -> str:
    """Send the parts, so many at a time; returns the joined text."""
    return asyncio.run(_transcribe(parts, api, at_once))


async def _transcribe(parts: Sequence[Path], api: Api, at_once: int) -> str:
    room = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:

        async def send(part: Path) -> str:
            async with room:
                sound = await asyncio.to_thread(part.read_bytes)
                reply = await client.post(
                    f"{api.base_url}/audio/transcriptions",
                    data={"model": "whisper-1", "response_format": "verbose_json"},
                    files={"file": (part.name, sound, "audio/mpeg")},
                )
            return str(reply.raise_for_status().json()["text"])

        return " ".join(await asyncio.gather(*map(send, parts)))


def _ffmpeg(*args: str) -> None:
    subprocess.run([find_ffmpeg().path, "-hide_banner", "-nostdin", "-v", "error", "-y", *args], check=True)
