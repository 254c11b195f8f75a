"""What 0.1.0 did and stored, held against the code as it is: it is found again, and said in the same way.

``python -m tests.frozen.record`` made all that is in ``data``.
"""

from __future__ import annotations

import copy
import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from typing import Any

import pytest

from stenoflow import migrations
from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.tasks.assembly.job_settings import CacheKeys, JobSettings, job_id, recording_id
from stenoflow.tasks.jobs.minutes.settings import MinutesSettings, hash_of_lines
from stenoflow.tasks.jobs.reply.plan import conversation
from stenoflow.tasks.jobs.reply.settings import ReplySettings, hash_of_messages
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.transcript.minutes import TranscriptLine
from tests.frozen import scenario
from tests.frozen.place import DATA, PLACE, Home, the_place
from tests.frozen.scenario import Saved
from tests.servers.audio_api import AudioApiServer, audio_api_server

pytestmark = pytest.mark.skipif(
    PLACE.parent.resolve() != PLACE.parent, reason="the recordings would have another address here"
)


def computed(inputs: dict[str, Any]) -> dict[str, Any]:
    """Work out the keys and hashes of all kinds; nothing else here knows where they are made."""
    sha256, text = inputs["sha256"], inputs["text"]
    cuts = [_cut(each) for each in inputs["cuts"]]
    lines = [TranscriptLine(**each) for each in inputs["lines"]]
    found: dict[str, Any] = {"recordings": [recording_id(source, sha256) for source in inputs["sources"]]}
    found["transcriptions"] = {}
    for name, stored in inputs["transcriptions"].items():
        hearing = JobSettings.from_dict(stored)
        keys = CacheKeys(hearing, sha256)
        work_keys = [keys.of(cut) for cut in cuts]
        found["transcriptions"][name] = {
            "stored": hearing.to_dict(),
            "settings_hash": hearing.settings_hash,
            "plan_hash": hearing.plan_hash,
            "job": job_id(found["recordings"][0], hearing),
            "work_keys": work_keys,
            "translation_key": hearing.translation_key(work_keys[0]),
        }
    found["speeches"] = {}
    for name, stored in inputs["speeches"].items():
        speech = SpeechSettings.from_dict(stored)
        found["speeches"][name] = {
            "stored": speech.to_dict(),
            "settings_hash": speech.settings_hash,
            "work_keys": [speech.cache_key(text, speech.asked_format(pieces)) for pieces in (1, 2)],
        }
    found["digests"] = {"lines": hash_of_lines(lines)}
    for name, stored in inputs["digests"].items():
        digest = MinutesSettings.from_dict(stored)
        of_lines = [digest.key_of_lines(lines), digest.key_of_lines(lines[:1])]
        found["digests"][name] = {
            "stored": digest.to_dict(),
            "settings_hash": digest.settings_hash,
            "of_lines": of_lines,
            "of_notes": digest.key_of_notes(of_lines),
        }
    messages = conversation(**inputs["conversation"])
    found["replies"] = {"messages": hash_of_messages(messages)}
    for name, stored in inputs["replies"].items():
        reply = ReplySettings.from_dict(stored)
        found["replies"][name] = {
            "stored": reply.to_dict(),
            "settings_hash": reply.settings_hash,
            "work_key": reply.cache_key,
        }
    # As JSON has it, which knows no tuples.
    return dict(json.loads(json.dumps(found)))


def _cut(stored: dict[str, Any]) -> SegmentPlan:
    pairs: dict[str, Any] = {
        name: tuple(map(tuple, value)) if isinstance(value, list) else value for name, value in stored.items()
    }
    return SegmentPlan(**pairs)


def read(name: str) -> dict[str, Any]:
    return dict(json.loads((DATA / name).read_text("utf-8")))


def assert_same(found: Saved, recorded: Saved) -> None:
    """Compare what was printed, with the order of keys; where it was no line, the exit code alone."""
    assert list(found) == list(recorded)
    for name, told in recorded.items():
        if told.get("text") == []:
            assert found[name]["exit_code"] == told["exit_code"], name
        else:
            assert json.dumps(found[name], indent=1) == json.dumps(told, indent=1), name


@pytest.fixture(scope="module")
def said() -> Saved:
    """What was printed when the home was recorded."""
    return read("said.json")


@pytest.fixture(scope="module")
def jobs(said: Saved) -> dict[str, str]:
    """The jobs of the home, by step."""
    return scenario.jobs_of(said["steps"])


@pytest.fixture(scope="module", autouse=True)
def _place() -> Iterator[None]:
    with the_place():
        yield


@pytest.fixture(scope="module")
def silent() -> Iterator[AudioApiServer]:
    """An API that must not even be reached."""
    with audio_api_server(mode="401") as server:
        yield server


@pytest.fixture
def frozen(silent: AudioApiServer) -> Iterator[Home]:
    """The home that was recorded, with nobody to ask."""
    home = Home(silent.base_url)
    home.load()
    yield home
    assert not silent.connections


