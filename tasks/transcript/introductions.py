"""Names that people say of themselves: "I am Anna", "this is Ben speaking", "ich heiße Clara".

For languages in which a name begins with a capital letter and has a place of its own behind (or before) a few
phrases. What is found may be wrong ("I am Head of Sales"), so it is good for suggestions only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stenoflow.tasks.transcript.languages import NAME_OF


@dataclass(frozen=True, slots=True)
class Introduction:
    """A name that somebody says to have.

    Attributes:
        start: where the phrase begins, in characters of the text.
        quote: the phrase with the name.
        sure: it can hardly be anything but a name, wherever it is said.
    """

    name: str
    start: int
    quote: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of a language, as regular expressions.

    Attributes:
        named: a name follows.
        am: a name may follow, and so may much else.
        after: a name stands before.
    """

    named: str
    am: str
    after: str


PHRASES: Final[Mapping[str, Phrases]] = {
    "en": Phrases(
        r"my name is|my name's|i am called|i'm called"
        r"|this is(?=(?: [\w'.-]+){1,3},? (?:speaking|calling|here)\b)",
        r"i am|i'm|this is",
        r"speaking|calling|here",
    ),
    "de": Phrases(
        r"mein name ist|ich hei(?:ß|ss)e|hier spricht",
        r"ich bin(?: die| der)?|hier ist(?: die| der)?",
        r"am apparat|am telefon|hier",
    ),
    "fr": Phrases(r"je m'appelle|mon nom est|je me nomme", r"je suis|moi,? c'est|ici", r"à l'appareil"),
    "es": Phrases(r"me llamo|mi nombre es", r"soy|le habla|habla", r"al habla|al aparato|al teléfono"),
    "it": Phrases(r"mi chiamo|il mio nome è", r"sono|qui parla|parla", r"al telefono|all'apparecchio"),
    "nl": Phrases(
        r"mijn naam is|ik heet|(?:u|je) spreekt met", r"ik ben|hier is", r"aan de lijn|aan het woord|hier"
    ),
    "pt": Phrases(
        r"meu nome é|me chamo|chamo-me|aqui fala(?: a| o)?",
        r"sou(?: a| o)?|aqui é(?: a| o)?",
        r"falando|ao telefone|aqui",
    ),
}
"""By language; each is looked for in all transcripts, for people mix languages."""

_WORD = r"[^\W\d_][\w'.-]*"
_BEFORE = {
    language: re.compile(rf"\b(?:(?P<named>{each.named})|(?P<am>{each.am}))[,:]? ", re.IGNORECASE)
    for language, each in PHRASES.items()
}
_AFTER = {
    language: re.compile(
        rf"(?:^|(?<=[.!?,;:…] ))(?P<said>(?:{_WORD} ){{1,3}})(?:{each.after})(?=[.,;:!…]|$)", re.IGNORECASE
    )
    for language, each in PHRASES.items()
}
# What is said before a name, and is none of it.
_TITLE_WORDS = """
dr doctor doktor prof professor mr mrs ms miss frau herr m mme mlle madame monsieur sr sra señor señora don
doña sig signor signora dott mevrouw meneer dhr senhor senhora dona
"""
# Small words inside of names.
_PARTICLE_WORDS = "von van de del della di da dos das la le ten ter zu zum zur der den"
# Capitalised, and no name: what somebody may be, and what sentences begin with.
_OTHER_WORDS = """
american british canadian australian european african asian indian swiss austrian mexican brazilian
here there right i we you he she it they not so just still now very sorry sure fine ok okay over down up come
look stop wait yes no well and but or the this that these those everyone everybody anyone anybody someone
somebody nobody both all what who where when how why mum mom dad boss god ceo cto cfo head director one
generally strictly broadly roughly honestly frankly technically legally financially personally
monday tuesday wednesday thursday friday saturday sunday
montag dienstag mittwoch donnerstag freitag samstag sonntag mitte ende anfang
januar februar märz april mai juni juli august september oktober november dezember
meinung ansicht auffassung überzeugung leiter leiterin chef chefin arzt ärztin vater mutter
der die das ein eine sie er wir
"""
# In German every noun has a capital letter: what follows a name, and rarely one of them.
_FOLLOWING_WORDS = "und von vom aus hier ich am"
_TITLES, _PARTICLES, _NO_NAMES, _FOLLOWS_A_NAME = (
    frozenset(words.split())
    for words in (
        _TITLE_WORDS,
        _PARTICLE_WORDS,
        f"{_OTHER_WORDS} {' '.join(NAME_OF.values())}",
        _FOLLOWING_WORDS,
    )
)
_MOST_WORDS, _LONGEST_WORD = 4, 40
_TOKEN = re.compile(r"\S+")
_INITIAL = re.compile(r"[^\W\d_]\.")


def introductions(text: str) -> Iterator[Introduction]:
    """Yield the names that somebody says to have, in no order.

    Args:
        text: what one person says in one turn, with single spaces between words.
    """
    plain = text.replace("\u2019", "'")
    for language, phrase in _BEFORE.items():
        for found in phrase.finditer(plain):
            name, end = _name_at(plain, found.end())
            sure = found["named"] is not None
            if name and (sure or language != "de" or _ends_as_names_do(plain, end)):
                quote = text[found.start() : end].rstrip(".,;:!?… ")
                yield Introduction(name, found.start(), quote, sure)
    for phrase in _AFTER.values():
        for found in phrase.finditer(plain):
            name, end = _name_at(plain, found.start("said"), found.end("said"))
            if name and end >= found.end("said") - 1:
                yield Introduction(name, found.start(), text[found.start() : found.end()], sure=False)


def _ends_as_names_do(text: str, end: int) -> bool:
    following = text[end:].lstrip("\"')»”").split(maxsplit=1)
    return text[end - 1] in ".,;:!?…" or not following or following[0].casefold() in _FOLLOWS_A_NAME


def _name_at(text: str, start: int, end: int | None = None) -> tuple[str, int]:
    """Return the name that begins at a place, empty where there is none, and where it ends."""
    parts: list[str] = []
    pending: list[str] = []
    at = start
    for found in _TOKEN.finditer(text, start, len(text) if end is None else end):
        token = found[0].lstrip("\"'(«“„")
        word = token.rstrip("\"').,;:!?…»”")
        if not parts and word.casefold() in _TITLES:
            continue
        if parts and word == token and word in _PARTICLES:
            pending.append(word)
            continue
        if not _may_be_name(word):
            break
        is_initial = _INITIAL.fullmatch(token) is not None
        parts, pending, at = [*parts, *pending, token if is_initial else word], [], found.end()
        if word != token and not is_initial:
            break
        if len(parts) >= _MOST_WORDS:
            break
    return " ".join(parts), at


def _may_be_name(word: str) -> bool:
    return (
        len(word) <= _LONGEST_WORD
        and word[:1].isupper()
        and all(sign.isalpha() or sign in "-'" for sign in word)
        and (len(word) == 1 or not word.isupper())
        and not word.endswith("'s")
        and word.casefold() not in _NO_NAMES
    )
