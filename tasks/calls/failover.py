"""Several providers for one job: which is asked, and who is left alone for a while because it is broken."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from stenoflow.tasks.api.errors import CallError, UnreachableError
from stenoflow.tasks.api.limiter import again
from stenoflow.tasks.api.retry import RetryPolicy
from stenoflow.tasks.calls.chosen_models import transcription_model_at
from stenoflow.tasks.calls.provider import find_provider
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings

_log = logging.getLogger(__name__)
# How long a broken provider is left alone, and how many failures in a row say that it is.
_REST_S = 60.0
_MOST_FAILURES = 3

IMPATIENT = RetryPolicy(free_attempts=2, doubtful_attempts=1, timeout_s=20.0)
"""Where another provider can be asked, nobody waits for long, and no lost reply is risked twice."""
# So long is waited at least, and so many times as long as an answer should take; but of the time until it is
# due, no more than this part: the next one needs some, too.
_LEAST_PATIENCE_S = 30.0
_TIMES_AS_LONG = 3.0
_PART_OF_DUE = 0.5


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

    @classmethod
    def chain(cls, provider: str, model: str, others: Iterable[str]) -> list[Candidate]:
        """Return all who can be asked for a job, in order, as its settings have them."""
        return [cls(provider, model), *map(cls.read, others)]


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
        asked = find_provider(settings, named.provider)
        wanted = named.model or (model if number == 0 else None)
        found.append(Candidate(asked.provider.name, transcription_model_at(settings, asked, wanted)))
    if len(found) == 1:
        raise SettingsError(
            "one provider alone is named, and none for what it cannot do",
            "name another behind it, or set STENOFLOW_TRANSCRIPTION_PROVIDER",
        )
    names = [each.provider for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"a provider is named twice: {', '.join(sorted(twice))}", "name each once")
    return found


def patience_s(sound_ms: int, speed: float, until_due_s: float | None = None) -> float:
    """Return how long an answer is waited for where another provider can be asked.

    Args:
        sound_ms: how much sound is sent.
        speed: how much of it the model takes in a time, as a multiple of that time.
        until_due_s: how long it is until the recording is due; None: it is not.
    """
    waited_s = _LEAST_PATIENCE_S + _TIMES_AS_LONG * sound_ms / 1_000 / max(speed, 0.01)
    if until_due_s is not None:
        waited_s = min(waited_s, _PART_OF_DUE * until_due_s)
    return max(_LEAST_PATIENCE_S, waited_s)


@dataclass(slots=True)
class Breaker:
    """Knows which providers are broken; one a run.

    It decides for calls that somebody else can answer: none of those stops a provider's limiter, so that
    nobody takes a provider that is only left alone for one to which nothing is sent any more. One that has
    rested is tried by a single call; the others go on to the next until that has its answer.

    Attributes:
        clock: monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _failures: Counter[str] = field(default_factory=Counter)
    _rests: dict[str, tuple[float, CallError]] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set)

    def lets(self, provider: str) -> bool:
        """Tell whether a provider may be asked: it is not known to be broken, or has rested."""
        return self._broken_by(provider) is None

    @contextmanager
    def trying(self, provider: str, *, is_last: bool = False) -> Iterator[None]:
        """Make a call, and note what comes of it; not to who broke down while its place was waited for.

        Args:
            provider: who is asked.
            is_last: nobody can be asked after it, so it is not left alone for what another call may not meet.

        Raises:
            CallError: what a provider is broken by; nothing was sent.
        """
        error = self._broken_by(provider)
        if error is not None and not (is_last and not _is_over(error)):
            raise again(error)
        is_trial = provider in self._rests
        if is_trial:
            self._tried.add(provider)
        try:
            yield
        except CallError as failure:
            self._failed(provider, failure)
            raise
        else:
            self._failures.pop(provider, None)
            self._rests.pop(provider, None)
        finally:
            if is_trial:
                self._tried.discard(provider)

    def _failed(self, provider: str, error: CallError) -> None:
        """Note a failure. What lies in one segment says nothing of the provider."""
        if error.scope == "segment":
            return
        self._failures[provider] += 1
        if _is_over(error) or self._failures[provider] >= _MOST_FAILURES:
            until, _ = self._rests.get(provider, (0.0, None))
            if self.clock() >= until:
                _log.warning("%s is left alone for %.0f s: %s", provider, _REST_S, error)
            self._rests[provider] = self.clock() + _REST_S, error

    def _broken_by(self, provider: str) -> CallError | None:
        until, error = self._rests.get(provider, (0.0, None))
        return error if self.clock() < until or provider in self._tried else None


def _is_over(error: CallError) -> bool:
    """Tell whether the next call to the provider would fail in the same way."""
    return isinstance(error, UnreachableError) or error.scope == "provider"
