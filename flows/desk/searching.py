"""The search over all transcripts: hits with speaker and moment; a click plays there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.storage.database.search import Hit
from stenoflow.tasks.transcript.search_terms import Phrase, phrases_of, terms_of
from stenoflow.tasks.transcript.text import split_words

_SIZE = 50
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class ShownHit:
    """A hit as it is shown: its text in parts, of which some were looked for."""

    hit: Hit
    parts: tuple[tuple[str, bool], ...]

    @property
    def moment(self) -> str:
        """The fragment of the transcript's address at which it is heard."""
        # A little later than a paragraph's own address: there, the browser would give its link the focus, and
        # the space bar would not play.
        return f"t={(self.hit.start_ms + 1) / 1000:.3f}"


def show(request: Request) -> Response:
    """Show what was found."""
    context = context_of(request)
    query = request.query_params.get("q", "").strip()[:_LONGEST]
    phrases = phrases_of(query)
    before = request.query_params.get("before", "")
    hits = context.search.search(
        phrases, limit=_SIZE + 1, before=int(before) if before.isdecimal() and len(before) < 19 else None
    )
    shown = hits[:_SIZE]
    groups = [
        (some[0].hit, sorted(some, key=lambda each: each.hit.start_ms))
        for some in (
            [ShownHit(hit, tuple(_marked(hit.text, phrases))) for hit in of_job]
            for _, of_job in groupby(shown, key=lambda hit: hit.job_id)
        )
    ]
    return page(
        request,
        "search.html.jinja",
        query=query,
        groups=groups,
        has_words=bool(phrases),
        older=urlencode({"q": query, "before": shown[-1].id}) if len(hits) > _SIZE else None,
        unindexed=context.search.lacking() if phrases else 0,
    )


def _marked(text: str, phrases: list[Phrase]) -> Iterator[tuple[str, bool]]:
    """Yield a text in parts, each with whether it was looked for."""
    exact = {term for phrase in phrases for term in phrase.terms}
    beginnings = tuple(phrase.terms[-1] for phrase in phrases if phrase.is_prefix)
    at = 0
    for word in split_words(text):
        start = text.index(word, at)
        if start > at:
            yield text[at:start], False
        at = start + len(word)
        terms = terms_of(word)
        yield word, any(term in exact or term.startswith(beginnings) for term in terms if term)
    if at < len(text):
        yield text[at:], False
