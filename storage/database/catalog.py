"""Recordings, jobs, segments and artifacts: what there is, and in which state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, case, delete, exists, func, select, update
from sqlalchemy.orm import Session

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.rows import Clock, insert_missing, storable, utc_now
from stenoflow.storage.database.states import PUBLISHED, Activity, JobKind, JobState, SegmentState
from stenoflow.storage.database.tables import Artifact, Job, Recording, Result, Segment
from stenoflow.storage.errors import CrashedError, StenoflowError, StorageError, TakenError

_MOST_CRASHES = 3
# What every recording asks: made once, for to write such a statement down takes longer than to run it.
_SEGMENTS = select(Segment).where(Segment.job_id == bindparam("job")).order_by(Segment.index)
_PLANNED = (
    select(Job)
    .join(Recording, Recording.id == Job.recording_id)
    .where(Recording.sha256 == bindparam("sha256"), Job.plan_hash == bindparam("plan"), Job.planned)
    .limit(1)
)
_DIGESTS = (
    select(Job)
    .where(
        Job.recording_id == bindparam("recording"),
        Job.kind == JobKind.MINUTES,
        Job.state.in_(PUBLISHED),
    )
    .order_by(Job.state, Job.created_at.desc(), Job.id)
)
_ARTIFACTS = select(Artifact).where(Artifact.job_id == bindparam("job")).order_by(Artifact.name)
_PUT_BACK = (
    update(Segment)
    .where(
        Segment.job_id == bindparam("job"),
        (Segment.state == SegmentState.FAILED)
        | ((Segment.state == SegmentState.DONE) & ~exists().where(Result.cache_key == Segment.cache_key)),
    )
    .values(state=SegmentState.CUT, error_kind=None, error_message=None)
)


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A segment as it is decided: its place in samples, the speech in it, and what of it is sent.

    Attributes:
        speech: [start, end] in ms from its start; of a channel, followed by its levels (see `Segment`).
        sent: [first, end) in samples of the recording; None: all of it.
        channel: the one that is sent, from 0; None: all, mixed.
        activity: other than transcription: its place is counted in characters, and it is always sent.
        gain_db: how much louder it is sent than it is.
    """

    index: int
    start_sample: int
    end_sample: int
    forced: bool
    speech: tuple[tuple[int, ...], ...]
    sent: tuple[tuple[int, int], ...] | None = None
    channel: int | None = None
    activity: Activity = Activity.TRANSCRIPTION
    gain_db: int = 0

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to be sent."""
        return self.activity == Activity.TRANSCRIPTION and not (self.speech and self.spans)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """What is sent, whatever was kept of that."""
        return ((self.start_sample, self.end_sample),) if self.sent is None else self.sent


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole cut of a recording, as an earlier job decided it.

    Attributes:
        samples: how many the recording has.
        lost_ms: how much at its end was declared and could not be read.
        damage: what else is wrong with it, for people and for the coverage; None: nothing.
    """

    segments: tuple[SegmentPlan, ...]
    samples: int
    lost_ms: int
    damage: dict[str, Any] | None = None


