"""How a message is cut into sentences, and what they are taken for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stenoflow.tasks.engine.chat.cues import Kind, due_of, is_kind, owner_of
from stenoflow.tasks.engine.chat.ranking import central
from stenoflow.tasks.engine.chat.spoken import Sentence, sentences_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[12] 00:12:34 Anna: We go.", Sentence("We go.", "12", "Anna")),
        ("[754.2] Anna Berg: We go.", Sentence("We go.", "754.2", "Anna Berg")),
        ("  [3] 00:12:34.500 We go.", Sentence("We go.", "3")),
        ("[3] So here is what I think: we go.", Sentence("So here is what I think: we go.", "3")),
        ("[3] [laughs] We go.", Sentence("[laughs] We go.", "3")),
    ],
)
def test_a_line_has_an_id_and_may_have_a_time_and_a_name(line: str, expected: Sentence) -> None:
    assert sentences_of(f"Summarise:\n{line}\nThank you.") == [expected]


def test_lines_that_break_off_are_joined_while_the_same_person_speaks() -> None:
    given_lines = (
        "[1] Anna: We met.\n[2] Anna: We will\n[3] Anna: go. To Rome.\n[4] Bob: Yes, if\n[5] Anna: No."
    )
    assert [(each.text, each.line) for each in sentences_of(given_lines)] == [
        ("We met.", "1"),
        ("We will go.", "2"),
        ("To Rome.", "2"),
        ("Yes, if", "4"),
        ("No.", "5"),
    ]


def test_without_ids_lines_count_from_one() -> None:
    assert [(each.text, each.line) for each in sentences_of("One. Two.\n\nThree.")] == [
        ("One.", "1"),
        ("Two.", "1"),
        ("Three.", "3"),
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("We have decided to open in March.", {Kind.DECISION}),
        ("We all agreed on the first of March.", {Kind.DECISION}),
        ("Let's go with the blue one.", {Kind.DECISION}),
        ("I\u2019ll send the letter after lunch.", {Kind.ACTION}),
        ("Bob needs to ask the bank.", {Kind.ACTION}),
        ("Could you please call the bank?", {Kind.ACTION}),
        ("Who is going to pay for it?", {Kind.QUESTION}),
        ("It is not clear who pays for it.", {Kind.QUESTION}),
        ("They will arrive in the evening.", set()),
        ("I agree, it is very slow.", set()),
        ("It will rain in the evening.", set()),
        ("Is there anything else to discuss?", set()),
        ("Right, so?", set()),
    ],
)
def test_a_sentence_is_what_its_cues_say(text: str, kinds: set[Kind]) -> None:
    assert {kind for kind in Kind if is_kind(Sentence(text, "1", "Anna"), kind, ["Anna", "Bob"])} == kinds


@pytest.mark.parametrize(
    ("text", "owner", "due"),
    [
        ("I will write by Friday.", "Anna", "Friday"),
        ("Bob will write tomorrow morning.", "Bob", "tomorrow morning"),
        ("Bob, please write by the end of next week.", "Bob", "the end of next week"),
        ("We will write on the second week of March.", None, "the second week of March"),
        ("Please write by June 3rd.", None, "June 3rd"),
        ("I may write.", None, None),
    ],
)
def test_who_does_it_and_by_when(text: str, owner: str | None, due: str | None) -> None:
    sentence = Sentence(text, "1", "Anna")
    assert (owner_of(sentence, ["Anna", "Bob"]), due_of(sentence)) == (owner, due)


def test_the_central_sentences_are_about_what_most_are_about() -> None:
    texts = [
        "The website is slow on every old phone.",
        "My cat has a new blue collar.",
        "Yesterday Robert measured how fast the website loads.",
        "A phone needs ten seconds for one picture.",
    ]
    chosen = central([Sentence(text, str(index)) for index, text in enumerate(texts)], 3)
    assert [each.line for each in chosen] == ["0", "2", "3"]


def test_the_same_thing_is_not_said_twice() -> None:
    sentences = [Sentence(f"The website is slow on every {word}phone.", word) for word in ("", "smart", "")]
    assert len(central([*sentences, Sentence("My cat has a new blue collar.", "4")], 4)) < 4


@given(st.lists(st.text(max_size=60), max_size=12), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_whatever_was_said_some_of_it_comes_in_order(lines: list[str], most: int) -> None:
    sentences = sentences_of("\n".join(f"[{index}] {line}" for index, line in enumerate(lines)))
    chosen = central(sentences, most)
    assert len(chosen) <= most
    assert bool(chosen) == bool(sentences)
    positions = [sentences.index(each) for each in chosen]
    assert positions == sorted(positions)
