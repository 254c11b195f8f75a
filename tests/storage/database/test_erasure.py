from __future__ import annotations

from stenoflow.storage.database.cache_keys import translation_key
from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.erasure import Erasure
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.ledger import Ledger
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
