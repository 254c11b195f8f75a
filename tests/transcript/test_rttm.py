from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.speakers import LineError, Turn, parse_rttm

_LINE = "SPEAKER talk 1 {} {} <NA> <NA> {} <NA> <NA>"


def test_turns_are_read_by_recording_and_the_rest_is_passed_over() -> None:
    text = (
        "\n;; made by hand\nSPKR-INFO talk 1 <NA> <NA> <NA> unknown ann <NA> <NA>\n"
        "SPEAKER talk 1 0.5 1.25 <NA> <NA> ann <NA> <NA>\r\n"
        "SPEAKER other 1 1e1 2 <NA> <NA> ben 0.9\n"
        "SPEAKER talk 1 3 0 <NA> <NA> ben <NA> <NA>\n"
    )
    rttm = parse_rttm(text)
    assert rttm.of("talk") == (Turn(500, 1_750, "ann"),)
    assert rttm.of("other") == (Turn(10_000, 12_000, "ben"),)
    assert rttm.of("third") is None


def test_turns_of_one_recording_are_those_of_the_only_one_there_is() -> None:
    rttm = parse_rttm(_LINE.format(0, 1, "a"))
    assert rttm.of("call") == (Turn(0, 1_000, "a"),)
    assert rttm.of("call", alone=False) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("TURN talk 1 0 1 <NA> <NA> a <NA> <NA>", "'TURN' is no type of line"),
        ("SPEAKER talk 1 0 1", "it has 5 fields"),
        (_LINE.format("-1", 1, "a"), "its start, '-1', is no number"),
        (_LINE.format("nan", 1, "a"), "its start, 'nan', is no number"),
        (_LINE.format(0, "inf", "a"), "its duration, 'inf', is no number"),
        (_LINE.format(0, "1,5", "a"), "its duration, '1,5', is no number"),
        (_LINE.format(0, 1, "<NA>"), "'<NA>' names no speaker"),
        (_LINE.format(0, 1, "a" * 101), "names no speaker"),
    ],
)
def test_a_line_that_is_no_turn_is_named_by_its_number(line: str, why: str) -> None:
    with pytest.raises(LineError, match=f"^line 2: .*{why[:30]}"):
        parse_rttm(f"{_LINE.format(0, 1, 'a')}\n{line}\n")


@pytest.mark.parametrize("text", ["", ";; nothing\n", _LINE.format(1, 0, "a")])
def test_a_file_without_a_turn_is_none(text: str) -> None:
    with pytest.raises(LineError, match="no turn"):
        parse_rttm(text)


@given(st.text())
def test_whatever_a_file_holds_it_is_read_or_refused(text: str) -> None:
    try:
        parse_rttm(text)
    except LineError:
        return
