"""Work out what is yet to be bought for a recording, before the first call of its job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stenoflow.storage.database.postings import Bill
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.assemble import untranslated
from stenoflow.tasks.assembly.settings import CacheKeys, JobSettings
from stenoflow.tasks.calls.bills import reserve_audio, reserve_tokens
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.translate.plan import most_tokens
from stenoflow.tasks.transcript.regions import Excerpt


def expected_bills(
    context: AppContext, job: Job, sha256: str, duration_ms: int
) -> Iterator[tuple[Target, Bill]]:
    """Yield who is to be paid for a job, and what at most.

    Args:
        context: the tools.
        job: the job.
        sha256: of its recording.
        duration_ms: how much of it is heard, where nobody has cut it yet.
    """
    settings = JobSettings.from_dict(job.settings)
    due = _due(context, job, settings, sha256) or _Due.of_all(settings, duration_ms)
    target = Target(settings.provider, settings.model)
    yield target, reserve_audio(context.prices.find(target.provider, target.model), due.sound_ms)
    if settings.translator is not None and due.chat_ms:
        target = Target(settings.provider, settings.translator)
        tokens = most_tokens(due.chat_ms, due.chat_segments, context.chat_models.get(target.model))
        yield target, reserve_tokens(context.prices.find(target.provider, target.model), tokens)


@dataclass(frozen=True, slots=True)
class _Due:
    """What is yet to be bought.

    Attributes:
        sound_ms: how much sound is sent: to be heard, and by a model that translates, again.
        chat_ms: how much speech is translated by chat.
        chat_segments: in how many segments.
    """

    sound_ms: int
    chat_ms: int = 0
    chat_segments: int = 0

    @classmethod
    def of_all(cls, settings: JobSettings, duration_ms: int) -> _Due:
        """Return it for a recording that nobody has cut yet."""
        sound_ms = duration_ms * settings.calls_a_segment
        if settings.translator is None:
            return cls(sound_ms)
        return cls(sound_ms, duration_ms, max(1, round(duration_ms / settings.target_ms)))


def _due(context: AppContext, job: Job, settings: JobSettings, sha256: str) -> _Due | None:
    """Return what of a recording has no answer yet; None where nobody has cut it so before."""
    plan = context.catalog.find_plan(sha256, job.plan_hash)
    if plan is None:
        return None
    keys = CacheKeys(settings, sha256)
    keyed = [(keys.of(cut), cut) for cut in plan.segments]
    sent = {cache_key: Excerpt(cut.spans).duration_ms for cache_key, cut in keyed if cut.speech}
    answered = context.ledger.answered(sent)
    heard = [sent[cache_key] for cache_key in untranslated(context, settings, answered)]
    unheard = [ms for cache_key, ms in sent.items() if cache_key not in answered]
    if settings.translator is None:
        return _Due(sum(unheard) * settings.calls_a_segment + sum(heard))
    return _Due(sum(unheard), sum(unheard) + sum(heard), len(unheard) + len(heard))
