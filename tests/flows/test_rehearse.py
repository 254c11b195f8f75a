"""A rehearsal says what another model would make of past recordings, and leaves those as they are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.operations.rehearsal import Disagreement, disagreement
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, audio_api_server


@pytest.fixture
def other(home: Path) -> Iterator[AudioApiServer]:
    """A server whose model mishears every number that ends in 7, and gives no times."""

    def hear(sound: bytes, _: Any) -> dict[str, Any]:
        said = recognise(sound)["text"].split()
        return {"text": " ".join("wrong" if word.endswith("7") else word for word in said)}

    with audio_api_server(hear) as server:
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "stenoflow.toml").write_text(
            f'[providers.other]\nbase_url = "{server.base_url}"\n'
            '[prices.other.gpt-transcribe]\nper = "minute"\namount = "0.003"\n',
            "utf-8",
        )
        yield server


def _rows(home: Path, job: str) -> list[Any]:
    with sqlite3.connect(home / "stenoflow.db") as database:
        return [
            database.execute(query, (job,)).fetchall()
            for query in (
                "SELECT * FROM jobs WHERE id = ?",
                'SELECT * FROM segments WHERE job_id = ? ORDER BY "index"',
                "SELECT * FROM charges WHERE job_id = ? ORDER BY id",
            )
        ]


@pytest.mark.program
def test_a_rehearsal_tells_what_differs_and_changes_nothing_of_before(
    stenoflow: Command, api: AudioApiServer, other: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    before = stenoflow("transcribe", meeting.path, "--segment-seconds", "60", "--json").line
    rows, text = _rows(home, before["job"]), read_artifact(before, "json")
    bought = len(api.calls)

    done = stenoflow("rehearse", "--successor", "other:gpt-transcribe", "--jobs", "3", "--json")
    assert done.exit_code == 0, done.err
    line, total = done.lines
    assert (line["job"], line["status"], line["inbox"]) == (before["job"], "complete", "-")
    wrong = sum(word.text.endswith("7") for word in meeting.words)
    assert wrong > 0
    assert (line["words"], line["substitutions"]) == (len(meeting.words), wrong)
    assert line["deletions"] == line["insertions"] == 0
    assert total["disagreement"] == pytest.approx(wrong / len(meeting.words), abs=1e-4)
    assert "times of words" in line["lost"]
    assert line["price_after"] == pytest.approx(line["seconds"] / 60 * 0.003, rel=0.02)

    # Segment by segment as it was cut then, by the other server alone; nothing of before has changed.
    assert (len(api.calls), len(other.calls)) == (bought, before["segments"])
    assert _rows(home, before["job"]) == rows
    assert read_artifact(before, "json") == text
    costs = stenoflow("costs", "--by", "tag", "--format", "json").out
    assert "rehearsal" in costs
    assert line["cost"] == pytest.approx(line["price_after"], rel=0.05)

    again = stenoflow("rehearse", "--successor", "other:gpt-transcribe", "--json").lines[0]
    assert (again["substitutions"], len(other.calls)) == (wrong, before["segments"])
    assert again["cost"] == 0

    # By the very model that it was transcribed by, there is nothing to buy and nothing to change.
    same = stenoflow("rehearse", "--successor", "whisper-1", "--json").lines[0]
    assert (same["rehearsal"], same["disagreement"], len(api.calls)) == (before["job"], 0.0, bought)
    assert _rows(home, before["job"]) == rows


@pytest.mark.usefixtures("api")
def test_a_budget_without_room_refuses_before_anything_is_sent(
    stenoflow: Command, other: AudioApiServer, meeting: Meeting
) -> None:
    stenoflow("transcribe", meeting.path, "--segment-seconds", "60", "--json")
    done = stenoflow("rehearse", "--successor", "other:gpt-transcribe", "--budget", "0.001", "--json")
    assert (done.exit_code, other.calls) == (3, []), done.err
    assert "budget" in json.dumps(done.lines[0]["error"])
    assert done.lines[0]["cost"] == 0


@pytest.mark.usefixtures("api")
def test_without_past_jobs_or_with_an_unknown_name_it_says_so(stenoflow: Command) -> None:
    assert stenoflow("rehearse", "--successor", "gpt-transcribe").exit_code == 2
    assert "no inbox calls" in stenoflow("rehearse", "--successor", "x", "--inbox", "calls").err
    assert stenoflow("rehearse", "--successor", "nobody:x").exit_code == 2


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("Good morning, Ada.", "good morning ada", Disagreement(3)),
        ("one two three four", "one three four five six", Disagreement(4, 0, 1, 2)),
        ("one two", "", Disagreement(2, 0, 2, 0)),
        ("", "one", Disagreement(0, 0, 0, 1)),
    ],
)
def test_disagreement_counts_words_as_they_are_spoken(before: str, after: str, found: Disagreement) -> None:
    assert disagreement(before, after) == found


_SAID = st.lists(st.sampled_from("abcd"), min_size=1, max_size=12).map(" ".join)


@given(_SAID, _SAID)
def test_no_fewer_changes_make_one_text_the_other(before: str, after: str) -> None:
    found = disagreement(before, after)
    best = jiwer.process_words(before, after)
    changes = found.substitutions + found.deletions + found.insertions
    assert changes == best.substitutions + best.deletions + best.insertions
    assert found.deletions - found.insertions == len(before.split()) - len(after.split())
