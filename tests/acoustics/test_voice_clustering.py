"""Voices made of numbers: directions in which embeddings scatter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from stenoflow.tasks.acoustics import voice_clustering
from stenoflow.tasks.acoustics.voice_clustering import HeardVoices, SpeakerLimits, VoiceTurn
from stenoflow.tasks.transcript.clustering import ClusterRule, cluster
from stenoflow.tasks.transcript.types import Region

_SIZE = 64


def voices(count: int, seed: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Directions at right angles."""
    found, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(_SIZE, _SIZE)))
    return found[:count]


def heard(
    spoken: Sequence[tuple[int, int]], limits: SpeakerLimits | None = None, scatter: float = 0.4
) -> HeardVoices:
    """Hear turns: who speaks, and for how many windows of 800 ms."""
    random_, directions = np.random.default_rng(1), voices(8)
    # The last two are as alike as brothers.
    directions[7] = 0.75 * directions[6] + 0.66 * directions[7]
    collected = HeardVoices(limits=limits or SpeakerLimits())
    for region, who in parts(spoken):
        noise = random_.normal(size=_SIZE)
        vector = directions[who] + scatter * noise / np.linalg.norm(noise)
        collected.add(region, (vector / np.linalg.norm(vector)).astype(np.float32))
    return collected


def parts(spoken: Sequence[tuple[int, int]]) -> Iterator[tuple[Region, int]]:
    at = 0
    for who, windows in spoken:
        for _ in range(windows):
            yield Region(at, at + 800), who
            at += 800
        at += 400


def who_speaks(turns: Sequence[VoiceTurn]) -> str:
    return "".join(each.scored.turn.speaker for each in turns)


def test_speakers_are_named_in_the_order_in_which_they_begin() -> None:
    turns = heard([(3, 10), (0, 10), (5, 10), (0, 10), (3, 10)]).tell_apart()
    assert who_speaks(turns) == "ABCBA"
    assert [turns[0].scored.turn.start_ms, turns[0].scored.turn.end_ms] == [0, 8_000]
    assert all(0.8 < each.scored.score <= 1 for each in turns)
    assert turns[0].embedding @ turns[4].embedding > 0.9
    assert abs(turns[0].embedding @ turns[1].embedding) < 0.2


@pytest.mark.parametrize(("limits", "count"), [((1, 2), 2), ((2, 3), 3), ((3, 3), 3), ((1, 1), 1)])
def test_bounds_are_kept(limits: tuple[int, int], count: int) -> None:
    turns = heard([(0, 10), (1, 10), (2, 10)] * 2, SpeakerLimits(*limits)).tell_apart()
    assert len(set(who_speaks(turns))) == count


def test_voices_that_are_alike_are_two_where_two_are_asked_for() -> None:
    spoken = [(6, 20), (7, 20), (6, 20)]
    assert set(who_speaks(heard(spoken, scatter=0.2).tell_apart())) == {"A"}
    assert who_speaks(heard(spoken, SpeakerLimits(2), scatter=0.2).tell_apart()) == "ABA"


def test_who_says_a_word_is_no_speaker_unless_so_many_are_asked_for() -> None:
    spoken = [(0, 20), (1, 20), (2, 2), (0, 20)]
    assert set(who_speaks(heard(spoken).tell_apart())) == {"A", "B"}
    assert "C" in who_speaks(heard(spoken, SpeakerLimits(at_least=3)).tell_apart())


def test_nothing_heard_is_nobody() -> None:
    assert HeardVoices(limits=SpeakerLimits(2, 3)).tell_apart() == []


def test_of_short_words_only_speakers_are_told_all_the_same() -> None:
    collected, directions = HeardVoices(), voices(2)
    for number in range(12):
        region = Region(number * 1_000, number * 1_000 + 600)
        collected.add(region, directions[number % 2].astype(np.float32), clear=False)
    assert who_speaks(collected.tell_apart()) == "AB" * 6


def test_somebody_is_the_same_one_hours_later() -> None:
    """Ten hours in short: many more windows than are clustered at once."""
    hour = [(who, 30) for who in (0, 1, 2, 1)] * 8
    turns = heard([*hour, *[(3, 30), (4, 30)] * 8, *hour]).tell_apart()
    assert who_speaks(turns) == "ABCB" * 8 + "DE" * 8 + "ABCB" * 8


@pytest.mark.program
def test_work_grows_as_what_is_heard_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: of how many pairs it is asked how alike they are."""
    pairs: list[int] = []

    def counting(likeness: list[list[float]], weights: list[int], rule: ClusterRule) -> list[int]:
        pairs.append(len(weights) ** 2)
        return cluster(likeness, weights, rule)

    monkeypatch.setattr(voice_clustering, "cluster", counting)

    def counted(windows: int) -> int:
        pairs.clear()
        heard([(number % 5, 40) for number in range(windows // 40)]).tell_apart()
        return sum(pairs)

    few = counted(2_000)
    assert counted(8_000) < 4.5 * few
    assert max(pairs) <= 2 * 400**2


def test_what_is_odd_about_a_voice_is_no_other_one_however_often_it_comes_back() -> None:
    """A third of what somebody says is a little unlike the rest, as a phrase that is said again and again."""
    directions = voices(8)
    odd = 0.76 * directions[0] + 0.65 * directions[7]

    def found(rounds: int) -> set[str]:
        random_, collected = np.random.default_rng(1), HeardVoices()
        for region, who in parts([(0, 20), (7, 2), (1, 20), (0, 6), (7, 1)] * rounds):
            noise = random_.normal(size=_SIZE)
            vector = (odd if who == 7 else directions[who]) + 0.3 * noise / np.linalg.norm(noise)
            collected.add(region, (vector / np.linalg.norm(vector)).astype(np.float32))
        return set(who_speaks(collected.tell_apart()))

    assert found(2) == {"A", "B"}
    assert found(40) == {"A", "B"}
