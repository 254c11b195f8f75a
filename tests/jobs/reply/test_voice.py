from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.jobs.reply.plan import INSTRUCTIONS, conversation
from stenoflow.tasks.jobs.reply.voice import Sentences

_TEXTS = st.text(st.sampled_from("ab .!?\n…"), max_size=400)


def cut(text: str, most: int = 200, *, size: int = 10_000) -> list[str]:
    sentences = Sentences(most)
    spans = [span for at in range(0, len(text), size) for span in sentences.feed(text[at : at + size])]
    spans += sentences.end()
    assert sentences.text == text
    return [text[span.start : span.end] for span in spans]


def test_the_first_sentence_is_given_at_once_and_the_others_in_longer_pieces() -> None:
    sentences = Sentences(4_096)
    assert sentences.feed("It is ready now.") == []
    (first,) = sentences.feed(" And")
    assert sentences.text[first.start : first.end] == "It is ready now."
    assert sentences.feed(" so on. Yes. No. ") == []
    (rest,) = sentences.end()
    assert sentences.text[rest.start : rest.end] == "And so on. Yes. No."


@given(_TEXTS, st.integers(1, 40), st.integers(10, 60))
def test_cuts_do_not_depend_on_how_it_comes_and_nothing_is_lost(text: str, size: int, most: int) -> None:
    whole = cut(text, most)
    assert cut(text, most, size=size) == whole
    assert "".join("".join(piece.split()) for piece in whole) == "".join(text.split())
    assert all(0 < len(piece) <= most for piece in whole)


def test_a_conversation_keeps_what_there_is_room_for_and_begins_with_a_question() -> None:
    turns = [("user", "one " * 50), ("assistant", "two " * 50), ("user", "three"), ("assistant", "four")]
    whole = conversation(None, turns, "five", 10_000)
    assert [each.role for each in whole] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert whole[0].text == INSTRUCTIONS
    short = conversation("Be brief.", turns, "five", 150)
    assert [each.text for each in short] == ["Be brief.", "three", "four", "five"]
    assert [each.text for each in conversation("Be brief.", turns, "five", 12)] == ["Be brief.", "five"]
