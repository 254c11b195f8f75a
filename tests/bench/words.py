"""Rows words and times: what becomes of each word of a long recording, and of its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from tests.bench import product
from tests.bench.api import running_api
from tests.bench.report import Figure, Measured
from tests.bench.scale import Scale
from tests.bench.sources import ToneSource, tone_sources, truth
from tests.instrument.recogniser import CUT
from tests.instrument.recording import SpokenNumber

_LAST_MS = 3_600_000
_P99_MS = 5
_MOST_MS = 20


@dataclass(frozen=True, slots=True)
class Account:
    """What became of a recording's words; errors of their starts, in ms, over its last hour."""

    source: str
    words: int
    lost: int
    doubled: int
    cut: int
    out_of_order: int
    measured: int
    mean_ms: float
    p99_ms: float
    most_ms: float

    @property
    def wrong(self) -> int:
        """Words that are not as they should be."""
        return self.lost + self.doubled + self.cut + self.out_of_order


def measure_words(scale: Scale) -> Measured:
    """Count words that were lost, doubled, cut or put elsewhere."""
    accounts = _transcribed(scale.long_hours)
    figures = [
        Figure(
            f"words lost, doubled, cut, out of order: {account.source}, {scale.long_hours:g} h",
            f"{account.lost}, {account.doubled}, {account.cut}, {account.out_of_order} of {account.words}",
            "0 each",
            reached=not account.wrong,
        )
        for account in accounts
    ]
    return Measured(figures, {"sources": [asdict(account) for account in accounts]})


def measure_times(scale: Scale) -> Measured:
    """Measure how far from the truth words begin in the last hour."""
    accounts = _transcribed(scale.long_hours)
    figures = [
        Figure(
            f"error of starts in the last hour, p99 and most: {account.source}",
            f"{account.p99_ms:.1f}, {account.most_ms:.1f} ms (mean {account.mean_ms:+.1f})",
            f"≤ {_P99_MS}, {_MOST_MS} ms",
            reached=account.p99_ms <= _P99_MS and account.most_ms <= _MOST_MS,
        )
        for account in accounts
    ]
    return Measured(figures, {"sources": [asdict(account) for account in accounts]})


def account_for(source: ToneSource, said: Sequence[SpokenNumber], heard: Sequence[dict[str, Any]]) -> Account:
    """Hold what was heard against what was said."""
    numbers = [(int(word["word"]), word["start"] * 1000) for word in heard if word["word"].isdecimal()]
    times = Counter(number for number, _ in numbers)
    starts = dict(reversed(numbers))
    last_ms = said[-1].start_ms - _LAST_MS
    errors = np.array(
        [
            starts[word.number] - source.shift_ms - word.start_ms
            for word in said
            if word.start_ms >= last_ms and word.number in starts
        ]
    )
    return Account(
        source.name,
        len(said),
        lost=len({word.number for word in said} - times.keys()),
        doubled=sum(times.values()) - len(times),
        cut=sum(word["word"] == CUT for word in heard),
        out_of_order=sum(
            after < before for before, after in pairwise(starts[number] for number in sorted(starts))
        ),
        measured=errors.size,
        mean_ms=float(errors.mean()),
        p99_ms=float(np.percentile(np.abs(errors), 99)),
        most_ms=float(np.abs(errors).max()),
    )


@cache
def _transcribed(hours: float) -> list[Account]:
    """Transcribe all sources by one command."""
    sources, said = tone_sources(hours), truth(hours)
    with running_api("tones") as api, product.empty_home() as home:
        done = product.transcribe(home, api, *(source.path for source in sources))
        lines = {line["source"]: line for line in done.lines}
        return [
            account_for(source, said, product.transcript(lines[source.path.as_uri()])["words"])
            for source in sources
        ]
