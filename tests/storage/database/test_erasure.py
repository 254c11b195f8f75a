from __future__ import annotations

import pytest
from sqlalchemy import select

from stenoflow.storage.database.arrivals import Arrivals, arrival_id
from stenoflow.storage.database.cache_keys import translation_key
from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.erasure import Erasure
from stenoflow.storage.database.inboxes import Inboxes
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.tables import Arrival
from tests.storage.database.at_once import at_once
from tests.storage.database.rows import cache_key, cut, job, recording


def _open(catalog: Catalog, source: str, translator: str | None) -> str:
    """Store a job of some recording with the same sound as all others; its recording's id."""
    stored = catalog.add_recording(recording(source))
    of = job(stored)
    of.settings = {"model": "m", **({} if translator is None else {"translator": translator})}
    catalog.add_segment(catalog.open_job(of).id, cut(0), cache_key(0))
    return stored.id


def test_a_translation_by_chat_goes_with_the_last_recording_that_was_so_translated(
    database: Database,
) -> None:
    catalog, ledger = Catalog(database), Ledger(database)
    plain, first, second = (
        _open(catalog, f"file:///{name}.mp3", translator)
        for name, translator in (("plain", None), ("first", "gpt"), ("second", "gpt"))
    )
    heard, translated = cache_key(0), translation_key(cache_key(0), "gpt")
    ledger.put_result(heard, "{}")
    ledger.put_result(translated, "{}")
    forgetting = Erasure(database, Leases(database))
    forgetting.erase(first)
    assert ledger.answered([heard, translated]) == {heard, translated}
    # What was heard is used by one more, who never asked for English.
    forgetting.erase(second)
    assert ledger.answered([heard, translated]) == {heard}
    forgetting.erase(plain)
    assert not ledger.answered([heard, translated])


def test_words_of_a_glossary_go_with_the_last_recording_that_they_are_from(database: Database) -> None:
    catalog, inboxes = Catalog(database), Inboxes(database)
    first, second = (catalog.add_recording(recording(f"file:///inbox/{name}.mp3")).id for name in "ab")
    assert inboxes.add_terms("file:///inbox/", ["Anna", "Kubernetes"], "ben", first) == ["Anna", "Kubernetes"]
    assert inboxes.add_terms("file:///inbox/", ["Anna", "Łódź"], "ben", second) == ["Łódź"]
    assert inboxes.add_terms("file:///inbox/", ["Anna"], "ben", second) == []
    assert inboxes.terms("file:///inbox/") == ("Anna", "Kubernetes", "Łódź")
    forgetting = Erasure(database, Leases(database))
    assert len(forgetting.words(first)) == 2
    forgetting.erase(first)
    assert inboxes.terms("file:///inbox/") == ("Anna", "Łódź")
    forgetting.erase(second)
    assert inboxes.terms("file:///inbox/") == ()
    receipts = [item["what"] for receipt in forgetting.receipts() for item in receipt.items]
    assert receipts.count("word of a glossary") == 4
    assert not {"Anna", "Kubernetes", "Łódź"} & set(receipts)


@pytest.mark.parametrize("is_put_off", [True, False])
def test_nothing_names_a_recording_that_is_forgotten_while_it_waits_in_an_inbox(
    database: Database, *, is_put_off: bool
) -> None:
    catalog, leases, source = Catalog(database), Leases(database), "file:///inbox/secret.mp3"
    arrivals = Arrivals(database, "run", leases=leases)
    stored = catalog.add_recording(recording(source))
    job_id, id_ = catalog.open_job(job(stored)).id, arrival_id(source, "5-1")
    with leases.held("run"):
        for _ in range(2):
            assert arrivals.take(source, "5-1"), "a later look has it"
            if is_put_off:
                arrivals.put_off(id_, "no room for secret.mp3", job_id)
            else:
                arrivals.let_go(id_, "secret.mp3 was broken off", job_id)
        Erasure(database, leases).erase(stored.id)
        assert not arrivals.take(source, "5-1"), "and it is not taken for new"
    with database.read() as session:
        (left,) = session.scalars(select(Arrival)).all()
    assert (left.source, left.mark, left.reason) == ("", "", None)


def test_of_several_who_forget_a_recording_one_does(database: Database) -> None:
    stored = _open(Catalog(database), "file:///talk.mp3", None)
    forgetting = Erasure(database, Leases(database))
    at_once(4, lambda _: forgetting.erase(stored))
    assert len(forgetting.receipts()) == 1
    assert forgetting.find(stored) == []
