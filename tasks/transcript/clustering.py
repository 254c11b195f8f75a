"""Clustering by average linkage: which of many sounds are of one voice, by how alike they are.

Numbers in, numbers out: whoever has the embeddings says how alike they are. The mean likeness of two clusters
is that of their members, so a cluster of one part of a recording can be a member in the next round.

Average linkage sees how the members scatter, and the likeness of the clusters' means does not. Each is wrong
about some pairs of clusters; both together are wrong about fewer, and it matters less where one of the
thresholds is a little off. And the more there is of two clusters, the more alike they are if they are one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterRule:
    """When to stop.

    Attributes:
        threshold: clusters less alike than this stay apart.
        mean_threshold: the same of their means, brought to length 1; None: the first alone decides. Where it
            is given, what counts is the mean of both likenesses, each as a share of its threshold.
        more: by this share more alike must two clusters be that weigh ``heavy`` or more each; less, in
            proportion, where one weighs less.
        at_least: no fewer clusters than this are made, where there are so many members.
        at_most: no more than this; None: as many as there are.
    """

    threshold: float
    at_least: int = 1
    at_most: int | None = None
    mean_threshold: float | None = None
    more: float = 0.0
    heavy: float = 1.0

    def goes_on(self, clusters: int, likeness: float) -> bool:
        """Tell whether the two clusters that are most alike become one."""
        if clusters <= max(1, self.at_least):
            return False
        enough = self.threshold if self.mean_threshold is None else 1.0
        return likeness >= enough or (self.at_most is not None and clusters > self.at_most)


def cluster(likeness: Sequence[Sequence[float]], weights: Sequence[float], rule: ClusterRule) -> list[int]:
    """Put members into clusters; takes time and memory by the square of their number.

    Args:
        likeness: how alike each two members are: symmetrical. The diagonal, how alike the parts of a member
            are to one another, is looked at for means alone.
        weights: how much each counts, above 0.
        rule: when to stop.

    Returns:
        The number of each member's cluster, from 0 in order of their first members.
    """
    count = len(weights)
    if len(likeness) != count or any(len(row) != count for row in likeness):
        raise ValueError("how alike they are is not said of all pairs")
    rows = [list(row) for row in likeness]
    if rule.mean_threshold is None:
        merging = _Merging(rows, list(weights))
    else:
        merging = _MergingByBoth(rows, list(weights), rule, rule.mean_threshold)
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
        best = self._best
        first = max(self.alive, key=lambda number: self._alike(number)(best[number]))
        return first, best[first], self._alike(first)(best[first])

    def merge(self, first: int, second: int) -> None:
        """Let the second become part of the first."""
        rows, weights, best = self._rows, self._weights, self._best
        self.alive.remove(second)
        self.parents[second] = first
        total = weights[first] + weights[second]
        share, rest = weights[first] / total, weights[second] / total
        weights[first] = total
        kept, gone = rows[first], rows[second]
        kept[first] = share**2 * kept[first] + 2 * share * rest * kept[second] + rest**2 * gone[second]
        for other in self.alive:
            if other != first:
                kept[other] = rows[other][first] = share * kept[other] + rest * gone[other]
        rows[second] = []
        if len(self.alive) < 2:
            return
        for other in self.alive:
            if best[other] in {first, second} or other == first:
                best[other] = self._find_best(other)
                continue
            alike = self._alike(other)
            if alike(first) > alike(best[other]):
                best[other] = first

    def _alike(self, number: int) -> Callable[[int], float]:
        """Return what tells how alike others are to a cluster."""
        return self._rows[number].__getitem__

    def _find_best(self, number: int) -> int:
        return max((other for other in self.alive if other != number), key=self._alike(number))


class _MergingByBoth(_Merging):
    """Holds how alike clusters are, and how alike their means, against a threshold each; 1 is enough."""

    def __init__(
        self, rows: list[list[float]], weights: list[float], rule: ClusterRule, mean_threshold: float
    ) -> None:
        self._rule, self._mean_threshold = rule, mean_threshold
        super().__init__(rows, weights)

    def _alike(self, number: int) -> Callable[[int], float]:
        rows, row, weights, rule = self._rows, self._rows[number], self._weights, self._rule
        own, weight = row[number], weights[number]

        def alike(other: int) -> float:
            lengths = math.sqrt(max(own * rows[other][other], 1e-12))
            share = (row[other] / rule.threshold + row[other] / lengths / self._mean_threshold) / 2
            return share / (1 + rule.more * min(1.0, weight / rule.heavy, weights[other] / rule.heavy))

        return alike
