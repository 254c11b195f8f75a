"""Reviews: what the sound of a segment says of its answer, words that lack, what was asked for again.

A review is stored beside the answer under a key of its own. It is marked open before the answer is asked for,
so that a run that is broken off in between is made up for by the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from stenoflow.storage.database.cache_keys import again_key, review_key
from stenoflow.storage.database.tables import Segment
from stenoflow.tasks.api.answers import Answer, parse_answer
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.job_settings import JobSettings
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.holes import Hole, fill, part_at
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.types import Region, Utterance, Word
from stenoflow.tasks.transcript.word_timing import (
    AlignedWords,
    TimedTranscript,
    UntimedTranscript,
    shifted,
    time_words,
)

NOT_YET = "it was not listened to yet"
REALIGN = "its words are to be aligned anew"


@dataclass(frozen=True, slots=True)
class Review:
    """What was found; times in ms of what was sent, joined.

    Attributes:
        asked: what of the sound was asked for again, in order.
        fills: what is taken of those answers: (where, the number of the answer, from 1).
        base: the number of the answer that the others fill; 0: the first.
        holes: what has no words after all.
        unvoiced: where nobody speaks, of what was listened to.
        aligned: the words of the first answer and of those that came after, where an aligner timed them.
        open: why there may be more to be had; None: there is not.
    """

    asked: tuple[Region, ...] = ()
    fills: tuple[tuple[Region, int], ...] = ()
    base: int = 0
    holes: tuple[Hole, ...] = ()
    unvoiced: tuple[Region, ...] = ()
    aligned: tuple[AlignedWords | None, ...] = ()
    open: str | None = None

    def to_json(self) -> str:
        """Write it for storing."""
        return json.dumps(
            {
                "asked": [[each.start_ms, each.end_ms] for each in self.asked],
                "fills": [[where.start_ms, where.end_ms, number] for where, number in self.fills],
                "base": self.base,
                "holes": [[each.region.start_ms, each.region.end_ms, each.sure] for each in self.holes],
                "unvoiced": [[each.start_ms, each.end_ms] for each in self.unvoiced],
                "aligned": [each and _aligned_entry(each) for each in self.aligned],
                "open": self.open,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, stored: str) -> Self:
        """Return what `to_json` wrote."""
        read = json.loads(stored)
        return cls(
            tuple(Region(start, end) for start, end in read["asked"]),
            tuple((Region(start, end), number) for start, end, number in read["fills"]),
            read["base"],
            tuple(Hole(Region(start, end), sure) for start, end, sure in read["holes"]),
            tuple(Region(start, end) for start, end in read.get("unvoiced", [])),
            tuple(each and _aligned_words(each) for each in read["aligned"]),
            read["open"],
        )


def _aligned_entry(aligned: AlignedWords) -> dict[str, Any]:
    words = [[word.text, word.start_ms, word.end_ms] for word in aligned.words]
    return {"aligner": aligned.aligner, "words": words}


def _aligned_words(entry: dict[str, Any]) -> AlignedWords:
    return AlignedWords(entry["aligner"], tuple(Word(*word) for word in entry["words"]))


def stored_review(context: AppContext, settings: JobSettings, segment: Segment) -> Review | None:
    """Return the review of a segment; None for one of before there were any."""
    key = review_key(segment.cache_key, settings.align)
    stored = context.ledger.answers([key]).get(key)
    return None if stored is None else Review.from_json(stored)


def open_reviews(context: AppContext, settings: JobSettings, cache_keys: Iterable[str]) -> set[str]:
    """Return the cache keys of the answers that are still to be listened to."""
    return {
        cache_key
        for cache_key in cache_keys
        for stored in context.ledger.answers([review_key(cache_key, settings.align)]).values()
        if Review.from_json(stored).open
    }


def realign(context: AppContext, settings: JobSettings, cache_keys: Iterable[str]) -> None:
    """Mark answers, so that their words are timed by the sound anew."""
    for cache_key in cache_keys:
        key = review_key(cache_key, settings.align)
        stored = context.ledger.answers([key]).get(key)
        found = Review() if stored is None else Review.from_json(stored)
        if found.open is None:
            context.ledger.set_result(key, replace(found, open=REALIGN).to_json())


def reviewed(
    context: AppContext, settings: JobSettings, segment: Segment, said: Answer
) -> tuple[TimedTranscript, Review]:
    """Time a segment's answer, its holes filled with what was asked for again.

    Args:
        context: the tools.
        settings: of the job.
        segment: what the answer is of.
        said: the answer; a translation is taken as it is, and has the holes of what was translated.

    Returns:
        The transcript, and what was found; times in ms of what was sent, joined.
    """
    found = stored_review(context, settings, segment) or Review()
    if found.asked or any(found.aligned):
        stored = context.ledger.answers([segment.cache_key]).get(segment.cache_key)
        found = found if stored == said.raw else Review(holes=found.holes, unvoiced=found.unvoiced)
    aligned = [*found.aligned, *[None] * (len(found.asked) + 1 - len(found.aligned))]
    parts = [timed(said, segment, Region(0, Excerpt(segment.spans).duration_ms), aligned[0])]
    for number, region in enumerate(found.asked, 1):
        key = again_key(segment.cache_key, settings.align, number)
        stored = context.ledger.answers([key]).get(key)
        again = None if stored is None else read_answer(stored, settings, region)
        parts.append(
            TimedTranscript((), parts[0].timing)
            if again is None
            else timed(again, segment, region, aligned[number])
        )
    return put_together(parts, found), found


def read_answer(stored: str, settings: JobSettings, region: Region) -> Answer:
    """Return a stored answer for so much sound."""
    return parse_answer(stored.encode(), Target(settings.provider, settings.model), region.duration_ms)


def timed(
    answer: Answer, segment: Segment, region: Region, aligned: AlignedWords | None = None
) -> TimedTranscript:
    """Time the words of an answer for a part of a segment's sound, in the time of the whole."""
    regions = [Region(start, end) for start, end in segment.regions]
    sent = Excerpt(segment.spans)
    part = sent if region == Region(0, sent.duration_ms) else Excerpt(sent.part(region))
    heard = UntimedTranscript(answer.text, answer.utterances, answer.words)
    speech = part.joined(regions, segment.start_sample)
    return shifted(time_words(heard, part.duration_ms, speech, aligned), region.start_ms)


def put_together(parts: Sequence[TimedTranscript], found: Review) -> TimedTranscript:
    """Fill the holes of an answer with what the others say; none of its utterances lies across a hole."""
    utterances: tuple[Utterance, ...] = parts[found.base].utterances
    for where, number in found.fills:
        utterances = fill(utterances, parts[number].utterances, where)
    for hole in found.holes:
        utterances = part_at(utterances, hole.region)
    return replace(parts[found.base], utterances=utterances)
