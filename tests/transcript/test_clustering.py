from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from math import acos, cos, hypot, sin
from operator import mul

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.clustering import ClusterRule, cluster


def likeness_of(points: list[float]) -> list[list[float]]:
    """Points on a line: 1 where they are the same, less the farther apart they are."""
    return [[1 - abs(one - other) for other in points] for one in points]


def partition(labels: list[int]) -> set[frozenset[int]]:
    return {frozenset(n for n, label in enumerate(labels) if label == each) for each in labels}


def test_what_is_alike_goes_together() -> None:
    labels = cluster(likeness_of([0.0, 0.9, 0.05, 0.95, 0.1]), [1] * 5, ClusterRule(0.5))
    assert labels == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        (ClusterRule(0.5, at_least=3), 3),
        (ClusterRule(0.99, at_most=2), 2),
        (ClusterRule(0.0, at_least=9), 5),
        (ClusterRule(2.0), 5),
        (ClusterRule(-9.0), 1),
    ],
)
def test_there_are_as_many_as_are_asked_for(rule: ClusterRule, count: int) -> None:
    assert len(set(cluster(likeness_of([0.0, 0.9, 0.05, 0.95, 0.1]), [1] * 5, rule))) == count


def test_a_cluster_is_as_alike_as_its_members_are_on_average() -> None:
    # 0 and 1 become one; then 2 is 0.35 like both on average, not 0.7 as it is like the nearer.
    likeness = [[1, 0.9, 0.7], [0.9, 1, 0.0], [0.7, 0.0, 1]]
    assert cluster(likeness, [1, 1, 1], ClusterRule(0.36)) == [0, 0, 1]
    assert cluster(likeness, [1, 1, 1], ClusterRule(0.34)) == [0, 0, 0]
    # One that weighs three times as much decides.
    assert cluster(likeness, [3, 1, 1], ClusterRule(0.5)) == [0, 0, 0]


def test_a_matrix_with_a_row_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="all pairs"):
        cluster([[1.0]], [1, 1], ClusterRule(0.5))


points = st.lists(st.floats(0, 1), max_size=14)


def scattered(count: int, seed: int) -> list[float]:
    """Points of which no two are as alike as two others: those could be merged in any order."""
    random_ = random.Random(seed)
    return [random_.random() for _ in range(count)]


@given(st.integers(0, 14), st.integers(0, 999), st.floats(-0.5, 1.2))
def test_the_order_of_members_changes_nothing_but_names(count: int, seed: int, threshold: float) -> None:
    spread, order = scattered(count, seed), random.Random(seed + 1).sample(range(count), count)
    straight = cluster(likeness_of(spread), [1] * count, ClusterRule(threshold))
    shuffled = cluster(likeness_of([spread[n] for n in order]), [1] * count, ClusterRule(threshold))
    assert partition(straight) == {frozenset(order[n] for n in group) for group in partition(shuffled)}


@given(points, st.integers(1, 14), st.integers(1, 14))
def test_bounds_hold(given_points: list[float], least: int, more: int) -> None:
    labels = cluster(
        likeness_of(given_points), [1] * len(given_points), ClusterRule(0.5, least, least + more - 1)
    )
    assert len(set(labels)) <= max(least + more - 1, 0)
    assert len(set(labels)) >= min(least, len(given_points))
    assert sorted(set(labels)) == list(range(len(set(labels))))


@given(points, st.floats(0, 1))
def test_what_is_apart_is_less_alike_than_the_threshold(given_points: list[float], threshold: float) -> None:
    likeness = likeness_of(given_points)
    groups = partition(cluster(likeness, [1] * len(given_points), ClusterRule(threshold)))
    for one, other in combinations(groups, 2):
        mean = sum(likeness[a][b] for a in one for b in other) / (len(one) * len(other))
        assert mean < threshold + 1e-9


@given(st.integers(0, 14), st.integers(0, 999), st.floats(0, 0.9))
def test_clusters_of_clusters_are_those_of_their_members(count: int, seed: int, threshold: float) -> None:
    likeness = likeness_of(scattered(count, seed))
    first = cluster(likeness, [1] * count, ClusterRule(0.9))
    groups = [[n for n in range(count) if first[n] == label] for label in range(len(set(first)))]
    means = [
        [sum(likeness[a][b] for a in one for b in other) / (len(one) * len(other)) for other in groups]
        for one in groups
    ]
    second = cluster(means, [len(group) for group in groups], ClusterRule(threshold))
    at_once = cluster(likeness, [1] * count, ClusterRule(threshold))
    assert partition([second[label] for label in first]) == partition(at_once)


def _gram(vectors: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[sum(map(mul, one, other)) for other in vectors] for one in vectors]


def _means(*angles_and_lengths: tuple[float, float]) -> list[tuple[float, float]]:
    """Return means of clusters: the shorter, the more their members scatter."""
    return [(length * cos(angle), length * sin(angle)) for angle, length in angles_and_lengths]


def test_means_that_are_alike_count_as_the_likeness_of_the_parts_does() -> None:
    rule = ClusterRule(0.64, mean_threshold=0.78)
    # Their parts are 0.6 alike, a little too few; scattered as they are, their means are 0.95.
    scattered = _gram(_means((0.0, 0.795), (0.318, 0.795)))
    assert cluster(scattered, [1, 1], rule) == [0, 0]
    assert cluster(scattered, [1, 1], ClusterRule(0.64)) == [0, 1]
    # As alike in their parts, and with nothing scattered in them: the means are as little alike.
    compact = _gram(_means((0.0, 1.0), (acos(0.6), 1.0)))
    assert cluster(compact, [1, 1], rule) == [0, 1]


def test_the_more_there_is_of_two_clusters_the_more_alike_they_must_be() -> None:
    alike = _gram(_means((0.0, 0.9), (0.5, 0.9)))
    rule = ClusterRule(0.64, mean_threshold=0.78, more=0.2, heavy=20)
    assert cluster(alike, [3, 90], rule) == [0, 0]
    assert cluster(alike, [15, 90], rule) == [0, 1]
    assert cluster(alike, [90, 90], ClusterRule(0.64, mean_threshold=0.78, more=0.05, heavy=20)) == [0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_by_both_thresholds_it_is_as_by_the_definition(seed: int) -> None:
    """Against means that are worked out anew after each step."""
    random_ = random.Random(seed)
    members = [(random_.uniform(0, 1.5), random_.uniform(0.5, 1)) for _ in range(random_.randint(2, 9))]
    vectors, weights = _means(*members), [random_.randint(1, 9) for _ in members]
    groups = [[number] for number in range(len(vectors))]

    def mean(group: list[int]) -> tuple[float, float]:
        total = sum(weights[each] for each in group)
        x, y = (sum(weights[each] * vectors[each][axis] for each in group) / total for axis in (0, 1))
        return x, y

    def alike(one: list[int], other: list[int]) -> float:
        first, second = mean(one), mean(other)
        parts: float = sum(map(mul, first, second))
        least = min(sum(weights[each] for each in group) for group in (one, other))
        share = (parts / 0.7 + parts / (hypot(*first) * hypot(*second)) / 0.9) / 2
        return share / (1 + 0.3 * min(1, least / 12))

    while len(groups) > 1:
        value, one, other = max((alike(*pair), *pair) for pair in combinations(groups, 2))
        if value < 1:
            break
        groups = [each for each in groups if each not in (one, other)] + [[*one, *other]]
    found = cluster(_gram(vectors), weights, ClusterRule(0.7, mean_threshold=0.9, more=0.3, heavy=12))
    assert partition(found) == set(map(frozenset, groups))