class Catalog:
    """What is known of recordings and jobs, in a database."""

    def __init__(
        self,
        database: Database,
        clock: Clock = utc_now,
        leases: Leases | None = None,
        run_id: str | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._leases = leases or Leases(database, clock=clock)
        self._run_id = run_id

    def add_recording(self, recording: Recording) -> Recording:
        """Store a recording, or return the one that is stored under its id."""
        with self._database.write() as session:
            self._add_recording(session, recording)
            return session.get_one(Recording, recording.id)

    def describe(
        self, job_id: str, duration_ms: int, media: dict[str, Any], origin_ms: int, names: Mapping[str, str]
    ) -> Job:
        """Store what probing found of a job's recording, and names of speakers; returns the job.

        ``origin_ms``: where the first decoded sample lies on the recording's timeline.
        """
        with self._database.write() as session:
            job = session.get_one(Job, job_id, with_for_update=True)
            job.origin_ms = origin_ms
            _name_speakers(job, names)
            recording = session.get_one(Recording, job.recording_id)
            recording.duration_ms, recording.media = duration_ms, media
            return job

    def open_job(self, job: Job, recording: Recording | None = None) -> Job:
        """Store a job, or return the one with the same id, its budget, tag, inbox and the like up to date.

        A format that was asked for once is kept: what is built anew is not to lack what there was.

        Args:
            job: the job.
            recording: what it is of, which is stored before it; None: it is there.
        """
        job.created_at = self._clock()
        job.state = JobState.NEW
        with self._database.write() as session:
            if recording is not None:
                self._add_recording(session, recording)
            insert_missing(session, job)
            stored = session.get_one(Job, job.id, with_for_update=True)
            stored.budget_micro = job.budget_micro
            if job.tag:
                stored.tag = storable(job.tag)
            if job.inbox:
                stored.inbox = storable(job.inbox)
            if job.formats:
                stored.formats = sorted({*(stored.formats or ()), *job.formats})
            if job.settings.get("attendees"):
                stored.settings = stored.settings | {"attendees": job.settings["attendees"]}
            return stored

    def set_budget(self, job_id: str, budget_micro: int) -> Job:
        """Give a job another budget; returns the job."""
        with self._database.write() as session:
            job = session.get_one(Job, job_id, with_for_update=True)
            job.budget_micro = budget_micro
            return job

    def drop_unread(self, source: str) -> None:
        """Remove the jobs of an address from when it could not be read: it has a job of its content now."""
        with self._database.write() as session:
            unread = select(Recording.id).where(Recording.source == source, Recording.sha256 == "")
            ids = session.scalars(unread).all()
            if ids:
                session.execute(delete(Job).where(Job.recording_id.in_(ids)))
                session.execute(delete(Recording).where(Recording.id.in_(ids)))

    def claim(self, job_id: str, *, again: bool = False, unfinished: bool = False) -> bool:
        """Take a job to work on; no other run can change it from then on.

        Args:
            job_id: the job.
            again: take it even if it was set aside.
            unfinished: take it only if it is not complete: it was not when it was looked at.

        Its segments that failed are put back to be transcribed, and those whose answers were erased since.

        Returns:
            Whether it was taken; False only where another run has completed it.

        Raises:
            TakenError: another run, which is alive, is at work on it.
            CrashedError: it is set aside, since runs died over it again and again.
        """
        error = None
        with self._database.write() as session:
            job = self._ours(session, job_id)
            if unfinished and job.state == JobState.COMPLETE:
                return False
            if job.state == JobState.RUNNING and job.run_id != self._run_id:
                _count_crash(session, job)
            if again:
                job.crashes = 0
            if job.crashes < _MOST_CRASHES:
                job.state, job.run_id, job.finished_at = JobState.RUNNING, self._run_id, None
                job.error_kind = job.error_message = None
                session.execute(_PUT_BACK, {"job": job_id}, execution_options={"synchronize_session": False})
            else:
                error = CrashedError(
                    f"{job.crashes} runs in a row died over job {job_id} without getting any further",
                    f"stenoflow resume {job_id} tries again",
                )
                job.state, job.finished_at = JobState.FAILED, self._clock()
                job.error_kind, job.error_message = error.kind, str(error)
        if error is not None:
            raise error
        return True

    def set_state(
        self, job_id: str, state: JobState, error: StenoflowError | None = None, kind: str | None = None
    ) -> None:
        """Move a job to a state, with its reason where there is one; ``kind`` in place of the error's own.

        Raises TakenError, as all that follow do which change a job, if another run is at work on it.
        """
        with self._database.write() as session:
            job = self._ours(session, job_id)
            job.state = state
            job.error_kind = kind or error.kind if error else None
            job.error_message = storable(str(error)) if error else None
            job.finished_at = None
            if state not in {JobState.NEW, JobState.RUNNING}:
                job.finished_at, job.crashes = self._clock(), 0

    def abandoned(self) -> list[tuple[str, str | None]]:
        """Return the jobs that a run died over, with that run: nobody works on them."""
        with self._database.read() as session:
            running = session.scalars(select(Job).where(Job.state == JobState.RUNNING).order_by(Job.id)).all()
            # Many jobs are one run's.
            runs = {job.run_id for job in running}
            dead = {run_id for run_id in runs if not self._leases.is_alive(session, run_id)}
            return [(job.id, job.run_id) for job in running if job.run_id in dead]

    def agree_on_language(self, job_id: str, language: str) -> str:
        """Store the language that a job's segments agree on, once; returns the one that is stored."""
        with self._database.write() as session:
            job = self._ours(session, job_id)
            job.language = job.language or language
            return job.language

    def add_segment(self, job_id: str, cut: SegmentPlan, cache_key: str) -> Segment:
        """Store a cut; done before the segment is used, so that a resumed run cuts at the same samples.

        Saying it again changes nothing.

        Returns:
            The segment as it is stored.

        Raises:
            StorageError: there is another cut in its place.
        """
        with self._database.write() as session:
            self._ours(session, job_id)
            insert_missing(session, _segment(job_id, cut, cache_key))
            segment = session.get_one(Segment, (job_id, cut.index))
            if segment.cache_key != cache_key:
                raise StorageError(f"segment {cut.index} of job {job_id} is cut already, and elsewhere")
            return segment

    def name_speakers(self, job_id: str, names: Mapping[str, str]) -> bool:
        """Give speakers names, by what they are called otherwise; True if that changes anything."""
        with self._database.write() as session:
            return _name_speakers(session.get_one(Job, job_id, with_for_update=True), names)

    def finish_plan(
        self, job_id: str, samples: int, lost_ms: int, damage: dict[str, Any] | None = None
    ) -> None:
        """Record that the last cut is stored, and what the whole of the recording came to."""
        with self._database.write() as session:
            job = self._ours(session, job_id)
            job.planned, job.samples, job.lost_ms, job.damage = True, samples, lost_ms, damage

    def find_plan(self, sha256: str, plan_hash: str) -> Plan | None:
        """Return the cuts of any job that planned the same audio by the same rules."""
        with self._database.read() as session:
            job = session.scalars(_PLANNED, {"sha256": sha256, "plan": plan_hash}).first()
            if job is None or job.samples is None:
                return None
            segments = session.scalars(_SEGMENTS, {"job": job.id}).all()
            return Plan(tuple(map(plan_of_segment, segments)), job.samples, job.lost_ms, job.damage)

    def record_artifacts(self, job_id: str, artifacts: Iterable[Artifact], duration_ms: int) -> None:
        """Replace what is recorded of a job's artifacts, with the duration that they cover."""
        with self._database.write() as session:
            recording = self._ours(session, job_id).recording_id
            # First, for it makes two that publish at once take turns.
            session.execute(
                update(Recording).where(Recording.id == recording).values(duration_ms=duration_ms)
            )
            session.execute(delete(Artifact).where(Artifact.job_id == job_id))
            for artifact in artifacts:
                artifact.created_at = self._clock()
                session.add(artifact)

    def job(self, job_id: str) -> Job:
        """Return a job. Raises StorageError where there is none."""
        with self._database.read() as session:
            job = session.get(Job, job_id)
        if job is None:
            raise StorageError(f"there is no job {job_id}", "stenoflow jobs lists them")
        return job

    def recording(self, recording_id: str) -> Recording:
        """Return a recording, which must exist."""
        with self._database.read() as session:
            return session.get_one(Recording, recording_id)

    def segments(self, job_id: str) -> Sequence[Segment]:
        """Return a job's segments in order."""
        with self._database.read() as session:
            return session.scalars(_SEGMENTS, {"job": job_id}).all()

    def segment(self, job_id: str, index: int) -> Segment:
        """Return one segment, which must exist."""
        with self._database.read() as session:
            return session.get_one(Segment, (job_id, index))

    def _add_recording(self, session: Session, recording: Recording) -> None:
        recording.created_at = self._clock()
        insert_missing(session, recording)

    def _ours(self, session: Session, job_id: str) -> Job:
        """Return a job, locked, that no other living run is at work on."""
        job = session.get_one(Job, job_id, with_for_update=True)
        if job.run_id != self._run_id and self._leases.has_in_hand(session, job):
            raise TakenError(f"another run is at work on job {job_id}", "it is waited for, or interrupt it")
        return job

    def digests(self, recording_id: str) -> Sequence[Job]:
        """Return the published digests of a recording's transcripts: whole ones first, then the newest."""
        with self._database.read() as session:
            return session.scalars(_DIGESTS, {"recording": recording_id}).all()

    def transcriptions(self, recording_id: str) -> Sequence[Job]:
        """Return the transcriptions of a recording, in whatever state."""
        query = (
            select(Job)
            .where(Job.recording_id == recording_id, Job.kind == JobKind.TRANSCRIBE)
            .order_by(Job.created_at, Job.id)
        )
        with self._database.read() as session:
            return session.scalars(query).all()

    def artifacts(self, job_id: str) -> Sequence[Artifact]:
        """Return a job's recorded artifacts by name."""
        with self._database.read() as session:
            return session.scalars(_ARTIFACTS, {"job": job_id}).all()


def _count_crash(session: Session, job: Job) -> None:
    """A run died over a job. Killed runs are counted only in a row in which none got any further."""
    done = case((Segment.state == SegmentState.DONE, 2), else_=1)
    progress = session.scalar(select(func.sum(done)).where(Segment.job_id == job.id)) or 0
    job.crashes = job.crashes + 1 if progress == job.progress else 1
    job.progress = progress


def _name_speakers(job: Job, names: Mapping[str, str]) -> bool:
    named = {**(job.speakers or {}), **{label: storable(name) for label, name in names.items()}}
    changes = named != (job.speakers or {})
    if changes:
        job.speakers = named
    return changes


def _segment(job_id: str, cut: SegmentPlan, cache_key: str) -> Segment:
    return Segment(
        job_id=job_id,
        index=cut.index,
        start_sample=cut.start_sample,
        end_sample=cut.end_sample,
        activity=cut.activity,
        forced=cut.forced,
        channel=cut.channel,
        speech=[list(region) for region in cut.speech],
        cache_key=cache_key,
        sent=None if cut.sent is None else [[first, end] for first, end in cut.sent],
        gain_db=cut.gain_db,
        state=SegmentState.SILENT if cut.is_silent else SegmentState.CUT,
    )


def plan_of_segment(segment: Segment) -> SegmentPlan:
    """Return how a stored segment was decided."""
    return SegmentPlan(
        segment.index,
        segment.start_sample,
        segment.end_sample,
        segment.forced,
        tuple(tuple(region) for region in segment.speech),
        None if segment.sent is None else segment.spans,
        segment.channel,
        Activity(segment.activity),
        segment.gain_db,
    )
