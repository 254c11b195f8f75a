"""Row wer: what cutting costs in understanding, on real speech by the embedded engine."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import jiwer

from tests.bench import product
from tests.bench.report import Measured, at_most
from tests.bench.scale import Scale
from tests.bench.sources import joined

_SPEECH = product.ROOT.parent / "shared" / "speech"
_MODEL = "pocketsphinx"
# With a hundred seconds of speech a word more or less is 0.004: the mean of several ways to cut it says more.
_CUT_S = (20, 30, 45)
_UNCUT_S = 1_300
_WORSE = 0.005


def measure_wer(scale: Scale) -> Measured:
    """Hear a reading cut into short segments, and whole."""
    del scale  # There is as much speech as there is.
    parts = sorted(_SPEECH.glob("LJ001-*.wav"))
    if not parts:
        return Measured.not_run(f"there is no speech in {_SPEECH}")
    source = joined("LJ001", parts)
    said = " ".join(part.with_suffix(".txt").read_text("utf-8") for part in parts)
    uncut = _heard(source, _UNCUT_S)
    cut = {seconds: _heard(source, seconds) for seconds in _CUT_S}
    rates = [_rate(said, text) for text in cut.values()]
    rate = _rate(said, uncut)
    shown = ", ".join(f"{each:.4f}" for each in rates)
    what = f"word error rate cut to {', '.join(map(str, _CUT_S))} s, its mean above that uncut"
    figure = at_most(
        what,
        statistics.mean(rates) - rate,
        _WORSE,
        detail=f"{shown} against {rate:.4f} of {len(said.split())} words",
    )
    return Measured(
        [figure], {"uncut": rate, "cut": rates, "texts": {"said": said, "cut": cut, "uncut": uncut}}
    )


def _heard(source: Path, segment_s: int) -> str:
    with product.empty_home() as home:
        done = product.transcribe(home, None, source, "--model", _MODEL, "--segment-seconds", str(segment_s))
        return str(product.transcript(done.lines[0])["text"])


def _rate(said: str, heard: str) -> float:
    return float(jiwer.wer(_plain(said), _plain(heard)))


def _plain(text: str) -> str:
    """Keep the words: no case, no punctuation."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))
