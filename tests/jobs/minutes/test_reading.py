"""Whatever a model answers, what is read of it is bounded, plain, and refers to what was shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stenoflow.tasks.jobs.minutes.prompt import read_minutes
from stenoflow.tasks.transcript.minutes import SECTIONS, Minutes, Point

_MOMENTS = {1: 0, 2: 1_500, 12: 754_000}
_DECIDED = {"decisions": [{"text": "Ship it.", "line": 12}]}
_SHIP = Minutes(decisions=(Point("Ship it.", 12, 754_000),))


def read(answer: Any) -> Minutes | None:
    return read_minutes(answer if isinstance(answer, str) else json.dumps(answer), _MOMENTS)


def test_an_answer_as_it_should_be() -> None:
    item = {"text": "Write to Bob", "line": 2, "owner": "Anna", "due": "Friday"}
    found = read({"summary": [], "decisions": [], "action_items": [item], "open_questions": []})
    assert found == Minutes(action_items=(Point("Write to Bob", 2, 1_500, "Anna", "Friday"),))


@pytest.mark.parametrize(
    "answer",
    [
        f"```json\n{json.dumps(_DECIDED)}\n```",
        f"Sure! Here you are:\n{json.dumps(_DECIDED)}\nCan I do more?",
        {"minutes": _DECIDED},
        {"decisions": {"text": "Ship it.", "line": 12}},
        {"decisions": [{"text": "Ship it.", "line": "[12]"}]},
        {"decisions": [{"text": " Ship\n it. ", "line": 12, "owner": None, "due": "n/a"}, 7, None, []]},
        {"decisions": [{"text": "Ship it.", "line": 12}] * 50},
        json.dumps(_DECIDED)[:-2],
        json.dumps({"decisions": [*_DECIDED["decisions"], {"text": "And then th", "line": 2}]})[:-16],
    ],
)
def test_it_may_come_in_other_shapes(answer: Any) -> None:
    found = read(answer)
    assert found is not None
    assert found.decisions[0] == _SHIP.decisions[0]
    assert len(found.decisions) <= 2


@pytest.mark.parametrize("answer", ["", "I cannot help with that.", "[]", "{", "{}", '{"a": 1}', "null"])
def test_what_is_no_minutes_is_none(answer: str) -> None:
    assert read(answer) is None


@pytest.mark.parametrize("line", [0, 3, -1, 10**12, 12.0, True, None, "twelve", [12], {"n": 12}])
def test_a_reference_to_no_real_line_is_dropped_and_the_text_kept(line: Any) -> None:
    assert read({"decisions": [{"text": "Ship it.", "line": line}]}) == Minutes(
        decisions=(Point("Ship it."),)
    )


@pytest.mark.parametrize("text", ["", "  \n", 7, None, ["a"], {"b": "c"}, "\u200b"])
def test_what_says_nothing_is_left_out(text: Any) -> None:
    assert read({"summary": [{"text": text, "line": 1}]}) == Minutes()


def test_a_flood_is_bounded() -> None:
    found = read({"summary": [{"text": f"{n} " + "x" * 10_000, "line": 1} for n in range(5_000)]})
    assert found is not None
    assert len(found.summary) == 200
    assert max(len(point.text) for point in found.summary) == 600


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_ENTRY = st.fixed_dictionaries({}, optional=dict.fromkeys(("text", "line", "owner", "due"), _JSON))
_ANSWER = st.dictionaries(st.sampled_from(SECTIONS), _JSON | st.lists(_ENTRY | _JSON))


@settings(max_examples=40)
@given(
    _ANSWER.map(json.dumps) | st.text() | st.builds(lambda a, n: json.dumps(a)[:n], _ANSWER, st.integers(0))
)
def test_nothing_that_a_model_says_breaks_it(answer: str) -> None:
    found = read_minutes(answer, _MOMENTS)
    for point in (point for name in SECTIONS for point in (found.section(name) if found else ())):
        assert point.text.isprintable()
        assert 0 < len(point.text) <= 600
        assert (point.line is None) == (point.at_ms is None)
        assert point.line is None or _MOMENTS[point.line] == point.at_ms
