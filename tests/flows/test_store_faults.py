"""The object store, over real HTTP, is busy, loses replies or stays away: nothing is bought twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Command, Meeting
from tests.servers.audio_api import AudioApiServer
from tests.servers.s3 import Bucket, set_aws_environment
from tests.servers.s3_proxy import S3Proxy, cut_reply, hang_up, lost_reply, s3_proxy, slow_down

_SOURCE = "in/weekly.mp3"
_ONE_BY_ONE = ("--segment-seconds", "60", "--concurrency", "1", "--json")
_SEGMENTS = 4
# As often as botocore tries.
_GIVES_UP = 4


@pytest.fixture
def proxy(bucket: Bucket, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """Stands between the program and the store that its settings name."""
    with s3_proxy(s3_endpoint) as proxy:
        set_aws_environment(monkeypatch, proxy.url)
        monkeypatch.setenv("STENOFLOW_STORE", f"{bucket.url}/out")
        yield proxy


def _stored(bucket: Bucket) -> dict[str, bytes]:
    """Return what was published, by name."""
    listed = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="out/", MaxKeys=100)
    keys = [found["Key"] for found in listed.get("Contents", [])]
    return {
        key.rpartition("/")[2]: bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read()
        for key in keys
    }


def _assert_whole(line: dict[str, Any], bucket: Bucket, meeting: Meeting) -> None:
    assert line["status"] == "complete", line
    stored = _stored(bucket)
    named = {each["name"]: each["sha256"] for each in json.loads(stored.pop("manifest.json"))["artifacts"]}
    # Beside the manifest, and no artifact: what the database knows.
    assert json.loads(stored.pop("answers.json"))["job"]["id"] == line["job"]
    assert named == {name: hashlib.sha256(data).hexdigest() for name, data in stored.items()}
    words = json.loads(stored["transcript.json"])["words"]
    assert [word["word"] for word in words] == [word.text for word in meeting.words]


def test_a_job_comes_to_its_end_at_a_store_that_is_busy_and_loses_replies(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, bucket: Bucket, proxy: S3Proxy, tmp_path: Path
) -> None:
    bucket.put(_SOURCE, meeting.path.read_bytes())
    proxy.script("GET", _SOURCE, slow_down, cut_reply, hang_up)
    proxy.script("PUT", "transcript.txt", slow_down, slow_down)
    proxy.script("PUT", "transcript.json", lost_reply)
    proxy.script("PUT", "manifest.json", hang_up, lost_reply)
    proxy.script("GET", "transcript.srt", slow_down, cut_reply)
    printed = stenoflow("transcribe", f"{bucket.url}/{_SOURCE}", "--out", tmp_path / "copies", *_ONE_BY_ONE)
    assert printed.exit_code == 0
    assert not proxy.left
    _assert_whole(printed.line, bucket, meeting)
    assert len(api.calls) == printed.line["calls"] == _SEGMENTS
    copy = (tmp_path / "copies" / "weekly.srt").read_bytes()
    assert copy == _stored(bucket)["transcript.srt"]


@pytest.mark.program
def test_a_store_that_stays_away_costs_no_second_call(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, bucket: Bucket, proxy: S3Proxy
) -> None:
    proxy.script("PUT", "transcript.vtt", *[slow_down] * _GIVES_UP)
    printed = stenoflow("transcribe", meeting.path, *_ONE_BY_ONE)
    assert printed.exit_code == 3
    assert (printed.line["status"], printed.line["error"]["kind"]) == ("failed", "store")
    assert "Traceback" not in printed.err
    assert "manifest.json" not in _stored(bucket)
    resumed = stenoflow("resume", printed.line["job"], "--json").line
    assert (resumed["calls"], resumed["reused"]) == (0, _SEGMENTS)
    _assert_whole(resumed, bucket, meeting)
    assert len(api.calls) == _SEGMENTS


@pytest.mark.program
@pytest.mark.parametrize("name", ["transcript.json", "manifest.json"])
def test_no_manifest_names_what_is_replaced_while_the_store_goes_away(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, bucket: Bucket, proxy: S3Proxy, name: str
) -> None:
    api.script(["ok", "400"])
    partial = stenoflow("transcribe", meeting.path, *_ONE_BY_ONE).line
    assert partial["status"] == "partial"
    assert "manifest.json" in _stored(bucket)
    proxy.script("PUT", name, *[slow_down] * _GIVES_UP)
    failed = stenoflow("resume", partial["job"], "--json").line
    assert (failed["status"], failed["error"]["kind"]) == ("failed", "store")
    assert "manifest.json" not in _stored(bucket)
    calls = len(api.calls)
    _assert_whole(stenoflow("resume", partial["job"], "--json").line, bucket, meeting)
    assert len(api.calls) == calls
