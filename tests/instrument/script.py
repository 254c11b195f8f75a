"""What is said when: numbers counting up, with pauses as in speech, none at all, or very long ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.instrument.tones import RATE, WORD_SAMPLES

Spans = Sequence[tuple[float, float]]
"""Stretches of a recording, [start, end) in seconds."""


@dataclass(frozen=True, slots=True)
class SpokenNumber:
    """A word of the truth: what is said, and at which sample."""

    number: int
    start_sample: int

    @property
    def text(self) -> str:
        """The word as the recogniser writes it."""
        return str(self.number)

    @property
    def start_ms(self) -> float:
        """When it begins."""
        return self.start_sample / RATE * 1000


def script(seconds: float, seed: int = 1, *, gapless: Spans = (), silences: Spans = ()) -> list[SpokenNumber]:
    """Say 0, 1, 2, … with gaps between words, pauses between sentences, and longer rests now and then.

    Args:
        seconds: how long the recording is.
        seed: of the pauses.
        gapless: stretches in which each word begins where the one before ends.
        silences: stretches in which nothing is said, not even in a gapless one.
    """
    random_ = random.Random(seed)
    spoken: list[SpokenNumber] = []
    position = RATE // 2
    ends = round(seconds * RATE) - RATE // 2
    for kind, start, end in _stretches(ends, _samples(gapless), _samples(silences)):
        position = max(position, start)
        places = iter(()) if kind == "silence" else _places(position, end, random_, gapless=kind == "gapless")
        for place in places:
            spoken.append(SpokenNumber(len(spoken), place))
            position = place + WORD_SAMPLES
    return spoken


def _places(start: int, end: int, random_: random.Random, *, gapless: bool) -> Iterator[int]:
    """Yield where words begin, all of which end before the stretch does."""
    position, left = start, random_.randint(4, 12)
    while position + WORD_SAMPLES <= end:
        yield position
        position += WORD_SAMPLES
        if gapless:
            continue
        position += random_.randint(RATE // 16, RATE // 8)
        left -= 1
        if not left:
            rest = random_.choice([0.35, 0.5, 0.7, 0.9, 2.0 if random_.random() < 0.1 else 0.6])
            position += int(rest * RATE)
            left = random_.randint(4, 12)


def _stretches(
    end: int, gapless: list[tuple[int, int]], silences: list[tuple[int, int]]
) -> Iterator[tuple[str, int, int]]:
    edges = sorted({0, end, *(edge for span in (*gapless, *silences) for edge in span if edge < end)})
    for first, last in pairwise(edges):
        if _within(first, silences):
            yield "silence", first, last
        else:
            yield "gapless" if _within(first, gapless) else "speech", first, last


def _samples(spans: Spans) -> list[tuple[int, int]]:
    return [(round(start * RATE), round(end * RATE)) for start, end in spans]


def _within(sample: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= sample < end for start, end in spans)
