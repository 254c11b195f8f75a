from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.erasure import Erasure
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.search import IndexedPassage, SearchIndex
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import TranscriptCard
from tests.storage.database.rows import open_job


@dataclass(frozen=True)
class Wanted:
    terms: tuple[str, ...]
    is_prefix: bool = False


def wanted(text: str, *, is_prefix: bool = False) -> Wanted:
    return Wanted(tuple(text.split()), is_prefix)


@pytest.fixture
def index(database: Database) -> SearchIndex:
    return SearchIndex(database)


def put(index: SearchIndex, job_id: str, *texts: str) -> None:
    card = TranscriptCard(job_id=job_id, language="en", words=9, speakers=["Anna"], missing_ms=0, suspects=0)
    index.put(
        card,
        (IndexedPassage(1000 * place, "Anna", text, text.split()) for place, text in enumerate(texts)),
    )


def test_passages_are_found_by_words_phrases_and_beginnings(catalog: Catalog, index: SearchIndex) -> None:
    job_id = open_job(catalog)
    put(index, job_id, "the next budget", "budgets for next year", "会 議 は 明 日", "𠮷 野", "हिन्दी में")

    def moments(*phrases: Wanted) -> list[int]:
        hits = index.search(phrases)
        assert {(hit.job_id, hit.name, hit.speaker) for hit in hits} <= {(job_id, "meeting.mp3", "Anna")}
        return [hit.start_ms for hit in hits]

    assert moments(wanted("budget")) == [0]
    assert moments(wanted("budget", is_prefix=True)) == [1000, 0]
    assert moments(wanted("next"), wanted("the")) == [0]
    assert moments(wanted("next year")) == [1000]
    assert moments(wanted("year next")) == []
    assert moments(wanted("明 日")) == [2000]
    assert moments(wanted("議 会")) == []
    assert moments(wanted("𠮷")) == [3000]
    assert moments(wanted("हिन्दी")) == [4000]
    assert moments() == []


def test_what_is_published_again_takes_the_place_of_what_was(catalog: Catalog, index: SearchIndex) -> None:
    first, second = open_job(catalog), open_job(catalog, source="file:///other.mp3")
    put(index, first, "alpha")
    put(index, second, "alpha")
    put(index, first, "alpha", "beta alpha")
    hits = index.search([wanted("alpha")])
    assert [(hit.job_id, hit.start_ms) for hit in hits] == [(first, 1000), (first, 0), (second, 0)]
    assert index.search([wanted("alpha")], limit=2, before=hits[0].id) == hits[1:]
    assert index.search([wanted("alpha")], job_id=second) == hits[2:]


@pytest.mark.parametrize(
    "hostile", ["'", "\\", '"', "a'b", "a\\'b", "-", "*", "NEAR", "OR", "':*", "&|!", "%", ";"]
)
def test_no_sign_in_a_term_means_anything(catalog: Catalog, index: SearchIndex, hostile: str) -> None:
    put(index, open_job(catalog), f"plain {hostile} words")
    for is_prefix in (False, True):
        index.search([wanted(hostile, is_prefix=is_prefix)])
        assert index.search([wanted(hostile, is_prefix=is_prefix), wanted("absent")]) == []


def test_a_published_transcript_that_is_not_indexed_is_named(catalog: Catalog, index: SearchIndex) -> None:
    job_id = open_job(catalog)
    assert index.unindexed() == []
    catalog.set_state(job_id, JobState.COMPLETE)
    assert index.unindexed() == [job_id]
    put(index, job_id, "word")
    assert index.unindexed() == []


def test_what_is_forgotten_is_found_no_more_and_stands_nowhere(
    catalog: Catalog, database: Database, index: SearchIndex
) -> None:
    job_id = open_job(catalog)
    put(index, job_id, "hippopotamus")
    erasure = Erasure(database, Leases(database))
    erasure.erase(catalog.job(job_id).recording_id)
    assert index.search([wanted("hippopotamus")]) == []
    if database.is_embedded:
        database.close()
        file = Path(str(database.engine.url.database))
        assert not any(b"hippopotamus" in each.read_bytes() for each in file.parent.glob(f"{file.name}*"))
