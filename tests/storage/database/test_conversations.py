from __future__ import annotations

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.conversations import Turns


def test_a_conversation_is_kept_in_order_and_each_reply_once(database: Database) -> None:
    turns = Turns(database)
    turns.add("kitchen", "job1", "What time is it?", "It is nine.\0")
    turns.add("garden", "job2", "Hello", "Good morning")
    turns.add("kitchen", "job3", "And now?", "Ten.")
    turns.add("kitchen", "job3", "And now?", "Ten.")
    kept = [(turn.number, turn.role, turn.text) for turn in turns.of("kitchen")]
    assert kept == [
        (1, "user", "What time is it?"),
        (2, "assistant", kept[1][2]),
        (3, "user", "And now?"),
        (4, "assistant", "Ten."),
    ]
    assert kept[1][2].startswith("It is nine.")
    assert [turn.number for turn in turns.of("kitchen", upto=2)] == [1, 2]
    assert turns.of("nowhere") == []
