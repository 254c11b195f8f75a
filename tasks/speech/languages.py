"""Languages: ISO 639-1 codes inside; the names that APIs answer with at the edge.

The names are those of Whisper's tokenizer, which the APIs took over.
"""

from __future__ import annotations

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
