"""Which chat model is asked."""

from __future__ import annotations

from tasks.settings import Settings

_DEFAULT_MODEL = "gpt-4o-mini"
_EMBEDDED_MODEL = "extractive-summary"


def chat_model(settings: Settings, wanted: str | None) -> str:
    """Return the model that writes: the wanted one, the settings', or the provider's usual one."""
    return wanted or settings.chat_model or (_EMBEDDED_MODEL if settings.is_embedded else _DEFAULT_MODEL)
