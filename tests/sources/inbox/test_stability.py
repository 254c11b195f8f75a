from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.sources import Source
from stenoflow.tasks.sources.inbox.entry import Entry, InboxSnapshot, StabilityTracker, WriteState, beside

MARKS = st.lists(st.sampled_from("abc"), max_size=12)


def entry(mark: str, growth: WriteState = WriteState.UNKNOWN, path: str = "talk.mp3") -> Entry:
    return Entry(path, Source(f"file:///inbox/{path}", path, None, 1), mark, growth)


def looks_at(tracker: StabilityTracker, marks: list[str]) -> list[bool]:
    return [bool(tracker.complete(InboxSnapshot((entry(mark),)))) for mark in marks]


@given(marks=MARKS, looks=st.integers(1, 4))
def test_a_file_is_complete_when_so_many_looks_in_a_row_find_it_as_it_is(
    marks: list[str], looks: int
) -> None:
    expected = [
        len(set(marks[max(0, number - looks + 1) : number + 1])) == 1 and number + 1 >= looks
        for number in range(len(marks))
    ]
    assert looks_at(StabilityTracker(looks), marks) == expected


def test_an_open_file_begins_anew() -> None:
    tracker = StabilityTracker(2)
    open_, closed = entry("a", WriteState.OPEN), entry("a")
    seen = [tracker.complete(InboxSnapshot((each,))) for each in (closed, open_, closed, closed)]
    assert [bool(each) for each in seen] == [False, False, False, True]


def test_what_is_known_to_be_whole_is_not_waited_for() -> None:
    assert StabilityTracker(9).complete(InboxSnapshot((entry("a", WriteState.WHOLE),)))


def test_a_file_that_was_away_begins_anew() -> None:
    tracker = StabilityTracker(2)
    tracker.complete(InboxSnapshot((entry("a"),)))
    tracker.complete(InboxSnapshot(()))
    assert not tracker.complete(InboxSnapshot((entry("a"),)))


def test_what_belongs_to_a_recording_has_its_name_with_or_without_the_suffix() -> None:
    assert beside("board/talk.v2.mp3", ".json") == ("board/talk.v2.mp3.json", "board/talk.v2.json")
    assert beside("noname", ".done") == ("noname.done", "noname.done")
