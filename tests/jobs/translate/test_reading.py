from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.jobs.translate.prompt import read_translation

_ASKED = [4, 5, 6]


def _said(*entries: object) -> str:
    return json.dumps({"utterances": list(entries)})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (_said({"line": 4, "text": "A"}, {"line": 5, "text": "B"}), {4: "A", 5: "B"}),
        ("Sure!\n```json\n" + _said({"line": "[4]", "text": " A\n b"}) + "\n```", {4: "A b"}),
        # Nothing for a line that is empty, was not asked for, or cannot be told.
        (_said({"line": 4, "text": " "}, {"line": 9, "text": "X"}, {"line": True, "text": "Y"}), {}),
        # A line that was divided; one that was said twice.
        (_said({"line": 4, "text": "A"}, {"line": 4, "text": "b"}, {"line": 4, "text": "b"}), {4: "A b"}),
        # All lines in order under numbers of its own, or none.
        (_said(*({"line": n, "text": t} for n, t in enumerate("ABC"))), {4: "A", 5: "B", 6: "C"}),
        (_said("A", "B", "C"), {4: "A", 5: "B", 6: "C"}),
        # Not all: which they are nobody can tell.
        (_said({"line": 1, "text": "A"}, {"line": 2, "text": "B"}), {}),
        (_said("A", "B"), {}),
        ('{"4": "A", "6": "C"}', {4: "A", 6: "C"}),
        # Copied as it was shown.
        (_said({"line": 5, "text": "[5] B"}), {5: "B"}),
        (_said({"line": 5, "text": "[6] is what it says"}), {5: "[6] is what it says"}),
        # Cut short: half a line is none.
        ('{"utterances": [{"line": 4, "text": "A"}, {"line": 5, "text": "B but not a', {4: "A"}),
        ("I cannot translate that.", {}),
        ('{"utterances": 7}', {}),
        ("", {}),
    ],
)
def test_what_can_be_told_is_taken(answer: str, expected: dict[int, str]) -> None:
    assert read_translation(answer, _ASKED) == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["utterances", "line", "text", "4", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_JSON | st.text(max_size=60))
def test_whatever_it_says_only_lines_that_were_asked_for_come_of_it(answer: object) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    found = read_translation(text, _ASKED)
    assert found.keys() <= set(_ASKED)
    assert all(said == " ".join(said.split()) != "" for said in found.values())
