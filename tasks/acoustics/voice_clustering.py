"""Cluster embeddings of windows into voices: those of a few minutes first, then those of the whole.

Time grows with the recording, memory nearly not: of each window its embedding is kept, 512 bytes, and of what
is clustered a few hundred at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.transcript.clustering import ClusterRule, cluster
from stenoflow.tasks.transcript.speakers import letters
from stenoflow.tasks.transcript.types import Region
from stenoflow.tasks.transcript.voice_turns import ScoredTurn, SmoothingRule, most_likely, turns_of

Floats = NDArray[np.float32]

# Clustering takes the square of their number.
_MOST_AT_ONCE = 400
# To so many clusters at most, those of all of a recording so far are brought where they are too many.
_MOST_KEPT = 200
# So often the speakers' voices are taken anew from what each was found to say.
_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class VoiceRule:
    """The thresholds of telling voices apart; likeness is the cosine of embeddings.

    Chosen on 20 talks of nine people, see tasks/README.md. In doubt, one person is rather two: two names
    can be made one by renaming, and two people under one name cannot be parted.

    Attributes:
        same: so alike are clusters of one speaker, as a mean over their windows.
        same_mean: so alike are the mean voices of clusters of one speaker. Those that come as near as that
            to the two thresholds, on average, are one,
        more: and by this share nearer where both are heard
        long_ms: for as long as this: what is heard of a voice for long is more alike, if it is one.
        long_share: or for this share of all that is heard, where that is longer: in an hour, what is odd
            about a voice comes back often.
        sure: windows of a few minutes that are more alike than this are one voice.
        least_ms: who speaks less than this in all is no speaker, unless so many are asked for.
        smoothing: what a change of speakers costs, in likeness times seconds.
    """

    same: float = 0.60
    same_mean: float = 0.73
    more: float = 0.14
    long_ms: int = 20_000
    long_share: float = 0.1
    sure: float = 0.72
    least_ms: int = 3_000
    smoothing: SmoothingRule = field(default_factory=lambda: SmoothingRule(change=0.15))


@dataclass(frozen=True, slots=True)
class SpeakerLimits:
    """How many speakers there are at least and at most; None: as many as are heard."""

    at_least: int = 1
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class VoiceTurn:
    """A turn with its score, and the voice in it as an embedding of length 1."""

    scored: ScoredTurn
    embedding: Floats


@dataclass(slots=True)
class HeardVoices:
    """The parts of speech of a recording with their embeddings, taken in order as they come."""

    rule: VoiceRule = field(default_factory=VoiceRule)
    limits: SpeakerLimits = field(default_factory=SpeakerLimits)
    parts: list[Region] = field(default_factory=list)
    _embeddings: list[NDArray[np.float16]] = field(default_factory=list)
    _new: list[Floats] = field(default_factory=list)
    _new_ms: list[int] = field(default_factory=list)
    _means: Floats | None = None
    _means_ms: list[int] = field(default_factory=list)

    def add(self, part: Region, embedding: Floats, *, clear: bool = True) -> None:
        """Take the next part; its embedding is of length 1.

        Args:
            part: where it is.
            embedding: of the voice in it.
            clear: enough was heard for it to say how many speakers there are.
        """
        self.parts.append(part)
        self._embeddings.append(embedding.astype(np.float16))
        if not clear:
            return
        self._new.append(embedding)
        self._new_ms.append(max(1, part.duration_ms))
        if len(self._new) >= _MOST_AT_ONCE:
            self._settle()

    def tell_apart(self) -> list[VoiceTurn]:
        """Say who speaks when; speakers are called A, B, … in the order in which they first speak."""
        if not self.parts:
            return []
        if self._means is None and not self._new:
            # Nobody says more than a word at once: then those have to do.
            self._new = [each.astype(np.float32) for each in self._embeddings[:_MOST_AT_ONCE]]
            self._new_ms = [max(1, part.duration_ms) for part in self.parts[:_MOST_AT_ONCE]]
        self._settle()
        voices = self._speakers()
        path: list[int] = []
        scores: list[list[float]] = []
        for _ in range(_ROUNDS):
            scores = self._scores(voices)
            path = most_likely(self.parts, self._weighted(scores), self.rule.smoothing)
            voices = self._voices_of(path, voices)
        return list(self._turns(path, scores))

    def _settle(self) -> None:
        """Make clusters of what is new, and fewer of all where they are many."""
        if not self._new:
            return
        means, weights = _clustered(
            np.stack(self._new), self._new_ms, ClusterRule(self.rule.sure, self.limits.at_least)
        )
        self._new, self._new_ms = [], []
        self._means = means if self._means is None else np.concatenate([self._means, means])
        self._means_ms += weights
        if len(self._means_ms) > _MOST_AT_ONCE:
            fewer = ClusterRule(self.rule.sure, self.limits.at_least, _MOST_KEPT)
            self._means, self._means_ms = _clustered(self._means, self._means_ms, fewer)

    def _speakers(self) -> Floats:
        """Return the voice of each speaker."""
        if self._means is None:
            raise RuntimeError("nothing was heard")
        limits = self.limits
        sure = ClusterRule(self.rule.sure, limits.at_least)
        means, spoken_ms = _clustered(self._means, self._means_ms, sure)
        rule = ClusterRule(
            self.rule.same,
            limits.at_least,
            limits.at_most,
            self.rule.same_mean,
            self.rule.more,
            max(self.rule.long_ms, self.rule.long_share * sum(spoken_ms)),
        )
        means, spoken_ms = _clustered(means, spoken_ms, rule)
        order = sorted(range(len(spoken_ms)), key=spoken_ms.__getitem__, reverse=True)
        enough = sum(ms >= self.rule.least_ms for ms in spoken_ms)
        kept = order[: min(max(1, limits.at_least, enough), limits.at_most or len(order))]
        return unit(means[kept])

    def _scores(self, voices: Floats) -> list[list[float]]:
        scores: list[list[float]] = []
        for first in range(0, len(self._embeddings), _MOST_AT_ONCE):
            block = np.stack(self._embeddings[first : first + _MOST_AT_ONCE]).astype(np.float32)
            scores += (block @ voices.T).tolist()
        return scores

    def _weighted(self, scores: Sequence[Sequence[float]]) -> list[list[float]]:
        """Let each part count as long as it is."""
        return [
            [score * part.duration_ms / 1000 for score in row]
            for part, row in zip(self.parts, scores, strict=True)
        ]

    def _voices_of(self, path: Sequence[int], before: Floats) -> Floats:
        """Return the mean voice of what each was found to say; of who says nothing, as before."""
        sums = before * 1e-3
        for number, (speaker, part) in enumerate(zip(path, self.parts, strict=True)):
            sums[speaker] += self._embeddings[number].astype(np.float32) * (part.duration_ms / 1000)
        return unit(sums)

    def _turns(self, path: Sequence[int], scores: Sequence[Sequence[float]]) -> Iterator[VoiceTurn]:
        alike = [row[speaker] for row, speaker in zip(scores, path, strict=True)]
        turns = turns_of(self.parts, list(map(str, path)), alike, self.rule.smoothing)
        labels: dict[str, str] = {}
        for each in turns:
            label = labels.setdefault(each.turn.speaker, letters(len(labels)))
            members = np.stack([self._embeddings[member] for member in each.members]).astype(np.float32)
            lengths = np.array([[self.parts[member].duration_ms] for member in each.members], np.float32)
            (voice,) = unit((members * lengths).sum(axis=0, keepdims=True))
            yield VoiceTurn(replace(each, turn=replace(each.turn, speaker=label)), voice)


def _clustered(means: Floats, weights: Sequence[int], rule: ClusterRule) -> tuple[Floats, list[int]]:
    return clustered(means, weights, cluster((means @ means.T).tolist(), weights, rule))


def clustered(means: Floats, weights: Sequence[int], labels: Sequence[int]) -> tuple[Floats, list[int]]:
    """Return the mean of each cluster, not brought to length 1, and how much it weighs."""
    sums = np.zeros((max(labels) + 1, means.shape[1]), np.float32)
    totals = [0] * len(sums)
    for label, mean, weight in zip(labels, means, weights, strict=True):
        sums[label] += mean * weight
        totals[label] += weight
    return sums / np.array(totals, np.float32)[:, None], totals


def unit(vectors: Floats) -> Floats:
    """Bring vectors to length 1."""
    scaled: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return scaled
