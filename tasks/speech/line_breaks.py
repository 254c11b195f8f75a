"""Where a line of subtitles may end: how much a break between two words disturbs the reader.

Netflix's and the BBC's guides agree: after punctuation, before conjunctions and prepositions, and never
between an article or a preposition and its noun.
"""

from __future__ import annotations

from tasks.speech.text import ends_sentence, spoken_form

AFTER_SENTENCE = 0
AFTER_CLAUSE = 3
BEFORE_JOINT = 5
ANYWHERE = 12
TORN = 18

_CLAUSE_ENDS = (",", ";", ":", "\u2014", "\u2013", "\u3001", "\uff0c", "\uff1b", "\uff1a")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Conjunctions and prepositions, before which a line may begin: en, de, fr, es, it, pt, nl.
_JOINTS = _words("""
    and but or nor so yet because although though while when where which who that if unless until since
    after before as than for of to in on at by with from into about over under between through during
    und oder aber denn weil dass ob wenn als während bevor nachdem damit sondern für von zu im am an auf
    bei mit nach aus über unter zwischen durch gegen ohne um
    et ou mais donc car que qui quand si parce comme de du des à au aux en dans sur sous avec pour par sans
    y e o u pero porque cuando como del al con por para sin sobre entre hasta desde
    ma perché quando se di da su tra fra mas em no na com sem maar omdat dat als van op met voor door
""")
# Articles and the like, after which one may not end.
_TIED = _words("""
    the a an of to in on at by with from for my your his her its our their this that these those very
    der die das den dem des ein eine einen einem einer von zu im am mit für
    le la les un une du de au aux mon ma mes ton sa ses el los las una unos unas del al il lo gli i uno
    o os as um uma het een van
""")


def break_cost(word: str, following: str) -> int:
    """Return how much a break between two words disturbs: from `AFTER_SENTENCE` to `TORN`."""
    if ends_sentence(word):
        return AFTER_SENTENCE
    if word.endswith(_CLAUSE_ENDS):
        return AFTER_CLAUSE
    if spoken_form(word) in _TIED:
        return TORN
    return BEFORE_JOINT if spoken_form(following) in _JOINTS else ANYWHERE
