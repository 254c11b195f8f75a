"""Row wer: what cutting costs in understanding, on real speech by the embedded engine.

``python -m tests.bench.accuracy`` prints how well and how fast each model of the embedded engine recognises
each kind of speech, by the whole program, in segments of several lengths.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import jiwer

from stenoflow.tasks.transcript.second_opinion import said_words
from tests.bench import product
from tests.bench.measuring import spending
from tests.bench.report import Measured, at_most
from tests.bench.scale import Scale
from tests.bench.sources import joined
from tests.real_speech import FOLDER, KINDS, write_wav

_MODEL = "pocketsphinx"
# With a hundred seconds of speech a word more or less is 0.004: the mean of several ways to cut it says more.
_CUT_S = (20, 30, 45)
_UNCUT_S = 1_300
_WORSE = 0.005
# Of the table, by model. The others know English only, and pocketsphinx is too slow to say it all.
_LENGTHS_S = {"whisper-base": (60, 120, 600), "whisper-tiny.en": (60, 120, 600), "pocketsphinx": (60,)}
_ALL_LANGUAGES = "whisper-base"


def measure_wer(scale: Scale) -> Measured:
    """Hear a reading cut into short segments, and whole."""
    del scale  # There is as much speech as there is.
    parts = sorted(FOLDER.glob("LJ001-*.wav"))
    if not parts:
        return Measured.not_run(f"there is no speech in {FOLDER}")
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


def main() -> None:
    """Print a table."""
    sys.stdout.write("| model | segments | kind | words | wrong | without words | CPU s an hour |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    with tempfile.TemporaryDirectory() as folder:
        for model, lengths_s in _LENGTHS_S.items():
            for shorter_s, seconds in pairwise((0, *lengths_s)):
                _tell(model, seconds, list(_recordings(Path(folder), model, shorter_s)))


def _recordings(folder: Path, model: str, longer_than_s: int) -> Iterator[Path]:
    """Yield the recordings that a model knows, without those that are one segment anyway."""
    for name, kind in KINDS.items():
        sound = kind.sound()
        if (kind.language == "en" or model == _ALL_LANGUAGES) and sound.size > longer_than_s * kind.rate:
            yield write_wav(folder / f"{name}.wav", sound, kind.rate)


def _tell(model: str, seconds: int, paths: list[Path]) -> None:
    options = ("--model", model, "--segment-seconds", str(seconds))
    with product.empty_home() as home, spending() as spent:
        done = product.transcribe(home, None, *paths, *options, whole=False)
        lines = {Path(line["source"]).stem: line for line in done.lines}
        texts = {name: product.transcript(line)["text"] for name, line in lines.items()}
    rate = spent.cpu_s / sum(line["duration"] for line in lines.values()) * 3600
    for name, line in lines.items():
        said, heard = said_words(KINDS[name].text()), said_words(texts[name])
        wrong = jiwer.wer(" ".join(said), " ".join(heard))
        lacking_s = sum(end - start for start, end in [*line["missing"], *line.get("suspect", [])])
        measured = f"{len(said)} | {wrong:.1%} | {lacking_s:.0f} of {line['duration']:.0f} s | {rate:.0f}"
        sys.stdout.write(f"| {model} | {seconds} s | {name} | {measured} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
