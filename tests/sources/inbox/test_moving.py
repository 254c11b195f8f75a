from __future__ import annotations

from itertools import islice

import pytest

from stenoflow.tasks.sources.inbox.moving import free_names, renamed, sidecars


def test_names_never_end_and_never_come_twice() -> None:
    names = list(islice(free_names("sub/talk.mp3", "inbox", "0123456789"), 5))
    assert names == [
        "sub/talk.mp3",
        "sub/talk (inbox).mp3",
        "sub/talk (inbox 01234567).mp3",
        "sub/talk (inbox 01234567 2).mp3",
        "sub/talk (inbox 01234567 3).mp3",
    ]
    long = list(islice(free_names("é" * 120 + ".mp3", "inbox", "0" * 64), 4))
    assert all(len(name.encode("utf-8", "surrogateescape")) <= 244 for name in long)
    assert len(set(long)) == 4


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"a/talk.json", "a/talk.mp3.rttm", "talk.json"}, {"b/new.json", "b/new.mp3.rttm"}),
        ({"a/talk.json", "a/talk.wav", "a/talk.mp3.json"}, {"b/new.mp3.json"}),
        ({"a/talk.txt", "a/talkie.json"}, set()),
    ],
)
def test_what_belongs_to_a_recording_goes_along(there: set[str], expected: set[str]) -> None:
    along = sidecars("a/talk.mp3", {"a/talk.mp3", *there})
    assert {renamed("b/new.mp3", addition) for addition in along.values()} == expected
