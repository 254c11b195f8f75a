"""Several providers for one job: which is asked, and who is left alone for a while because it is broken."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.errors import CallError, UnreachableError
from stenoflow.tasks.api.retry import RetryPolicy
from stenoflow.tasks.calls.chosen_models import transcription_model_at
from stenoflow.tasks.calls.provider import find_provider
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings

# How long a broken provider is left alone, and how many failures in a row say that it is.
_REST_S = 60.0
_MOST_FAILURES = 3

IMPATIENT = RetryPolicy(free_attempts=2, doubtful_attempts=1, timeout_s=20.0)
"""Where another provider can be asked, nobody waits for long, and no lost reply is risked twice."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider that can be asked, and the model there."""

    provider: str
    model: str

    def __str__(self) -> str:
        """Write it as settings of jobs have it."""
        return f"{self.provider}:{self.model}"

    @classmethod
    def read(cls, text: str) -> Candidate:
        """Read what is written so."""
        provider, _, model = text.partition(":")
        return cls(provider, model)


def candidates_of(settings: Settings, said: Sequence[str], model: str | None) -> list[Candidate]:
    """Return who is asked, in order: of names, each with its model behind a colon or its default one.

    Args:
        settings: of this process.
        said: such as ``openai``, ``groq:whisper-large-v3``, ``embedded``.
        model: that is wanted of the first.

    Raises:
        SettingsError: a name is not known, comes twice, or its provider offers no model.
    """
    found: list[Candidate] = []
    for number, text in enumerate(said):
        named = Candidate.read(text.strip())
        provider = find_provider(settings, named.provider).provider
        wanted = named.model or (model if number == 0 else None)
        found.append(Candidate(provider.name, transcription_model_at(settings, provider, wanted)))
    if len(found) == 1:
        raise SettingsError(
            "one provider alone is named, and none for what it cannot do",
            "name another behind it, or set STENOFLOW_TRANSCRIPTION_PROVIDER",
        )
    names = [each.provider for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"a provider is named twice: {', '.join(sorted(twice))}", "name each once")
    return found


@dataclass(slots=True)
class Breaker:
    """Knows which providers are broken; one a run.

    Attributes:
        clock: monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _failures: Counter[str] = field(default_factory=Counter)
    _rests_until: dict[str, float] = field(default_factory=dict)

    def lets(self, provider: str) -> bool:
        """Tell whether a provider may be asked: it is not known to be broken, or has rested."""
        return self.clock() >= self._rests_until.get(provider, 0.0)

    def failed(self, provider: str, error: StenoflowError) -> None:
        """Note a failure. What lies in one segment says nothing of the provider."""
        if isinstance(error, CallError) and error.scope == "segment":
            return
        self._failures[provider] += 1
        is_over = isinstance(error, UnreachableError) or (
            isinstance(error, CallError) and error.scope == "provider"
        )
        if is_over or self._failures[provider] >= _MOST_FAILURES:
            self._rests_until[provider] = self.clock() + _REST_S

    def worked(self, provider: str) -> None:
        """Note an answer."""
        self._failures.pop(provider, None)
        self._rests_until.pop(provider, None)
