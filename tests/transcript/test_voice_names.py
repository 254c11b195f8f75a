from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.voice_names import UNSURE, NamingRule, known_again

RULE = NamingRule(clear=0.8, perhaps=0.6, ahead=0.1)


def test_who_is_clearly_alike_is_named_and_who_is_nearly_so_with_a_question_mark() -> None:
    likeness = {
        "A": {"Anna": 0.9, "Bob": 0.3},
        "B": {"Anna": 0.4, "Bob": 0.7},
        "C": {"Anna": 0.5, "Bob": 0.5},
    }
    assert known_again(likeness, RULE) == {"A": "Anna", "B": "Bob?"}


def test_who_is_like_two_is_not_clear() -> None:
    assert known_again({"A": {"Anna": 0.9, "Bob": 0.85}}, RULE) == {"A": "Anna?"}


def test_two_speakers_are_not_one_person() -> None:
    assert known_again({"A": {"Anna": 0.85}, "B": {"Anna": 0.95}}, RULE) == {"B": "Anna"}


@given(
    st.dictionaries(
        st.sampled_from("ABCD"), st.dictionaries(st.sampled_from(["Ann", "Bob", "Cy"]), st.floats(-1, 1))
    )
)
def test_no_name_is_given_twice_or_without_reason(likeness: dict[str, dict[str, float]]) -> None:
    found = known_again(likeness, RULE)
    names = [name.removesuffix(UNSURE) for name in found.values()]
    assert len(set(names)) == len(names)
    for label, name in found.items():
        alike = likeness[label][name.removesuffix(UNSURE)]
        assert alike >= (RULE.perhaps if name.endswith(UNSURE) else RULE.clear)
