"""Which sentences say most of what the others say: TextRank, with BM25 for how alike two are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import chain

import bm25s
import numpy as np
import rustworkx
from bm25s import stopwords

from stenoflow.tasks.engine.chat.spoken import Sentence
from stenoflow.tasks.transcript.text import split_words, spoken_form

# It would tell every handler of the program what it does, for debugging.
logging.getLogger("bm25s").setLevel(logging.WARNING)

# Of a meeting of hours every sentence is like every other one a little; the nearest say enough.
_NEIGHBOURS = 20
_TOO_ALIKE = 0.6
_FEWEST_WORDS = 4

_COMMON = frozenset(
    chain.from_iterable(words for name, words in vars(stopwords).items() if name.startswith("STOPWORDS_"))
)


def central(sentences: Sequence[Sentence], most: int) -> list[Sentence]:
    """Pick up to ``most`` sentences, the most central ones that say different things, in their order."""
    telling = [each for each in sentences if each.words >= _FEWEST_WORDS] or list(sentences)
    terms = [terms_of(each.text) for each in telling]
    scores = centrality(terms)
    chosen: list[int] = []
    for index in sorted(range(len(telling)), key=lambda index: -scores[index]):
        if len(chosen) == most:
            break
        if not any(_alike(terms[index], terms[other]) for other in chosen):
            chosen.append(index)
    return [telling[index] for index in sorted(chosen)]


def terms_of(text: str) -> list[str]:
    """Return the words of a text that tell what it is about."""
    return [form for form in map(spoken_form, split_words(text)) if form and form not in _COMMON]


def centrality(terms: Sequence[Sequence[str]]) -> list[float]:
    """Score texts by how much they share with the others that score high; the scores add up to 1."""
    graph = rustworkx.PyDiGraph()
    graph.add_nodes_from(list(range(len(terms))))
    graph.add_edges_from(_edges(terms))
    ranks = rustworkx.pagerank(graph, weight_fn=float)
    return [ranks[index] for index in range(len(terms))]


def _edges(terms: Sequence[Sequence[str]]) -> list[tuple[int, int, float]]:
    if not any(terms):
        return []
    index = bm25s.BM25()
    index.index([list(each) for each in terms], show_progress=False)
    edges: list[tuple[int, int, float]] = []
    for source, each in enumerate(terms):
        if not each:
            continue
        scores = index.get_scores(list(each))
        scores[source] = 0
        nearest = np.flatnonzero(scores)
        if nearest.size > _NEIGHBOURS:
            nearest = nearest[np.argpartition(scores[nearest], -_NEIGHBOURS)[-_NEIGHBOURS:]]
        edges += [(source, int(target), float(scores[target])) for target in nearest]
    return edges


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    first, second = set(one), set(other)
    return bool(first & second) and len(first & second) > _TOO_ALIKE * min(len(first), len(second))
