"""Clustering by average linkage: which of many sounds are of one voice, by how alike they are.

Numbers in, numbers out: whoever has the embeddings says how alike they are. The mean likeness of two clusters
is that of their members, so a cluster of one part of a recording can be a member in the next round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterRule:
    """When to stop.

    Attributes:
        threshold: clusters less alike than this stay apart.
        at_least: no fewer clusters than this are made, where there are so many members.
        at_most: no more than this; None: as many as there are.
    """

    threshold: float
    at_least: int = 1
    at_most: int | None = None

    def goes_on(self, clusters: int, likeness: float) -> bool:
        """Tell whether the two clusters that are most alike become one."""
        if clusters <= max(1, self.at_least):
            return False
        return likeness >= self.threshold or (self.at_most is not None and clusters > self.at_most)


def cluster(likeness: Sequence[Sequence[float]], weights: Sequence[float], rule: ClusterRule) -> list[int]:
    """Put members into clusters; takes time and memory by the square of their number.

    Args:
        likeness: how alike each two members are: symmetrical; the diagonal is not looked at.
        weights: how much each counts, above 0.
        rule: when to stop.

    Returns:
        The number of each member's cluster, from 0 in order of their first members.
    """
    count = len(weights)
    if len(likeness) != count or any(len(row) != count for row in likeness):
        raise ValueError("how alike they are is not said of all pairs")
    merging = _Merging([list(row) for row in likeness], list(weights))
    while len(merging.alive) > 1:
        first, second, alike = merging.nearest()
        if not rule.goes_on(len(merging.alive), alike):
            break
        merging.merge(first, second)
    return _numbered(merging.parents)


def _numbered(parents: Sequence[int]) -> list[int]:
    numbers: dict[int, int] = {}
    found = []
    for member in range(len(parents)):
        top = member
        while parents[top] != top:
            top = parents[top]
        found.append(numbers.setdefault(top, len(numbers)))
    return found


class _Merging:
    """Clusters as they become fewer; each goes by the number of one of its members."""

    def __init__(self, rows: list[list[float]], weights: list[float]) -> None:
        self.parents = list(range(len(weights)))
        self.alive = list(self.parents)
        self._rows, self._weights = rows, weights
        # The cluster to which each is most alike.
        self._best = [self._find_best(number) for number in self.alive] if len(self.alive) > 1 else []

    def nearest(self) -> tuple[int, int, float]:
        """Return the two clusters that are most alike, and how alike they are."""
        rows, best = self._rows, self._best
        first = max(self.alive, key=lambda number: rows[number][best[number]])
        return first, best[first], rows[first][best[first]]

    def merge(self, first: int, second: int) -> None:
        """Let the second become part of the first."""
        rows, weights, best = self._rows, self._weights, self._best
        self.alive.remove(second)
        self.parents[second] = first
        total = weights[first] + weights[second]
        share, rest = weights[first] / total, weights[second] / total
        weights[first] = total
        kept, gone = rows[first], rows[second]
        for other in self.alive:
            if other != first:
                kept[other] = rows[other][first] = share * kept[other] + rest * gone[other]
        rows[second] = []
        if len(self.alive) < 2:
            return
        for other in self.alive:
            if best[other] in {first, second} or other == first:
                best[other] = self._find_best(other)
            elif rows[other][first] > rows[other][best[other]]:
                best[other] = first

    def _find_best(self, number: int) -> int:
        row = self._rows[number]
        return max((other for other in self.alive if other != number), key=row.__getitem__)
