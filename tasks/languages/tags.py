"""The languages that people name: BCP 47 tags and English names in, our codes out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from tasks.errors import SettingsError
from tasks.speech.languages import CODE_OF, NAME_OF, language_code

AUTO = "auto"
# Where the registry and Whisper call a language otherwise.
_OURS = {"jv": "jw", "fil": "tl", "nb": "no"}


def chosen_language(said: str | None) -> str | None:
    """Return the code of the language that a user names; None for ``auto`` and nothing.

    Raises:
        SettingsError: no model knows such a language; those that are written alike are named.
    """
    if said is None or said.strip().lower() == AUTO:
        return None
    code = _code(said.strip().lower().replace("_", "-"))
    if code is None:
        raise SettingsError(f"the language {said!r} is not known", _hint(said))
    return code


def chosen_languages(said: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of several languages, each once, in order. Raises SettingsError as above."""
    named = [each for each in said if each.strip()]
    return tuple(dict.fromkeys(code for each in named if (code := chosen_language(each)) is not None))


def _code(plain: str) -> str | None:
    if plain in CODE_OF or plain in NAME_OF:
        return language_code(plain)
    import langcodes  # noqa: PLC0415 - takes a tenth of a second, and is rarely needed

    if not langcodes.tag_is_valid(plain):
        return None
    # Retired codes (iw), those of three letters (deu) and dialects (cmn) become the usual ones.
    language = langcodes.Language.get(langcodes.standardize_tag(plain, macro=True)).language or ""
    language = _OURS.get(language, language)
    return language if language in NAME_OF else None


def _hint(said: str) -> str:
    alike = get_close_matches(said.strip().lower(), [*CODE_OF, *NAME_OF], n=3, cutoff=0.6)
    codes = dict.fromkeys(code for each in alike if (code := language_code(each)) is not None)
    if not codes:
        return "give a code such as en, de or ja"
    return "did you mean " + " or ".join(f"{code} ({NAME_OF[code]})" for code in codes) + "?"
