"""Languages: their codes and names, and the vote of a recording's segments on the one that is spoken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_NAMES = """
af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian, bg bulgarian,
bn bengali, bo tibetan, br breton, bs bosnian, ca catalan, cs czech, cy welsh, da danish, de german, el greek,
en english, es spanish, et estonian, eu basque, fa persian, fi finnish, fo faroese, fr french, gl galician,
gu gujarati, ha hausa, haw hawaiian, he hebrew, hi hindi, hr croatian, ht haitian creole, hu hungarian,
hy armenian, id indonesian, is icelandic, it italian, ja japanese, jw javanese, ka georgian, kk kazakh,
km khmer, kn kannada, ko korean, la latin, lb luxembourgish, ln lingala, lo lao, lt lithuanian, lv latvian,
mg malagasy, mi maori, mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, mt maltese,
my myanmar, ne nepali, nl dutch, nn nynorsk, no norwegian, oc occitan, pa punjabi, pl polish, ps pashto,
pt portuguese, ro romanian, ru russian, sa sanskrit, sd sindhi, si sinhala, sk slovak, sl slovenian,
sn shona, so somali, sq albanian, sr serbian, su sundanese, sv swedish, sw swahili, ta tamil, te telugu,
tg tajik, th thai, tk turkmen, tl tagalog, tr turkish, tt tatar, uk ukrainian, ur urdu, uz uzbek,
vi vietnamese, yi yiddish, yo yoruba, yue cantonese, zh chinese
"""

NAME_OF: dict[str, str] = {
    code: name for code, _, name in (entry.strip().partition(" ") for entry in _NAMES.split(","))
}
"""Names by code, both in lower case."""

CODE_OF = {name: code for code, name in NAME_OF.items()} | {
    "mandarin": "zh",
    "castilian": "es",
    "burmese": "my",
}
"""Codes by name, in lower case; some have several names."""


def language_code(said: str | None) -> str | None:
    """Return the code for a name or a code ("English", "en", "en-GB"); None for what is not known."""
    if said is None:
        return None
    plain = said.strip().lower().replace("_", "-")
    if plain in CODE_OF:
        return CODE_OF[plain]
    code = plain.split("-", 1)[0]
    return code if code in NAME_OF else None


_LEAST_VOTES = 3
# Of what is spoken, in percent.
_MAJORITY = 75
_FREE_EVERY = 4
STRONG_MS = 5_000
"""With less speech than this, a detected language means nothing."""


@dataclass(frozen=True, slots=True)
class Vote:
    """A segment's language (ISO 639-1), and how long somebody speaks in it."""

    language: str
    speech_ms: int


def agreed_on(votes: Iterable[Vote]) -> str | None:
    """Return the language that enough segments agree on; None as long as there is none."""
    strong = [vote for vote in votes if vote.speech_ms >= STRONG_MS]
    if len(strong) < _LEAST_VOTES:
        return None
    language, weight = _weights(strong).most_common(1)[0]
    return language if weight * 100 >= sum(vote.speech_ms for vote in strong) * _MAJORITY else None


def likeliest(votes: Iterable[Vote], among: tuple[str, ...]) -> str:
    """Return the one of several languages that is spoken most; the first where none of them is."""
    weights = _weights(vote for vote in votes if vote.language in among)
    return weights.most_common(1)[0][0] if weights else among[0]


def is_free(index: int) -> bool:
    """Tell whether a segment is always sent without a language, so that the model detects it."""
    return index % _FREE_EVERY == 0


def language_to_tell(index: int, agreed: str | None, votes: Mapping[int, Vote]) -> str | None:
    """Return the language to send with a segment; None: the model detects it.

    Args:
        index: the segment's.
        agreed: what the job's segments agree on so far.
        votes: by segment.
    """
    if agreed is None or is_free(index) or not _is_iso_639_1(agreed):
        return None
    free = [each for each, vote in votes.items() if is_free(each) and vote.speech_ms >= STRONG_MS]
    before = max((each for each in free if each < index), default=None)
    after = min((each for each in free if each > index), default=None)
    near = [votes[each].language for each in (before, after) if each is not None]
    return agreed if all(language == agreed for language in near) else None


def _weights(votes: Iterable[Vote]) -> Counter[str]:
    weights: Counter[str] = Counter()
    for vote in votes:
        weights[vote.language] += vote.speech_ms
    return weights


def _is_iso_639_1(code: str) -> bool:
    """Whisper's own codes (yue, haw, jw) are not taken by every server; nobody asked for this one."""
    return len(code) == 2 and code != "jw"
