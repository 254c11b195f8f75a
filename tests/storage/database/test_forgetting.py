from __future__ import annotations

from storage.database.catalog import Catalog
from storage.database.connection import Database
from storage.database.derived_keys import translation_key
from storage.database.forgetting import Forgetting
from storage.database.leases import Leases
from storage.database.ledger import Ledger
from tests.storage.database.rows import cut, job, recording, work_key


def _open(catalog: Catalog, source: str, translator: str | None) -> str:
    """Store a job of some recording with the same sound as all others; its recording's id."""
    stored = catalog.add_recording(recording(source))
    of = job(stored)
    of.settings = {"model": "m", **({} if translator is None else {"translator": translator})}
    catalog.add_segment(catalog.open_job(of).id, cut(0), work_key(0))
    return stored.id


def test_a_translation_by_chat_goes_with_the_last_recording_that_was_so_translated(
    database: Database,
) -> None:
    catalog, ledger = Catalog(database), Ledger(database)
    plain, first, second = (
        _open(catalog, f"file:///{name}.mp3", translator)
        for name, translator in (("plain", None), ("first", "gpt"), ("second", "gpt"))
    )
    heard, translated = work_key(0), translation_key(work_key(0), "gpt")
    ledger.keep(heard, "{}")
    ledger.keep(translated, "{}")
    forgetting = Forgetting(database, Leases(database))
    forgetting.erase(first)
    assert ledger.answered([heard, translated]) == {heard, translated}
    # What was heard is used by one more, who never asked for English.
    forgetting.erase(second)
    assert ledger.answered([heard, translated]) == {heard}
    forgetting.erase(plain)
    assert not ledger.answered([heard, translated])
