"""What a look at an inbox costs does not grow with what is not there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from stenoflow.tasks.context import open_context
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, rules_of
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.inbox.bucket import BucketInbox
from stenoflow.tasks.sources.inbox.entry import StabilityTracker
from tests.servers.s3 import Bucket


def test_a_look_asks_s3_only_for_options_that_it_found(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_HOME", str(tmp_path))
    for number in range(10):
        bucket.put(f"in/{number}.mp3", b"sound")
    bucket.put("in/3.json", b'{"priority": "urgent", "tag": "board"}')
    bucket.put("in/stenoflow.toml", b'[recordings]\nglossary = "terms.txt"\n')
    bucket.put("in/terms.txt", b"Zwingli\n")
    asked: Counter[str] = Counter()
    name = "before-call.s3.GetObject"
    bucket.client.meta.events.register(name, lambda params, **_: asked.update([params["url_path"]]))
    with open_context(load_settings()) as context:
        inbox = BucketInbox(bucket.name, "in/", bucket.get_client)
        rules = rules_of(context, {}, ["tag", "priority"])
        scanner = InboxScanner(context, inbox, rules, StabilityTracker(1))
        first, *others = scanner.look()
    assert (first.entry.path, first.options.tag, len(others)) == ("3.mp3", "board", 9)
    assert {each.options.glossary for each in [first, *others]} == {("Zwingli",)}
    assert asked == {f"/in/{name}": 1 for name in ("3.json", "stenoflow.toml", "terms.txt")}
