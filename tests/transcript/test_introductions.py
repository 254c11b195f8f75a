from __future__ import annotations

import time

import pytest

from stenoflow.tasks.artifacts.minutes import LANGUAGES
from stenoflow.tasks.transcript.introductions import PHRASES, introductions


def names(text: str) -> list[str]:
    return [each.name for each in introductions(text)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hello, I am Anna.", "Anna"),
        ("Good morning. I'm Anna Bell, and I chair today.", "Anna Bell"),
        ("I\u2019m Anna from sales", "Anna"),
        ("Hi, my name is Jean-Luc O'Neill.", "Jean-Luc O'Neill"),
        ("my name's Anna", "Anna"),
        ("Hello, this is Ben speaking.", "Ben"),
        ("Hi all, this is Ben.", "Ben"),
        ("Ben speaking, good afternoon.", "Ben"),
        ("I am Dr. Anna van der Berg.", "Anna van der Berg"),
        ("I'm J. Edgar Hoover.", "J. Edgar Hoover"),
        ("I'm Anna. Ben is late.", "Anna"),
        ("Guten Tag, ich bin Anna.", "Anna"),
        ("Ich bin die Anna und mache das Protokoll.", "Anna"),
        ("Mein Name ist Jörg Groß.", "Jörg Groß"),
        ("Ich heiße Clara", "Clara"),
        ("Müller am Apparat.", "Müller"),
        ("Hier spricht Frau Weber.", "Weber"),
        ("Je m'appelle Zoé Lefèvre.", "Zoé Lefèvre"),
        ("Bonjour, je suis Zoé.", "Zoé"),
        ("Hola, soy Ana.", "Ana"),
        ("Me llamo José María.", "José María"),
        ("Mi chiamo Lucia.", "Lucia"),
        ("Buongiorno, sono Marco.", "Marco"),
        ("Ik ben Sanne de Vries.", "Sanne de Vries"),
        ("Mijn naam is Piet.", "Piet"),
        ("Olá, meu nome é João.", "João"),
        ("Eu sou a Inês.", "Inês"),
    ],
)
def test_who_says_their_name_is_understood(text: str, name: str) -> None:
    assert name in names(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I am sorry.",
        "I'm Sorry, what?",
        "I'm German.",
        "I am not Anna.",
        "Is this Ben?",
        "I'm CEO here.",
        "I am Anna's boss.",
        "Anna is late.",
        "Generally speaking, yes.",
        "Over here.",
        "I'm 40.",
        "I am",
        "This is it.",
        "Ich bin Freitag nicht da.",
        "Ich bin der Meinung.",
        "Ich bin Leiter der Abteilung.",
        "Je suis content.",
        "Sono stanco.",
        "thank you, Anna",
    ],
)
def test_what_is_no_name_is_none(text: str) -> None:
    assert names(text) == []


def test_the_phrase_is_quoted_with_its_place() -> None:
    (found,) = introductions("Well. I\u2019m Anna Bell, hello.")
    assert (found.quote, found.start, found.sure) == ("I\u2019m Anna Bell", 6, False)
    (found,) = introductions("My name is Anna.")
    assert (found.quote, found.sure) == ("My name is Anna", True)


def test_each_language_of_minutes_has_phrases() -> None:
    assert set(PHRASES) == set(LANGUAGES)


@pytest.mark.parametrize("piece", ["I am ", "Anna. ", "A" * 5_000 + " ", "ich bin I'm ", "Ben here Ben. "])
def test_work_grows_as_the_text_does(piece: str) -> None:
    """What a recogniser makes up is no reason to stand still: ten times the text."""

    def took(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        began = time.process_time()
        list(introductions(text))
        return time.process_time() - began

    assert took(200_000) < 40 * took(20_000) + 0.5
