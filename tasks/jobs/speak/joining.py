"""Joining pieces of speech: what is quiet between them made a natural pause, without a click. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

RATE = 24_000
_FRAME = RATE // 100
"""10 ms: what is quiet or not is told of these."""
_FADE = RATE // 200
"""5 ms: too short to be heard as one, long enough not to click."""
# -50 dB of full scale. The end of a word that is below lies within the part of a pause that is kept.
_QUIET = 104
# Of a pause, so much is the end of the piece before it; the rest is the start of the one after.
_PART_BEFORE = 0.6
_NOTHING = np.empty(0, np.int16)


class Joiner:
    """Takes samples piece by piece as they come, and gives those that can be told by then.

    Up to its last loud sound a piece is given at once; what is quiet behind that is held until it is known
    what follows. Inside a piece nothing is changed.
    """

    def __init__(self) -> None:
        self._rest = _NOTHING
        self._tail = _NOTHING
        self._lead = _NOTHING
        self._pause = 0
        self._is_leading = False
        self._has_sounded = False

    def begin(self, pause_ms: int | None) -> None:
        """Begin a piece; ``pause_ms`` is the pause before it, None: it is the first."""
        self._is_leading = pause_ms is not None
        self._pause = (pause_ms or 0) * RATE // 1000

    def feed(self, samples: Samples) -> Samples:
        """Take what follows of a piece; returns what is to be heard next."""
        given = np.concatenate([self._rest, samples])
        whole = given.size // _FRAME * _FRAME
        self._rest = given[whole:]
        return self._take(given[:whole])

    def end(self) -> Samples:
        """End a piece; returns what is to be heard next."""
        last, self._rest = self._rest, _NOTHING
        out = self._take(last)
        # A piece without a sound is left out; the pause is that of the next one.
        self._lead = _NOTHING
        return out

    def finish(self) -> Samples:
        """End the last piece; returns what is left."""
        out = np.concatenate([self.end(), self._tail])
        self._tail = _NOTHING
        return out

    def _take(self, samples: Samples) -> Samples:
        if not self._is_leading:
            return self._go_on(samples)
        lead = np.concatenate([self._lead, samples])
        loud = _loud_frames(lead)
        if not loud.size:
            self._lead = lead
            return _NOTHING
        first = int(loud[0]) * _FRAME
        self._is_leading, self._lead = False, _NOTHING
        gap, kept = self._bridge(lead[:first])
        return np.concatenate([gap, self._go_on(_faded(np.concatenate([kept, lead[first:]]), 0.0, 1.0))])

    def _go_on(self, samples: Samples) -> Samples:
        """Give all up to shortly before the end of the last loud sound, and hold the rest."""
        held = np.concatenate([self._tail, samples])
        loud = _loud_frames(samples)
        if not loud.size and not self._has_sounded:
            # Whoever listens is not to wait for the first word.
            return held
        if not loud.size:
            self._tail = held
            return _NOTHING
        self._has_sounded = True
        end = held.size - samples.size + min(samples.size, (int(loud[-1]) + 1) * _FRAME)
        cut = max(0, end - _FADE)
        self._tail = held[cut:]
        return held[:cut]

    def _bridge(self, lead: Samples) -> tuple[Samples, Samples]:
        """Return the end of the piece before with the pause, and what is kept of the start of this one."""
        before = round(self._pause * _PART_BEFORE)
        tail, self._tail = self._tail[: _FADE + before], _NOTHING
        kept = lead[max(0, lead.size - (self._pause - before)) :]
        quiet = max(0, tail.size - _FADE) + kept.size
        silence = np.zeros(max(0, self._pause - quiet), np.int16)
        return np.concatenate([_faded(tail, 1.0, 0.0), silence]), kept


def _loud_frames(samples: Samples) -> NDArray[np.intp]:
    """Return the numbers of the frames that are loud; the last one may be short."""
    padded = np.zeros(-(-samples.size // _FRAME) * _FRAME, np.int32)
    padded[: samples.size] = np.abs(samples.astype(np.int32))
    return np.flatnonzero(padded.reshape(-1, _FRAME).max(axis=1, initial=0) > _QUIET)


def _faded(samples: Samples, start: float, end: float) -> Samples:
    """Fade the end of samples out, or their start in."""
    length = min(_FADE, samples.size)
    ramp = np.linspace(start, end, length, dtype=np.float32)
    out = samples.astype(np.float32)
    if start < end:
        out[:length] *= ramp
    else:
        out[out.size - length :] *= ramp
    return np.rint(out).astype(np.int16)
