"""A speaker a channel: each channel is transcribed apart, and the words are one conversation again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.flows.conftest import Command, charges, read_artifact
from tests.flows.held import Held
from tests.flows.processes import command, descendants, wait_for, wait_until_gone
from tests.instrument.tracks import channels_of, conversation, write_channels
from tests.servers.audio_api import AudioApiServer

_SECONDS = 60
_TURNS = conversation(_SECONDS)
_TRUTH = {f"Channel {number}": [word.text for word in words] for number, words in enumerate(_TURNS, 1)}
_OPTIONS = ("--speakers", "channels", "--segment-seconds", "20", "--concurrency", "2", "--json")


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two who take turns, each heard 4 dB softer in the other's channel."""
    sound = channels_of(_TURNS, _SECONDS, bleed_db=-4)
    return write_channels(tmp_path_factory.mktemp("call") / "call.wav", sound)


def _said(line: dict[str, Any]) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    for word in json.loads(read_artifact(line, "json"))["words"]:
        said.setdefault(word["speaker"], []).append(word["word"])
    return said


def test_each_channel_is_a_speaker_and_what_bleeds_over_is_kept_once(
    stenoflow: Command, api: AudioApiServer, call: Path, home: Path
) -> None:
    line = stenoflow("transcribe", call, *_OPTIONS).line
    assert (line["status"], line["missing"]) == ("complete", [])
    assert _said(line) == _TRUTH
    document = json.loads(read_artifact(line, "json"))
    starts = {word.text: word.start_ms for words in _TURNS for word in words}
    heard = document["words"]
    assert max(abs(word["start"] * 1000 - starts[word["word"]]) for word in heard) < 2
    assert [word["start"] for word in heard] == sorted(word["start"] for word in heard)
    assert document["speakers"] == ["Channel 1", "Channel 2"]
    paid = sum(amount for kind, amount in charges(home) if kind == "actual")
    assert paid == pytest.approx(sum(each.seconds for each in api.calls) * 100, rel=0.01)

    asked = len(api.calls)
    renamed = stenoflow("show", line["job"], "--rename", "Channel 1=Ann <b>", "--rename", "Channel 2=Ben")
    assert renamed.exit_code == 0
    text = read_artifact(line, "txt")
    assert text.startswith("Ann <b>: 0 1 2")
    assert "\n\nBen: " in text
    assert "Ann &lt;b&gt;" in read_artifact(line, "html")
    assert stenoflow("verify").exit_code == 0
    unknown = stenoflow("show", line["job"], "--rename", "Carl=Karl")
    assert unknown.exit_code == 2
    assert "there are Ann <b>, Ben" in unknown.err
    again = stenoflow("transcribe", call, *_OPTIONS, "--speaker", "Channel 1=Ann").line
    assert (again["job"], again["calls"]) == (line["job"], 0)
    assert read_artifact(again, "txt").startswith("Ann: 0 1 2")
    assert len(api.calls) == asked


def test_silence_of_a_channel_is_not_paid_for(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    sound = channels_of(conversation(60, speakers=3), 60, bleed_db=None)
    sound[:, 1] = 0
    # The same on two channels says nothing that one does not.
    sound = np.concatenate([sound, sound[:, :1]], axis=1)
    line = stenoflow("transcribe", write_channels(tmp_path / "tracks.flac", sound), *_OPTIONS).line
    assert line["status"] == "complete"
    assert set(_said(line)) == {"Channel 1", "Channel 3"}
    assert sum(call.seconds for call in api.calls) < 50, "turns of 12 s in two channels"


@pytest.mark.program
def test_a_killed_run_goes_on_with_the_cuts_of_each_channel(
    stenoflow: Command, api: AudioApiServer, call: Path, tmp_path: Path
) -> None:
    api.recogniser = held = Held(after=3)
    with command(["transcribe", str(call), *_OPTIONS], tmp_path) as process:
        wait_for(lambda: held.waiting > 0, process)
        started = descendants(process.pid)
        process.kill()
        process.wait()
    wait_until_gone(started)
    held.release()
    line = stenoflow("transcribe", call, *_OPTIONS).line
    assert line["status"] == "complete"
    assert _said(line) == _TRUTH
    assert len(api.calls) <= line["segments"] + 2
    assert json.loads(stenoflow("jobs", "--json").out)["state"] == "complete"


def test_what_cannot_be_told_apart_is_refused_before_any_call(
    stenoflow: Command, api: AudioApiServer, call: Path, tmp_path: Path
) -> None:
    mono = write_channels(tmp_path / "mono.wav", channels_of(_TURNS, _SECONDS, bleed_db=None)[:, :1])
    refused = stenoflow("transcribe", mono, *_OPTIONS)
    assert (refused.exit_code, refused.line["error"]["kind"]) == (4, "channels")
    assert "mono.wav has one channel" in refused.line["error"]["message"]
    unknown = stenoflow("transcribe", call, *_OPTIONS, "--speaker", "Channel 3=Cleo")
    assert (unknown.exit_code, unknown.line["error"]["kind"]) == (4, "speakers")
    nobody = stenoflow("transcribe", call, "--speaker", "A=Anna")
    assert nobody.exit_code == 2
    # Each channel's minute counts: one would fit.
    dear = stenoflow("transcribe", call, *_OPTIONS, "--budget", "0.009")
    assert (dear.exit_code, dear.line["error"]["kind"]) == (4, "budget")
    estimated = stenoflow("estimate", call, "--speakers", "channels", "--model", "whisper-1", "--json").line
    assert estimated["cost"] == "0.0120"
    assert not api.calls