@pytest.fixture(scope="module")
def good() -> Iterator[AudioApiServer]:
    """An API that does as it is asked."""
    with scenario.a_good_api() as server:
        yield server


def test_keys_and_hashes_are_those_of_before() -> None:
    keys = read("keys.json")
    assert computed(keys["inputs"]) == keys["expected"]


def test_a_home_of_before_is_told_of_as_before(frozen: Home, said: Saved, jobs: dict[str, str]) -> None:
    before = frozen.files()
    assert_same(scenario.ask(frozen, scenario.QUESTIONS, jobs), said["questions"])
    assert frozen.files() == before


def test_a_home_of_before_is_upgraded_with_a_copy_and_all_of_it_is_sound(frozen: Home) -> None:
    file = frozen.folder / "stenoflow.db"
    would = frozen.run("db", "upgrade", "--dry-run")
    assert (would.exit_code, "would run 0010" in would.err) == (0, True)
    assert would.out.rstrip().endswith("is at revision 0009")
    done = frozen.run("db", "upgrade")
    assert (done.exit_code, done.out.rstrip().endswith(f"at revision {migrations.HEAD}")) == (0, True)
    # What it was is a copy away; there is no other way back.
    with closing(sqlite3.connect(file.with_name("stenoflow.db.0009"))) as before:
        assert before.execute("SELECT version_num FROM alembic_version").fetchall() == [("0009",)]
    assert frozen.run("verify").exit_code == 0


def test_the_same_again_is_found_without_a_call_and_leaves_all_as_it_was(
    frozen: Home, silent: AudioApiServer, said: Saved, jobs: dict[str, str]
) -> None:
    before = frozen.files()
    again = scenario.do(frozen, silent, scenario.AGAIN, jobs)
    assert_same(again, said["again"])
    assert {name: printed["exit_code"] for name, printed in again.items()} == dict.fromkeys(again, 0)
    assert without_records(frozen.files()) == before
    sounds = set(before.values())
    for name in ("text.opus", "night.mp3", "answer.opus"):
        assert (PLACE / "out" / name).read_bytes() in sounds
    assert_same(
        scenario.ask(frozen, {"verify": scenario.QUESTIONS["verify"]}, jobs),
        {"verify": said["questions"]["verify"]},
    )


def test_what_is_refused_or_never_begun_costs_nothing_and_has_the_names_of_before(
    frozen: Home, said: Saved, jobs: dict[str, str]
) -> None:
    assert_same(scenario.ask(frozen, scenario.UNPAID, jobs), said["unpaid"])
    assert {told["exit_code"] for told in said["unpaid"].values()} == {0, 2, 3, 4}
    assert scenario.jobs_in(frozen) == said["jobs"]


def test_what_was_lost_is_built_anew_to_the_byte(frozen: Home, said: Saved, jobs: dict[str, str]) -> None:
    before = frozen.files()
    scenario.spoil(frozen)
    assert len(frozen.files()) < len(before)
    assert_same(scenario.ask(frozen, scenario.REPAIRED, jobs), said["repaired"])
    after = frozen.files()
    assert set(after) >= set(before)
    assert not [name for name in before if is_ours(name, before) and after[name] != before[name]]


def is_ours(name: str, there: Collection[str]) -> bool:
    """Tell whether the bytes are ours alone: the manifest of a reply tells of its sound."""
    folder, _, file = name.rpartition("/")
    tells_of_sound = file == "manifest.json" and f"{folder}/reply.txt" in there
    return not file.endswith(scenario.SOUND) and not tells_of_sound


def test_a_partial_job_of_before_goes_on_with_the_one_call_that_it_lacks(
    good: AudioApiServer, said: Saved, jobs: dict[str, str]
) -> None:
    home = Home(good.base_url)
    home.load()
    calls = len(good.calls)
    assert_same(scenario.ask(home, scenario.RESUMED, jobs), said["resumed"])
    assert len(good.calls) - calls == 1


def test_an_empty_home_comes_to_the_same(good: AudioApiServer, said: Saved) -> None:
    home = Home(good.base_url)
    home.load()
    before = home.files()
    home.begin()
    done = scenario.do(home, good, scenario.STEPS, {})
    assert_same(without_encoders(done), without_encoders(copy.deepcopy(said["steps"])))
    assert {name for name, printed in done.items() if printed["exit_code"] == 3} == {"partial"}
    assert scenario.segments_of(home) == said["segments"]
    after = home.files()
    assert set(without_records(after)) == set(before)
    words = [name for name in before if name.endswith((".txt", ".srt", ".vtt", ".tsv", ".md"))]
    assert {name: after[name] for name in words} == {name: before[name] for name in words}


def without_records(files: dict[str, bytes]) -> dict[str, bytes]:
    """Take away what lies beside manifests since then: what the database knows of a job."""
    return {name: data for name, data in files.items() if not name.endswith("/answers.json")}


def without_encoders(done: Saved) -> Saved:
    """Take away how long encoded speech is, on which each ffmpeg has its own mind."""
    for line in (line for printed in done.values() for line in printed["lines"] if "voice" in line):
        line["duration"] = 0
    return done
