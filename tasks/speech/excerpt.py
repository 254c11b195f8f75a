"""What of a recording is sent as one segment: spans of it, joined, and the way back to its timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from tasks.speech.timecode import ms_to_samples, samples_to_ms
from tasks.speech.words import Region, Word


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Spans of a recording that are sent joined, without what lies between them.

    Attributes:
        spans: (first sample, one past the last) in the linear decode; in order, apart, none empty.
    """

    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of_regions(cls, regions: Iterable[Region], start_sample: int, end_sample: int) -> Self:
        """Make one of regions (ms from ``start_sample``), clipped at ``end_sample``."""
        spans = (
            (start_sample + ms_to_samples(region.start_ms), start_sample + ms_to_samples(region.end_ms))
            for region in regions
        )
        return cls(tuple((first, min(end, end_sample)) for first, end in spans if first < end_sample))

    @property
    def samples(self) -> int:
        """How many samples are sent."""
        return sum(end - first for first, end in self.spans)

    @property
    def duration_ms(self) -> int:
        """How long the joined sound is."""
        return samples_to_ms(self.samples)

    def clipped(self, regions: Iterable[Region], start_sample: int) -> list[Region]:
        """Leave out of regions (ms from ``start_sample``) what is not sent."""
        inside = self._inside(regions, start_sample)
        return [_region(first - start_sample, end - start_sample) for first, end, _ in inside]

    def joined(self, regions: Iterable[Region], start_sample: int) -> list[Region]:
        """Bring regions of the recording (ms from ``start_sample``) to the joined sound's time."""
        inside = self._inside(regions, start_sample)
        return [_region(first + shift, end + shift) for first, end, shift in inside]

    def part(self, region: Region) -> tuple[tuple[int, int], ...]:
        """Return where in the recording a region of the joined sound is, as spans."""
        begin, finish = ms_to_samples(region.start_ms), ms_to_samples(region.end_ms)
        return tuple(
            (first + max(0, begin - offset), min(end, first + finish - offset))
            for offset, (first, end) in self._placed()
            if max(begin, offset) < min(finish, offset + end - first)
        )

    def on_timeline(self, words: Sequence[Word], origin_ms: int) -> list[Word]:
        """Bring words of the joined sound to the recording's timeline.

        A word stays in one span, that of its middle: an engine's times may reach a little into the next.

        Args:
            words: times in ms from the start of the joined sound.
            origin_ms: where the recording's first sample lies on its timeline.
        """
        return [self._on_timeline(word, origin_ms) for word in words]

    def _inside(self, regions: Iterable[Region], start_sample: int) -> Iterator[tuple[int, int, int]]:
        """Yield (first, end) of what of the regions is sent, and how far that moves when it is joined."""
        for region in regions:
            begin = start_sample + ms_to_samples(region.start_ms)
            finish = start_sample + ms_to_samples(region.end_ms)
            for offset, (first, end) in self._placed():
                if max(begin, first) < min(finish, end):
                    yield max(begin, first), min(finish, end), offset - first

    def _on_timeline(self, word: Word, origin_ms: int) -> Word:
        middle = ms_to_samples(word.start_ms + word.end_ms) // 2
        offset, (first, end) = next(
            (place for place in self._placed() if middle < place[0] + place[1][1] - place[1][0]),
            self._placed()[-1],
        )
        shift_ms = origin_ms + samples_to_ms(first) - samples_to_ms(offset)
        low_ms, high_ms = origin_ms + samples_to_ms(first), origin_ms + samples_to_ms(end)
        start_ms = min(max(low_ms, word.start_ms + shift_ms), high_ms)
        return Word(word.text, start_ms, max(start_ms, min(high_ms, word.end_ms + shift_ms)), word.confidence)

    def _placed(self) -> list[tuple[int, tuple[int, int]]]:
        """Return each span with the sample of the joined sound at which it begins."""
        placed = []
        offset = 0
        for first, end in self.spans:
            placed.append((offset, (first, end)))
            offset += end - first
        return placed


def _region(first: int, end: int) -> Region:
    return Region(samples_to_ms(first), samples_to_ms(end))
