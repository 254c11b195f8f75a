"""Rehearse a model's retirement: what another one makes of recordings that were transcribed before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from stenoflow.storage.database.reports import JobFilter
from stenoflow.storage.database.states import PUBLISHED, JobKind
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.api.models import Model
from stenoflow.tasks.assembly.assemble import assemble
from stenoflow.tasks.assembly.job_settings import JobSettings, Speakers, job_id
from stenoflow.tasks.calls.chosen_models import transcription_model
from stenoflow.tasks.calls.provider import asked_for, embedded_model
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.request import cut_rule
from stenoflow.tasks.media.ffmpeg_arguments import SEGMENT_BITS_PER_S
from stenoflow.tasks.operations.model_list import abilities_of
from stenoflow.tasks.settings import Settings, inbox_of
from stenoflow.tasks.transcript.quality import spoken_words
from stenoflow.tasks.transcript.regions import Excerpt

REHEARSAL_TAG = "rehearsal"
"""Jobs of rehearsals have this tag, and their costs are found by it."""
NO_INBOX = "-"
_CHANGE = 1 << 32


@dataclass(frozen=True, slots=True)
class PastJob:
    """A transcription that can be rehearsed, and the inbox it came from (``-``: none)."""

    job: Job
    recording: Recording
    inbox: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a rehearsal ended.

    Attributes:
        job: its job; None: it was refused before it had one.
        error: why it did not end well.
        spent_micro: in this run, in micro-units of USD; None: the price is unknown.
    """

    job: str | None
    status: str
    error: str | None = None
    spent_micro: int | None = 0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What two transcripts differ in, in words as they are compared (lower case, without punctuation).

    Attributes:
        words: of the earlier transcript.
        substitutions, deletions, insertions: of the later one against it; neither is taken to be right.
    """

    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: Disagreement) -> Disagreement:
        """Return both together."""
        return Disagreement(*(mine + theirs for mine, theirs in zip(self._all, other._all, strict=True)))

    @property
    def rate(self) -> float | None:
        """Differences by word of the earlier transcript; None where that has none."""
        different = self.substitutions + self.deletions + self.insertions
        return different / self.words if self.words else None

    @property
    def _all(self) -> tuple[int, int, int, int]:
        return self.words, self.substitutions, self.deletions, self.insertions


@dataclass(frozen=True, slots=True)
class RehearsedJob:
    """One past job beside its rehearsal.

    Attributes:
        rehearsal: the job that was made for it; None: it was not begun.
        status: how that ended.
        sent_ms: how much sound an answer takes, by the past job's segments.
        before_micro, after_micro: what that costs by list price, in micro-units of USD; None: unknown.
        languages: that were heard before, and now, where they differ.
        error: why it was not rehearsed, or not wholly.
    """

    past: PastJob
    rehearsal: str | None
    status: str
    sent_ms: int
    before_micro: int | None
    after_micro: int | None
    spent_micro: int | None
    disagreement: Disagreement = Disagreement()
    languages: tuple[str | None, str | None] | None = None
    lost: tuple[str, ...] = ()
    error: str | None = None


def past_jobs(
    context: AppContext, number: int, *, tag: str | None = None, inbox: str | None = None
) -> list[PastJob]:
    """Return the newest transcriptions that were published, each recording once.

    Args:
        context: the tools.
        number: how many at most.
        tag: only those with it.
        inbox: only those of the inbox of that name.
    """
    names = [each.name for each in context.settings.inboxes]
    if inbox is not None and inbox not in names:
        raise SettingsError(
            f"there is no inbox {inbox}", f"[[inboxes]] in stenoflow.toml names: {', '.join(names) or 'none'}"
        )
    found: dict[str, PastJob] = {}
    for line in context.reports.jobs(JobFilter(tag=tag)):
        job, source = line.job, line.recording.source
        published = job.kind == JobKind.TRANSCRIBE and job.state in PUBLISHED
        if not published or (job.tag == REHEARSAL_TAG and tag != REHEARSAL_TAG):
            continue
        name = inbox_of(context.settings, source)
        if inbox not in {None, name}:
            continue
        found.setdefault(line.recording.id, PastJob(job, line.recording, name or NO_INBOX))
        if len(found) == number:
            break
    return list(found.values())


def settings_on(context: AppContext, past: PastJob, settings: Settings, successor: str) -> JobSettings:
    """Return the settings of a past job on another model: cut as it was, unless the model takes less.

    Args:
        context: the tools.
        past: the job.
        settings: that say who is asked.
        successor: the model.

    Raises:
        SettingsError: nobody has that model.
    """
    asked, was = asked_for(settings).provider, JobSettings.from_dict(past.job.settings)
    chosen = embedded_model(settings, successor) if asked.is_embedded else None
    name = chosen.name if chosen else transcription_model(settings, successor)
    model = context.models.get(name)
    limited = asked.limited(model)
    longest_ms = limited.longest_ms(SEGMENT_BITS_PER_S)
    segments = context.catalog.segments(past.job.id)
    fits = longest_ms is None or all(Excerpt(each.spans).duration_ms <= longest_ms for each in segments)
    rule = was.rule if fits else cut_rule(limited, None)
    speakers = _speakers(was, model)
    return replace(
        was,
        provider=asked.name,
        model=name,
        format=model.format_for(speakers=speakers == Speakers.MODEL),
        target_ms=rule.target_ms,
        window_ms=rule.window_ms,
        keywords=was.keywords if model.keywords or model.prompt else (),
        languages=was.languages if model.languages or model.response_format == "verbose_json" else (),
        speakers=speakers,
        turns=was.turns,
        engine=chosen.identity if chosen else None,
        # What is rehearsed is the model that transcribes.
        translate=False,
        translator=None,
        translator_provider=None,
        others=(),
    )


def _speakers(was: JobSettings, model: Model) -> str:
    if was.speakers == Speakers.MODEL and not model.can_tell_speakers:
        return Speakers.NONE.value
    return was.speakers


def find_rehearsal(context: AppContext, past: PastJob, wanted: JobSettings) -> Job | None:
    """Return the job of a recording with such settings; None where there is none yet."""
    try:
        return context.catalog.job(job_id(past.recording.id, wanted))
    except StorageError:
        return None


def compare_jobs(
    context: AppContext, past: PastJob, wanted: JobSettings, rehearsal: Rehearsal
) -> RehearsedJob:
    """Hold a rehearsal against the past job: words, languages, price, abilities; calls nobody.

    Args:
        context: the tools.
        past: the job of before.
        wanted: the rehearsal's settings.
        rehearsal: how that ended.
    """
    was = JobSettings.from_dict(past.job.settings)
    segments = context.catalog.segments(past.job.id)
    sent_ms = sum(Excerpt(each.spans).duration_ms for each in segments)
    prices = [context.prices.find(each.provider, each.model) for each in (was, wanted)]
    before, after = (price.charge(sent_ms) if price else None for price in prices)
    done = RehearsedJob(
        past,
        rehearsal.job,
        rehearsal.status,
        sent_ms,
        before,
        after,
        rehearsal.spent_micro,
        lost=_lost(context.models.get(was.model), context.models.get(wanted.model), was),
        error=rehearsal.error,
    )
    if rehearsal.job is None or rehearsal.status not in PUBLISHED:
        return done
    now = context.catalog.job(rehearsal.job)
    old, new = (assemble(context, each, context.catalog.segments(each.id)) for each in (past.job, now))
    heard = (old.language, new.language)
    return replace(
        done,
        disagreement=disagreement(*(" ".join(u.text for u in each.utterances) for each in (old, new))),
        languages=None if heard[0] == heard[1] else heard,
    )


def disagreement(before: str, after: str) -> Disagreement:
    """Count what must be changed in one text to get the other, word by word."""
    import numpy as np  # noqa: PLC0415 - loads slowly

    old, new = spoken_words(before), spoken_words(after)
    ids = {word: number for number, word in enumerate({*old, *new})}
    written = np.array([ids[word] for word in new], np.int64)
    # Of the ways with the fewest changes, the one that keeps most words: the lower bits count substitutions.
    added = line = np.arange(len(new) + 1, dtype=np.int64) * _CHANGE
    for word in old:
        kept = line[:-1] + np.where(written == ids[word], 0, _CHANGE + 1)
        line = np.append(line[0] + _CHANGE, np.minimum(kept, line[1:] + _CHANGE))
        line = np.minimum.accumulate(line - added) + added
    changes, substitutions = divmod(int(line[-1]), _CHANGE)
    lacking = changes - substitutions + len(old) - len(new)
    deletions = lacking // 2
    return Disagreement(len(old), substitutions, deletions, changes - substitutions - deletions)


def _lost(old: Model, new: Model, was: JobSettings) -> tuple[str, ...]:
    """Return what the old model can do and the new one cannot; limits of a call are no loss."""
    able = set(abilities_of(new))
    if "times of words" in able:
        able.add("times")
    lost = [
        each
        for each in abilities_of(old)
        if each not in able and each != "text only" and " s a call" not in each
    ]
    if was.speakers == Speakers.MODEL and "speakers" in lost:
        lost[lost.index("speakers")] = "speakers (in use)"
    return tuple(lost)


def by_inbox(jobs: Iterable[RehearsedJob]) -> Iterator[tuple[str, Sequence[RehearsedJob]]]:
    """Yield the rehearsed jobs of each inbox, in the order of their first."""
    found: dict[str, list[RehearsedJob]] = {}
    for each in jobs:
        found.setdefault(each.past.inbox, []).append(each)
    yield from found.items()


def summed(jobs: Sequence[RehearsedJob]) -> Mapping[str, Any]:
    """Return what some jobs come to, as JSON has it; money in units of USD, None where unknown."""
    held = [each for each in jobs if each.status in PUBLISHED]
    words = sum((each.disagreement for each in held), Disagreement())
    return {
        "jobs": len(jobs),
        "compared": len(held),
        **asdict(words),
        "disagreement": None if words.rate is None else round(words.rate, 4),
        "seconds": round(sum(each.sent_ms for each in held) / 1_000, 3),
        "price_before": _money(each.before_micro for each in held),
        "price_after": _money(each.after_micro for each in held),
        "cost": _money(each.spent_micro for each in jobs),
        "lost": sorted({lost for each in jobs for lost in each.lost}),
        "other_language": sum(bool(each.languages and all(each.languages)) for each in held),
    }


def _money(amounts: Iterable[int | None]) -> float | None:
    listed = list(amounts)
    return None if None in listed else sum(each or 0 for each in listed) / 1_000_000
