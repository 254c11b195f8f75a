"""The recordings that are measured on, made once and kept in the system's folder for temporary files.

A name says all that a source depends on, with a digest of the code that says the words; it appears under
that name when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stenoflow.tasks.engine import sample
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.instrument import recording
from tests.instrument.recording import SpokenNumber, script
from tests.instrument.tones import RATE

CACHE = Path(tempfile.gettempdir(), "stenoflow-bench")
LATE_S = 3.7

# A decoder that finds no Xing header does not know of the encoder's delay: it hears all words this late.
_ENCODER_DELAY_MS = 1105 / RATE * 1000
_WRITERS = 2


@dataclass(frozen=True, slots=True)
class ToneSource:
    """A recording of tone speech.

    Attributes:
        shift_ms: how far behind the script its words are heard.
    """

    name: str
    path: Path
    shift_ms: float = 0.0


def truth(hours: float) -> list[SpokenNumber]:
    """Return the words of every tone source of a length."""
    return script(hours * 3600)


def tone_sources(hours: float) -> list[ToneSource]:
    """Return the same speech in the kinds of file that have timelines of their own."""
    with ThreadPoolExecutor(_WRITERS) as pool:
        # The slowest to write first.
        opus = pool.submit(_tones, hours, "opus.ogg", "-c:a", "libopus", "-compression_level", "3")
        mp3 = pool.submit(_tones, hours, "vbr.mp3", "-q:a", "4")
        aac = pool.submit(_tones, hours, "aac.m4a", "-c:a", "aac", "-b:a", "64k", "-aac_coder", "fast")
        flac = pool.submit(_tones, hours, "flac.flac")
        plain = pool.submit(_without_index, mp3.result())
        late = pool.submit(_late_in_video, opus.result(), hours)
    return [
        ToneSource("MP3 VBR", mp3.result()),
        ToneSource("MP3 VBR, no index", plain.result(), _ENCODER_DELAY_MS),
        ToneSource("AAC in M4A", aac.result()),
        ToneSource("FLAC", flac.result()),
        ToneSource("Opus in Ogg", opus.result()),
        ToneSource("MKV, late audio", late.result(), LATE_S * 1000),
    ]


def stereo(hours: float) -> Path:
    """Return a 128 kbps MP3 at 48 kHz, as recorders write them.

    It is the sample meeting again and again, an hour of which longer ones repeat.
    """
    hour = _stereo_hour(min(1.0, hours))
    if hours <= 1:
        return hour
    looped = ("-stream_loop", "-1", "-i", f"file:{hour}", "-t", f"{hours * 3600:.3f}", "-c", "copy")
    return _cached(f"stereo-{hours:g}h.mp3", lambda path: _ffmpeg(*looped, f"file:{path}"))


def encoded(hours: float, name: str, *options: str) -> Path:
    """Return the same meeting in another kind of file."""
    source = stereo(hours)
    return _cached(
        f"stereo-{hours:g}h-{name}", lambda path: _ffmpeg("-i", f"file:{source}", *options, f"file:{path}")
    )


def crowd(number: int, each_s: int) -> Path:
    """Return a folder of as many short WAV files, each with sound of its own."""
    source = encoded(1.0, "pcm.wav")

    def write(folder: Path) -> None:
        pieces = ("-f", "segment", "-segment_time", str(each_s), "-t", str(number * each_s), "-c", "copy")
        folder.mkdir()
        _ffmpeg("-i", f"file:{source}", *pieces, f"file:{folder}/meeting-%03d.wav")

    return _cached(f"crowd-{number}-{each_s}s", write)


def joined(name: str, parts: list[Path]) -> Path:
    """Return WAV files of the same kind as one."""
    return _cached(f"{name}.wav", lambda path: _join(path, parts))


def warm(path: Path) -> None:
    """Read a file, so that no run finds it colder than another."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def _stereo_hour(hours: float) -> Path:
    # Voices, one side louder, over a room's noise: encoders spend a third more on it than on tones.
    mixed = (
        "[0:a]aresample=48000,pan=stereo|c0=c0|c1=0.7*c0[voices];"
        "anoisesrc=r=48000:a=0.003:seed=1[left];anoisesrc=r=48000:a=0.003:seed=2[right];"
        "[left][right]join=inputs=2:channel_layout=stereo[room];"
        "[voices][room]amix=inputs=2:normalize=0"
    )
    args = ("-stream_loop", "-1", "-i", f"file:{sample.sound()}", "-filter_complex", mixed)
    encoding = ("-t", f"{hours * 3600:.3f}", "-b:a", "128k", "-compression_level", "7")
    return _cached(f"stereo-{hours:g}h.mp3", lambda path: _ffmpeg(*args, *encoding, f"file:{path}"))


def _tones(hours: float, name: str, *options: str) -> Path:
    return _cached(
        f"tones-{hours:g}h-{name}", lambda path: recording.write(path, truth(hours), hours * 3600, *options)
    )


def _without_index(mp3: Path) -> Path:
    args = ("-i", f"file:{mp3}", "-c", "copy", "-write_xing", "0")
    return _cached(f"{mp3.stem}-no-index.mp3", lambda path: _ffmpeg(*args, f"file:{path}"))


def _late_in_video(ogg: Path, hours: float) -> Path:
    picture = f"testsrc=size=64x36:rate=1:duration={hours * 3600 + LATE_S:.3f}"
    args = ("-itsoffset", f"{LATE_S}", "-i", f"file:{ogg}", "-f", "lavfi", "-i", picture)
    kept = ("-map", "1:v", "-map", "0:a", "-c:v", "mpeg4", "-c:a", "copy")
    return _cached(f"{ogg.stem}-late.mkv", lambda path: _ffmpeg(*args, *kept, f"file:{path}"))


def _cached(name: str, make: Callable[[Path], object]) -> Path:
    path = CACHE / _code_digest() / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"partial-{os.getpid()}-{name}")
        try:
            make(partial)
            partial.replace(path)
        finally:
            _remove(partial)
    return path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@cache
def _code_digest() -> str:
    folder = Path(recording.__file__).parent
    code = [folder / f"{name}.py" for name in ("beds", "recording", "script", "tones")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in [*code, Path(__file__)])).hexdigest()[:12]


def _ffmpeg(*args: str) -> None:
    subprocess.run([find_ffmpeg().path, "-v", "error", "-nostdin", "-y", *args], check=True)


def _join(path: Path, parts: list[Path]) -> None:
    with wave.open(str(path), "wb") as whole:
        for part in parts:
            with wave.open(str(part), "rb") as file:
                if not whole.getnframes():
                    whole.setparams(file.getparams())
                whole.writeframes(file.readframes(file.getnframes()))
