"""A sample of the kill points; `make soak` runs all of them, on both databases."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

from tests.instrument.recogniser import recognise
from tests.instrument.recording import script, write
from tests.kill.trials import IN_FLIGHT, Bench
from tests.servers.audio_api import audio_api_server

pytestmark = pytest.mark.slow

# Around each transaction that money hangs on, while some calls are done and others in flight.
_SAMPLE = [
    "Ledger.begin:behind:2",
    "AudioApi.transcribe:behind:3",
    "Ledger.succeed:behind:2",
    "Catalog.record_artifacts:behind:1",
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    recording = write(tmp_path_factory.mktemp("kill") / "meeting.mp3", script(180), 180, "-b:a", "64k")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as prefect:
        home = {"PREFECT_HOME": prefect}
        with audio_api_server(lambda sound, _fields: recognise(sound), delay_s=0.3) as api:
            bench = Bench(api, recording, home)
            bench.learn()
            yield bench


def test_every_side_effect_is_a_point(bench: Bench) -> None:
    methods = {point.split(":")[0] for point in bench.points}
    assert methods >= {point.split(":")[0] for point in _SAMPLE}
    assert len(bench.points) > 50


@pytest.mark.parametrize("point", _SAMPLE)
def test_a_run_that_is_killed_anywhere_is_made_whole_by_the_next(bench: Bench, point: str) -> None:
    assert point in bench.points
    cost = bench.trial(point)
    assert cost.kills == 1
    assert cost.bought_again <= IN_FLIGHT
