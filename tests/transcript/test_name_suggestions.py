from __future__ import annotations

from itertools import count

from stenoflow.tasks.transcript.minutes import Point
from stenoflow.tasks.transcript.name_suggestions import NameSource, suggest_names
from stenoflow.tasks.transcript.types import Utterance, Word


def talk(*said: tuple[str | None, str]) -> list[Utterance]:
    """Let people say a word a second."""
    at, found = count(), []
    for speaker, text in said:
        starts = [(word, next(at) * 1000) for word in text.split()]
        words = tuple(Word(word, start_ms, start_ms + 600) for word, start_ms in starts)
        found.append(Utterance(text, words[0].start_ms, words[-1].end_ms, words, speaker))
    return found


def suggested(*given: object, **more: object) -> list[tuple[str, str, str]]:
    found = suggest_names(*given, **more)  # type: ignore[arg-type]
    return [(each.speaker, each.name, each.source.value) for each in found]


_HELLO = talk(("A", "Hello, I am Anna."), ("B", "This is Ben speaking. Shall we?"), ("C", "Yes."))


def test_who_says_so_may_have_that_name() -> None:
    found = suggest_names(_HELLO, {})
    assert [(each.speaker, each.name) for each in found] == [("A", "Anna"), ("B", "Ben")]
    assert {each.source for each in found} == {NameSource.SPOKEN}
    assert (found[0].quote, found[0].region.start_ms) == ("I am Anna", 0)


def test_who_has_a_name_is_asked_for_none() -> None:
    assert suggested(_HELLO, {"A": "Anne"}) == [("B", "Ben", "spoken")]


def test_a_name_that_nobody_confirmed_is_a_suggestion() -> None:
    assert suggested(_HELLO, {"A": "Eva?", "B": "Ben"}) == [("A", "Eva", "voice"), ("A", "Anna", "spoken")]


def test_a_name_may_begin_in_one_utterance_and_end_in_the_next() -> None:
    said = talk(("A", "Hello, my name is"), ("A", "Anna."))
    assert suggested(said, {}) == [("A", "Anna", "spoken")]
    assert suggested(talk(("A", "Hello, my name is"), ("B", "Anna.")), {}) == []


def test_who_was_invited_gives_the_whole_name() -> None:
    invited = ["Zoe Hall", "Anna Bell", "Ben Stone", "Ben Young"]
    assert suggested(_HELLO, {}, invited) == [("A", "Anna Bell", "spoken"), ("B", "Ben", "spoken")]
    said = talk(("A", "je suis zoé"), *[("A", "x"), ("B", "y")] * 5, ("B", "I am Zoé Hall"))
    assert ("B", "Zoe Hall", "spoken") in suggested(said, {}, invited)


def test_late_in_a_talk_a_phrase_that_may_mean_anything_means_nothing() -> None:
    late = talk(*[("A", "x"), ("B", "y")] * 3, ("A", "I am Anna"), ("B", "my name is Ben"))
    assert suggested(late, {}) == [("B", "Ben", "spoken")]
    assert ("A", "Anna Bell", "spoken") in suggested(late, {}, ["Anna Bell"])


def test_the_last_who_was_invited_may_be_the_last_who_speaks() -> None:
    assert suggested(_HELLO, {}, ["Anna", "Ben", "Clara"])[-1] == ("C", "Clara", "attendees")
    assert suggested(_HELLO, {"C": "Clara"}, ["Anna", "Ben", "Clara"])[-1] == ("B", "Ben", "spoken")
    # Of more than speak, nobody can say who is missing.
    assert all(speaker != "C" for speaker, *_ in suggested(_HELLO, {}, ["Anna", "Ben", "Clara", "Dan"]))


def test_minutes_may_know_who_took_something_on() -> None:
    said = talk(("A", "Who writes it up?"), ("B", "I will do that by Friday."), ("A", "Ben, I thank you."))
    taken = Point("Write it up", 2, said[1].start_ms, owner="Ben")
    assert suggested(said, {}, points=[taken]) == [("B", "Ben", "minutes")]
    # One who speaks to Ben is not Ben; nor is one who says nothing of themselves, or a speaker's own label.
    assert suggested(said, {}, points=[Point("x", 3, said[2].start_ms, owner="Ben")]) == []
    assert suggested(said, {}, points=[Point("x", 1, said[0].start_ms, owner="Ben")]) == []
    assert suggested(said, {}, points=[Point("x", 2, said[1].start_ms, owner="A")]) == []
    assert suggested(said, {}, points=[Point("x", 2, said[1].start_ms, owner="the whole team")]) == []
    assert suggested(said, {}, points=[Point("x", None, None, owner="Ben")]) == []


def test_without_speakers_nobody_is_named() -> None:
    assert suggested(talk((None, "Hello, I am Anna.")), {}, ["Anna"]) == []


def test_suggestions_are_few() -> None:
    many = talk(
        *[
            (f"S{number}", "My name is Anna. My name is Ben. My name is Eva. My name is Zoe.")
            for number in range(60)
        ]
    )
    found = suggested(many, {})
    assert len(found) == 50
    assert [name for speaker, name, _ in found if speaker == "S0"] == ["Anna", "Ben", "Eva"]
