"""What is refused of telling voices apart, before anything is spent."""

from __future__ import annotations

import pytest

from tests.flows.conftest import Command, Meeting
from tests.servers.audio_api import AudioApiServer


@pytest.fixture(autouse=True)
def _without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenoflow.tasks.acoustics.voice_models.path_of", lambda *_: None)


def test_without_a_model_it_is_said_how_to_come_by_one(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    refused = stenoflow("transcribe", meeting.path, "--speakers", "voices")
    assert refused.exit_code == 2
    said = " ".join(refused.err.split())
    assert "is not on this machine" in said
    assert "stenoflow models --fetch diarization" in said
    assert not api.calls


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--min-speakers", "2"), "add --speakers voices"),
        (("--speakers", "channels", "--max-speakers", "2"), "add --speakers voices"),
    ],
)
def test_a_number_of_speakers_is_for_voices(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, options: tuple[str, ...], why: str
) -> None:
    refused = stenoflow("transcribe", meeting.path, *options)
    assert refused.exit_code == 2
    assert why in " ".join(refused.err.split())
    assert not api.calls


@pytest.mark.usefixtures("api")
def test_of_a_finished_job_nothing_but_voices_can_be_told(stenoflow: Command, meeting: Meeting) -> None:
    job = stenoflow("transcribe", meeting.path, "--json").line["job"]
    for options in (("--speakers", "model"), ("--max-speakers", "3")):
        refused = stenoflow("show", job, *options)
        assert refused.exit_code == 2
        assert "--speakers voices" in refused.err
