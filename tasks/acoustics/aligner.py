"""Align text to sound: `align` finds when each word is said, by the aligners that know the language.

pocketsphinx knows English, to 10 ms, and loses its way where words are wrong or lacking. hama, where its
extra is installed, takes other languages, to 20 ms, and tells where a text is not what is said. Whisper knows
the languages of its weights, less exactly, and does not lose its way: it takes what those cannot, and where
that is English, says roughly where the words are, so that pocketsphinx finds them in short pieces.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.acoustics.pocketsphinx_program import LONGEST_FRAMES
from stenoflow.tasks.transcript.alignment import AlignmentPiece, with_times
from stenoflow.tasks.transcript.holes import total_ms
from stenoflow.tasks.transcript.regions import FRAME_MS
from stenoflow.tasks.transcript.spoken_english import spoken_english
from stenoflow.tasks.transcript.timecode import samples_to_ms
from stenoflow.tasks.transcript.types import Region
from stenoflow.tasks.transcript.word_timing import AlignedWords

_log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).with_name("pocketsphinx_program.py")
_WHISPER = Path(__file__).with_name("whisper_program.py")
_HAMA = Path(__file__).with_name("hama_program.py")
# Stands in the name of the aligner: raised where the same sound and text get other times.
_RULES = 2
# By so much the words of these weights begin too early, chosen on 166 English words of five clips.
_EARLY_MS = {"base": 60}
_ENGLISH = "en"
# Where nobody says which language it is, most of its words must be in the dictionary.
_KNOWN = 0.7
# It takes 0.03 to 0.1 CPU seconds a second; a machine that is slow and busy takes a hundred times as long.
_PATIENCE = 10
# Its score a frame of words that are wrong, and of those beside them. Where every tenth word is wrong or
# missing, up to 31 % have it, six of eight in a row, and 88 to 99 % are at their places all the same; where
# twelve in a row were missing, 36 %, eight of eight, and 55 % were.
_UNLIKE, _MOST_UNLIKE = -4.0, 1 / 3
_ROW, _MOST_UNLIKE_IN_A_ROW = 8, 6
# So much of a sound is listened to for a voice, the more where the less has none, and must have it.
_SAMPLES_MS, _LEAST_VOICE_MS = (4_000, 10_000), 1_000
# Beside the processes that decode, encode and serve.
_AT_ONCE = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))


Placed = tuple[int, int, float]
Found = list[list[Placed | None] | None]
"""For each piece, for each word its frames of 10 ms, [first, one past the last), and how well it fits."""
AlignPieces = Callable[[Sequence[AlignmentPiece], NDArray[np.int16]], Found]


@dataclass(frozen=True, slots=True)
class AlignmentWeights:
    """Weights of Whisper to align with.

    Attributes:
        name: as Whisper's makers call the model.
        languages: ISO 639-1 codes of those that it knows.
        files: where the parts of each file are.
        sha256: that files must have.
    """

    name: str
    languages: frozenset[str]
    files: Mapping[str, Sequence[Path]]
    sha256: Mapping[str, str]


def align(
    sound: NDArray[np.int16],
    pieces: Sequence[AlignmentPiece],
    language: str | None,
    weights: AlignmentWeights | None = None,
) -> AlignedWords | None:
    """Find when the words of a text are said, in processes of their own.

    Args:
        sound: 16 kHz mono.
        pieces: the text, with where its parts are.
        language: ISO 639-1; None: unknown.
        weights: for what pocketsphinx and hama cannot align; None: nothing is.

    Returns:
        All words in order; None where the text or the sound is not for an aligner that is there, or where it
        found too little.
    """
    if not pieces or not _has_voice(sound, pieces[0].region):
        return None
    search = _Search(sound, pieces)
    spoken = [at for at, piece in enumerate(pieces) if piece.words]
    able = weights if weights is not None and (language or _ENGLISH) in weights.languages else None
    is_english = language in {None, _ENGLISH}
    pocketsphinx = partial(_by_pocketsphinx, language)
    if is_english:
        search.ask((_pocketsphinx_name(),), partial(pocketsphinx, pass_over=able is None), spoken)
    lost = [at for at in spoken if _is_doubtful(search.found[at])]
    if language != _ENGLISH:
        nowhere = [at for at in lost if search.found[at] is None]
        placed = search.ask_hama(nowhere, sure=True)
        lost = [at for at in lost if at not in placed]
    if able is not None:
        roughly = search.ask((_whisper_name(able),), partial(_by_whisper, language, able), lost)
        if is_english:
            rough = [search.found[at] for at in roughly]
            names = _pocketsphinx_name(), _whisper_name(able)
            search.ask(names, partial(pocketsphinx, rough=rough), roughly)
    search.ask_hama([at for at in lost if search.found[at] is None], sure=False)
    aligners = dict.fromkeys(chain.from_iterable(search.by))
    if not aligners:
        return None
    regions = chain.from_iterable(
        _regions(placed, len(piece.words)) for piece, placed in zip(pieces, search.found, strict=True)
    )
    words = [word for piece in pieces for word in piece.words]
    timed = with_times(words, list(regions), Region(0, samples_to_ms(sound.size)))
    return AlignedWords(", ".join(aligners), tuple(timed))


@dataclass(slots=True)
class _Search:
    """The best that was found of each piece, and by whom."""

    sound: NDArray[np.int16]
    pieces: Sequence[AlignmentPiece]
    found: Found = field(init=False)
    by: list[tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.found = [None] * len(self.pieces)
        self.by = [()] * len(self.pieces)

    def ask(self, names: tuple[str, ...], ask: AlignPieces, places: Sequence[int]) -> list[int]:
        """Have some of the pieces aligned; returns which of them were."""
        if not places:
            return []
        try:
            more = ask([self.pieces[at] for at in places], self.sound)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            # Times are what they were before: that is no reason to fail.
            _log.warning("words could not be aligned by %s: %s", ", ".join(names), error)
            return []
        placed = [at for at, words in zip(places, more, strict=True) if words is not None]
        for at in placed:
            self.by[at] = names
        for at, words in zip(places, more, strict=True):
            self.found[at] = self.found[at] if words is None else words
        return placed

    def ask_hama(self, places: Sequence[int], *, sure: bool) -> list[int]:
        """Have hama align some of the pieces, if it is installed; returns which of them were."""
        if find_spec("hama") is None:
            return []
        return self.ask((f"hama {version('hama')}+{_RULES}",), partial(_by_hama, sure=sure), places)


def _pocketsphinx_name() -> str:
    return f"pocketsphinx {version('pocketsphinx')}+{_RULES}"


def _whisper_name(weights: AlignmentWeights) -> str:
    return f"whisper-{weights.name}, faster-whisper {version('faster-whisper')}+{_RULES}"


def _is_doubtful(placed: Sequence[Placed | None] | None) -> bool:
    """Tell whether the path was lost, so that times beside what does not fit are wrong, too."""
    if placed is None:
        return True
    there = [each for each in placed if each is not None]
    if any(end - first > LONGEST_FRAMES for first, end, _ in there):
        return True
    unlike = [score < _UNLIKE for *_, score in there]
    rows = (sum(unlike[at : at + _ROW]) for at in range(len(unlike)))
    return sum(unlike) > _MOST_UNLIKE * len(unlike) or max(rows, default=0) > _MOST_UNLIKE_IN_A_ROW


def _by_pocketsphinx(
    language: str | None,
    pieces: Sequence[AlignmentPiece],
    sound: NDArray[np.int16],
    *,
    rough: Found | None = None,
    pass_over: bool = False,
) -> Found:
    request = {
        "least_known": 0 if language else _KNOWN,
        "pass_over": pass_over,
        "pieces": [
            [*_frames(piece), _spoken(piece.words), near]
            for piece, near in zip(pieces, rough or [None] * len(pieces), strict=True)
        ],
    }
    found: Found = _ask(_PROGRAM, request, sound)
    return found


def _by_whisper(
    language: str | None,
    weights: AlignmentWeights,
    pieces: Sequence[AlignmentPiece],
    sound: NDArray[np.int16],
) -> Found:
    request = {
        "files": {name: [str(part) for part in parts] for name, parts in weights.files.items()},
        "sha256": dict(weights.sha256),
        "language": language,
        "early": _EARLY_MS.get(weights.name, 0) // FRAME_MS,
        "pieces": [[*_frames(piece), piece.words] for piece in pieces],
    }
    found: Found = _ask(_WHISPER, request, sound)
    return found


def _by_hama(pieces: Sequence[AlignmentPiece], sound: NDArray[np.int16], *, sure: bool) -> Found:
    request = {"sure": sure, "pieces": [[*_frames(piece), piece.words] for piece in pieces]}
    found: Found = _ask(_HAMA, request, sound)
    return found


def _frames(piece: AlignmentPiece) -> tuple[int, int]:
    return piece.region.start_ms // FRAME_MS, piece.region.end_ms // FRAME_MS


def _has_voice(sound: NDArray[np.int16], region: Region) -> bool:
    """Tell whether there is a voice at all: an aligner finds words in any sound."""
    from stenoflow.tasks.acoustics.voice import find_voice  # noqa: PLC0415 - loads a model

    middle = (region.start_ms + region.end_ms) // 2
    for sample_ms in _SAMPLES_MS:
        start_ms = max(region.start_ms, middle - sample_ms // 2)
        voice = find_voice(sound, Region(start_ms, min(region.end_ms, start_ms + sample_ms)))
        if total_ms(voice.regions) >= min(_LEAST_VOICE_MS, region.duration_ms // 4):
            return True
    return False


def _spoken(words: Sequence[str]) -> list[list[str]]:
    return [spoken_english(word) for word in words]


def _ask(program: Path, request: object, sound: NDArray[np.int16]) -> Any:
    with _AT_ONCE:
        # -P keeps the program's folder, where our own modules lie, off its path.
        ended = subprocess.run(
            [sys.executable, "-P", str(program)],
            input=json.dumps(request).encode() + b"\n" + sound.tobytes(),
            capture_output=True,
            check=True,
            timeout=60 + _PATIENCE * samples_to_ms(sound.size) / 1000,
            start_new_session=True,
        )
    return json.loads(ended.stdout)


def _regions(placed: Sequence[Placed | None] | None, count: int) -> list[Region | None]:
    if placed is None:
        return [None] * count
    return [None if each is None else Region(each[0] * FRAME_MS, each[1] * FRAME_MS) for each in placed]
