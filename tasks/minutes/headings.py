"""What the sections are called, in the language of the meeting where we know it, else in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NAMES: Final = ("minutes", "summary", "decisions", "action_items", "open_questions")
_TITLES: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Minutes", "Summary", "Decisions", "Action items", "Open questions"),
    "de": ("Protokoll", "Zusammenfassung", "Beschlüsse", "Aufgaben", "Offene Fragen"),
    "fr": ("Compte rendu", "Résumé", "Décisions", "Actions à mener", "Questions ouvertes"),
    "es": ("Acta", "Resumen", "Decisiones", "Tareas", "Preguntas abiertas"),
    "it": ("Verbale", "Riassunto", "Decisioni", "Azioni da svolgere", "Questioni aperte"),
    "nl": ("Notulen", "Samenvatting", "Besluiten", "Actiepunten", "Open vragen"),
    "pt": ("Ata", "Resumo", "Decisões", "Tarefas", "Questões em aberto"),
}


def headings(language: str | None) -> dict[str, str]:
    """Return the headings by section, and that of the whole as ``minutes``."""
    return dict(zip(_NAMES, _TITLES.get(language or "en", _TITLES["en"]), strict=True))
