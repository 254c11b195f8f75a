"""Recording what must not change, by the code that others are to be held against.

``python -m tests.frozen.record`` makes the recordings if they are not there, a home with a job of each kind,
and what the command line says of it; and works out the values of ``keys.json`` from the inputs there.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.instrument.recording import script, write
from tests.instrument.tracks import channels_of, conversation, write_channels
from tests.servers.audio_api import audio_api_server

_OPUS = ("-c:a", "libopus", "-application", "audio", "-frame_duration", "60", "-map_metadata", "-1")


def main() -> None:
    """Record all of it."""
    # Prefect reads its settings when it is imported.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = folder
        _record()


def _record() -> None:
    from tests.frozen import scenario  # noqa: PLC0415
    from tests.frozen.place import DATA, Home, the_place  # noqa: PLC0415
    from tests.frozen.test_frozen import computed  # noqa: PLC0415

    inputs = json.loads((DATA / "keys.json").read_text("utf-8"))["inputs"]
    _write(DATA / "keys.json", {"inputs": inputs, "expected": computed(inputs)})
    sources = DATA / "sources"
    if not sources.exists():
        _write_sources(sources, scenario.TEXT)
    with the_place(), scenario.a_good_api() as api, audio_api_server(mode="401") as silent:
        home = Home(api.base_url)
        home.begin()
        said: dict[str, Any] = {"steps": scenario.do(home, api, scenario.STEPS, {})}
        said["segments"] = scenario.segments_of(home)
        home.dump()
        jobs = scenario.jobs_of(said["steps"])
        home.load()
        said["resumed"] = scenario.ask(home, scenario.RESUMED, jobs)

        home = Home(silent.base_url)
        home.load()
        said["questions"] = scenario.ask(home, scenario.QUESTIONS, jobs)
        said["again"] = scenario.do(home, silent, scenario.AGAIN, jobs)
        said["unpaid"] = scenario.ask(home, scenario.UNPAID, jobs)
        said["jobs"] = scenario.jobs_in(home)
        home.load()
        scenario.spoil(home)
        said["repaired"] = scenario.ask(home, scenario.REPAIRED, jobs)
        assert not silent.connections
    _write(DATA / "said.json", said)


def _write_sources(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    write(folder / "meeting.opus", script(40), 40, *_OPUS, "-b:a", "20k")
    write(folder / "question.opus", script(8), 8, *_OPUS, "-b:a", "20k")
    turns = conversation(30)
    write_channels(folder / "call.opus", channels_of(turns, 30, bleed_db=-4), *_OPUS, "-b:a", "32k")
    (folder / "names.txt").write_text("Bjørn\nPostgreSQL\n", "utf-8")
    (folder / "text.txt").write_text(text + "\n", "utf-8")


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
