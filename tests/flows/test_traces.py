"""OpenTelemetry's traces, as a receiver on a socket gets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.flows.conftest import Meeting
from tests.flows.processes import command
from tests.servers.audio_api import AudioApiServer
from tests.servers.otlp import otlp_receiver

_KEY = "sk-proj-geheim0123456789abcdefgh"


@pytest.mark.program
@pytest.mark.usefixtures("home")
def test_a_job_its_segments_and_their_calls_are_one_trace_with_the_providers_ids(
    api: AudioApiServer, meeting: Meeting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", _KEY)
    api.script(["503"])
    arguments = ["transcribe", str(meeting.path), "--segment-seconds", "120", "--concurrency", "1", "--json"]
    with otlp_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        with command([*arguments, "--log-format", "json"], tmp_path) as process:
            out, err = process.communicate()
    line, logged = json.loads(out), [json.loads(each) for each in err.splitlines()]
    spans = receiver.spans()
    (job,) = [each for each in spans if each["name"] == "job"]
    segments = {each["id"]: each for each in spans if each["name"] == "segment"}
    calls = [each for each in spans if each["name"] == "call"]
    assert {each["trace"] for each in spans} == {job["trace"]}
    assert {each["stenoflow.job"] for each in spans} == {line["job"]}
    assert (job["stenoflow.state"], job["failed"]) == ("complete", False)
    assert {each["parent"] for each in segments.values()} == {job["id"]}
    assert sorted(each["stenoflow.segment"] for each in segments.values()) == [0, 1]
    assert all(segments[each["parent"]]["stenoflow.segment"] == each["stenoflow.segment"] for each in calls)
    (failed,) = [each for each in calls if each["failed"]]
    assert failed["error.type"].startswith("api-")
    # As the server gave them, and in the logs of the same attempts.
    assert {each["stenoflow.request"] for each in calls} == set(api.request_ids)
    by_attempt = {each["attempt"]: each["request"] for each in logged if "attempt" in each}
    assert by_attempt == {each["stenoflow.attempt"]: each["stenoflow.request"] for each in calls}
    # Texts, names and addresses stay here, as does the key.
    assert not any(each["events"] for each in spans)
    sent = b"".join(receiver.bodies)
    for private in (_KEY, meeting.path.name, str(meeting.path), api.base_url, "words"):
        assert private.encode() not in sent


@pytest.mark.usefixtures("home", "api")
def test_nothing_is_traced_unless_it_is_asked_for(meeting: Meeting, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom stenoflow.flows.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry.sdk')))"
    )
    with command(["transcribe", str(meeting.path)], tmp_path, program=program) as process:
        out, err = process.communicate()
    assert (out.splitlines()[-1], process.returncode) == ("[]", 0), err


@pytest.mark.program
@pytest.mark.usefixtures("home", "api")
def test_a_receiver_that_is_away_and_an_extra_that_is_not_there_stop_nothing(
    meeting: Meeting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with command(["transcribe", str(meeting.path), "--json"], tmp_path) as process:
        out, _ = process.communicate()
    assert json.loads(out)["status"] == "complete"
    without = (
        "import sys\nsys.modules['opentelemetry.sdk'] = None\nfrom stenoflow.flows.cli import main\nmain()"
    )
    arguments = ["transcribe", str(meeting.path), "--json", "--segment-seconds", "60"]
    with command(arguments, tmp_path, program=without) as process:
        out, err = process.communicate()
    assert json.loads(out)["status"] == "complete"
    assert err.count("install the extra otel") == 1
