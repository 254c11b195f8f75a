"""`stenoflow search`: what is published is found, and what is forgotten is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting


@pytest.mark.usefixtures("api")
def test_words_are_found_from_their_publishing_to_their_erasure(
    stenoflow: Command, home: Path, meeting: Meeting
) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    spoken = [word.text for word in meeting.words[2:4]]
    found = stenoflow("search", " ".join(spoken), "--json").lines
    assert found
    assert {each["job"] for each in found} == {line["job"]}
    assert all(" ".join(spoken) in each["text"].lower() for each in found)
    assert "weekly meeting.mp3" in stenoflow("search", spoken[0], "--job", line["job"][:6]).out

    # As a database is that was filled before there was an index.
    with closing(sqlite3.connect(home / "stenoflow.db")) as database, database:
        database.execute("DELETE FROM passages")
        database.execute("DELETE FROM transcript_cards")
    printed = stenoflow("search", spoken[0])
    assert "nothing found" in printed.err
    assert "1 older transcripts are not searched yet" in printed.err
    assert stenoflow("verify").exit_code == 0
    assert stenoflow("search", " ".join(spoken), "--json").lines == found

    stenoflow("forget", line["recording"], "--yes")
    assert "nothing found" in stenoflow("search", spoken[0]).err
    assert stenoflow("search", "?!").exit_code == 2
