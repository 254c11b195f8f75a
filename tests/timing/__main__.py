"""How exact the times of words are: ``python -m tests.timing``, with real speech whose word times are known.

A server answers without times: with the true text, with every tenth word wrong, with every tenth missing. The
words are timed by the sound, or estimated. Real speech is not in this repository: see `tests.real_speech`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests.real_speech import FOLDER, SpokenWord, spoken_words
from tests.servers.audio_api import Fields, audio_api_server, seconds_of

CLIPS = ("mfa-acoustic_corpus", "mfa-cold_corpus", "sense-0870", "sense-0880", "sense-0890")
Said = list[SpokenWord]
Change = Callable[[Said], Said]


def _as_it_is(words: Said) -> Said:
    return words


def _tenth_wrong(words: Said) -> Said:
    return [
        replace(word, text=words[7 * n % len(words)].text) if n % 10 == 5 else word
        for n, word in enumerate(words)
    ]


def _tenth_missing(words: Said) -> Said:
    return [word for n, word in enumerate(words) if n % 10 != 5]


def _without_fillers(words: Said) -> Said:
    return [word for word in words if word.text not in {"uh", "um"}]


VARIANTS: dict[str, tuple[Change, str]] = {
    "estimated": (_as_it_is, "never"),
    "aligned": (_as_it_is, "auto"),
    "aligned, without uh and um": (_without_fillers, "auto"),
    "aligned, every tenth word wrong": (_tenth_wrong, "auto"),
    "aligned, every tenth word missing": (_tenth_missing, "auto"),
}


def main() -> None:
    """Print a table."""
    truth = {name: spoken_words(name) for name in CLIPS}
    seconds = {name: seconds_of((FOLDER / f"{name}.wav").read_bytes()) for name in CLIPS}
    count = sum(len(words) for words in truth.values())
    sys.stdout.write(f"{count} words, {sum(seconds.values()):.0f} s, English\n\n")
    sys.stdout.write(
        "| words | median ms | p90 ms | within 100 / 200 ms | CPU s an hour |\n|---|---|---|---|---|\n"
    )
    for label, (change, align) in VARIANTS.items():
        errors, cpu_s = _measured(truth, seconds, change, align)
        within = [sum(error <= ms for error in errors) / len(errors) for ms in (100, 200)]
        p90 = quantiles(errors, n=10)[-1]
        rate = cpu_s / sum(seconds.values()) * 3600
        measured = f"{median(errors):.0f} | {p90:.0f} | {within[0]:.0%} / {within[1]:.0%} | {rate:.0f}"
        sys.stdout.write(f"| {label} | {measured} |\n")
        sys.stdout.flush()


def _measured(
    truth: dict[str, Said], seconds: dict[str, float], change: Change, align: str
) -> tuple[list[float], float]:
    """Return the errors of starts in ms, and the CPU time of the whole program in seconds."""
    said = {name: change(words) for name, words in truth.items()}

    def hear(sound: bytes, _fields: Fields) -> dict[str, Any]:
        name = min(CLIPS, key=lambda each: abs(seconds[each] - seconds_of(sound)))
        return {"text": " ".join(word.text for word in said[name])}

    before = _cpu_s()
    with tempfile.TemporaryDirectory() as folder, audio_api_server(hear) as server:
        settings = {
            "STENOFLOW_HOME": folder,
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "sk-test-0123456789",
        }
        options = ["--model", "gpt-4o-transcribe", "--align", align, "--json"]
        sources = [str(FOLDER / f"{name}.wav") for name in CLIPS]
        program = [sys.executable, "-c", "from stenoflow.flows.cli import main; main()", "transcribe"]
        ended = subprocess.run(
            [*program, *sources, *options], env=os.environ | settings, stdout=subprocess.PIPE, check=False
        )
        errors = [
            abs(word["start"] - true.start) * 1000
            for line in map(json.loads, ended.stdout.splitlines())
            for word, true in zip(_words(line), said[Path(line["source"]).stem], strict=True)
        ]
    return errors, _cpu_s() - before


def _words(line: dict[str, Any]) -> list[dict[str, Any]]:
    path = Path(line["artifacts"]["json"].removeprefix("file://"))
    words: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["words"]
    return words


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
