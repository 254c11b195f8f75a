"""The tables. What they promise is in the README of `storage/`.

Times of day are UTC; audio positions are 16 kHz samples; money is integer micro-units.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from stenoflow.storage.database.states import Activity, JobKind

# SQLite gives rowids to INTEGER only.
_SERIAL = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite, which keeps no zone, gets it back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert to UTC; a time without a zone is a mistake."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"{value!r} has no time zone"
            raise ValueError(message)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the time with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SearchTerms(TypeDecorator[str]):
    """Terms with their places: as ``tsvector`` in PostgreSQL, in SQLite as text that FTS5 indexes."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that the database has for it."""
        if dialect.name != "postgresql":
            return dialect.type_descriptor(Text())
        from sqlalchemy.dialects.postgresql import TSVECTOR  # noqa: PLC0415 - a tenth of a second

        return dialect.type_descriptor(TSVECTOR())


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[list[int]]: JSON(),
        list[str]: JSON(none_as_null=True),
        list[dict[str, Any]]: JSON(),
    }


class Recording(Base):
    """A source at one content: the same address with new bytes is another row."""

    __tablename__ = "recordings"
    __table_args__ = (
        UniqueConstraint("source", "sha256"),
        # Lists are searched by parts of names: of this index all is read, and nothing of the table.
        Index("ix_recordings_name", "name", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int | None] = mapped_column(BigInteger, index=True)
    media: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]


class ProgramRun(Base):
    """A run of the program, which is believed to be alive until ``alive_until``."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    alive_until: Mapped[datetime]


class Job(Base):
    """A recording with settings; doing it again with the same settings is the same job.

    ``run_id`` is the run that works on it, or did last. ``crashes`` counts the runs in a row that died over
    it without getting any further than ``progress``.

    ``inbox`` is the name of the inbox that the recording came into, if it has one.
    ``language`` is the one that was decided for all segments, where that was left to the job; ``speakers``
    holds the names given to speakers, by what they are called otherwise; ``formats`` lists the artifacts that
    it was asked for beside those that every job has.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("recording_id", "settings_hash"),
        # Lists go from the newest on, a page at a time.
        Index("ix_jobs_kind_created_at", "kind", "created_at", "id"),
        Index("ix_jobs_kind_state_created_at", "kind", "state", "created_at", "id"),
        Index("ix_jobs_kind_tag_created_at", "kind", "tag", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id"))
    kind: Mapped[str] = mapped_column(
        String(16), default=JobKind.TRANSCRIBE, server_default=JobKind.TRANSCRIBE
    )
    settings_hash: Mapped[str] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]]
    plan_hash: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    tag: Mapped[str | None] = mapped_column(Text)
    inbox: Mapped[str | None] = mapped_column(Text)
    budget_micro: Mapped[int | None] = mapped_column(BigInteger)
    planned: Mapped[bool] = mapped_column(default=False)
    samples: Mapped[int | None] = mapped_column(BigInteger)
    origin_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    lost_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    damage: Mapped[dict[str, Any] | None]
    language: Mapped[str | None] = mapped_column(String(40))
    speakers: Mapped[dict[str, Any] | None]
    formats: Mapped[list[str] | None]
    error_kind: Mapped[str | None] = mapped_column(String(40))
    run_id: Mapped[str | None] = mapped_column(String(40))
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    progress: Mapped[int] = mapped_column(default=0, server_default="0")
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]


class Segment(Base):
    """A piece of a job's recording, or of its text: the unit of upload, retry and charge.

    ``speech`` holds [start_ms, end_ms] pairs from the segment's own start; ``sent`` holds [first, end)
    pairs of samples: without long silences, and with a little of the neighbours where a cut is forced.
    ``channel`` is the one that is sent, from 0; None: all, mixed. Of a channel, each region of ``speech``
    goes on with how loud it is, in dBFS for every 50 ms. It is sent ``gain_db`` louder than it is. Where
    ``activity`` is speaking, a piece of text is spoken, and its place is counted in characters.
    """

    __tablename__ = "segments"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start_sample: Mapped[int] = mapped_column(BigInteger)
    end_sample: Mapped[int] = mapped_column(BigInteger)
    activity: Mapped[str] = mapped_column(
        String(16), default=Activity.TRANSCRIPTION, server_default=Activity.TRANSCRIPTION
    )
    channel: Mapped[int | None]
    forced: Mapped[bool]
    speech: Mapped[list[list[int]]]
    sent: Mapped[list[list[int]] | None]
    gain_db: Mapped[int] = mapped_column(default=0, server_default="0")
    cache_key: Mapped[str] = mapped_column("work_key", String(64), index=True)
    state: Mapped[str] = mapped_column(String(16))
    error_kind: Mapped[str | None] = mapped_column(String(40))
    error_message: Mapped[str | None] = mapped_column(Text)

    @property
    def regions(self) -> list[tuple[int, int]]:
        """Where someone may be speaking, as (start, end) in ms from the segment's start."""
        return [(start, end) for start, end, *_ in self.speech]

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """What is sent, as [first, end) samples; all of it, for those cut before this was kept."""
        if self.sent is None:
            return ((self.start_sample, self.end_sample),)
        return tuple((first, end) for first, end in self.sent)


class Attempt(Base):
    """One request to a provider. It is stored as sent before a byte leaves.

    ``open_key`` is its cache key as long as it may be answered: no two open requests ask for the same.
    ``answer`` is kept here where it is suspect and was asked for once more.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "segment_index"], ["segments.job_id", "segments.index"], name="fk_attempts_segment"
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(40), index=True)
    segment_index: Mapped[int]
    cache_key: Mapped[str] = mapped_column("work_key", String(64), index=True)
    open_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    run_id: Mapped[str] = mapped_column(String(40), index=True)
    activity: Mapped[str] = mapped_column(
        String(16), default=Activity.TRANSCRIPTION, server_default=Activity.TRANSCRIPTION
    )
    provider: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    answer: Mapped[str | None] = mapped_column(Text)
    error_kind: Mapped[str | None] = mapped_column(String(40))
    error_message: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Result(Base):
    """A provider's raw answer, kept for good under what it depends on; ``suspect``: why not to trust it."""

    __tablename__ = "results"

    cache_key: Mapped[str] = mapped_column("work_key", String(64), primary_key=True)
    attempt_id: Mapped[str] = mapped_column(String(40))
    answer: Mapped[str] = mapped_column(Text)
    suspect: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime]


class Charge(Base):
    """An entry of the ledger; rows are only ever added.

    ``amount_micro`` is signed: a release takes its reserve back, so that the sum over all kinds is the
    exposure. It is null where the price is unknown. ``tag`` and ``inbox`` are the job's.
    """

    __tablename__ = "charges"
    # What jobs cost is read from this index alone.
    __table_args__ = (Index("ix_charges_job_id_kind", "job_id", "kind", "amount_micro"),)

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
    attempt_id: Mapped[str] = mapped_column(String(40), index=True)
    job_id: Mapped[str] = mapped_column(String(40))
    tag: Mapped[str | None] = mapped_column(Text)
    inbox: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))
    activity: Mapped[str] = mapped_column(
        String(16), default=Activity.TRANSCRIPTION, server_default=Activity.TRANSCRIPTION
    )
    provider: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str] = mapped_column(String(16))
    price: Mapped[str | None] = mapped_column(Text)
    amount_micro: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    created_at: Mapped[datetime] = mapped_column(index=True)


class Arrival(Base):
    """A recording at one content that came into a drop folder; taken by a run, and ended once.

    ``id`` is made of address and mark, which are too long for an index of their own. ``batch`` names those
    that flow runs share, which take them by ``place``.
    """

    __tablename__ = "arrivals"
    __table_args__ = (Index("ix_arrivals_batch_place", "batch", "place"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    mark: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str | None] = mapped_column(String(40))
    job_id: Mapped[str | None] = mapped_column(String(40))
    status: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    arrived_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    batch: Mapped[str | None] = mapped_column(String(64))
    place: Mapped[int | None]


class ConversationTurn(Base):
    """What was said in a conversation that `reply` keeps; ``role`` is user or assistant."""

    __tablename__ = "turns"

    session: Mapped[str] = mapped_column(String(80), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    job_id: Mapped[str] = mapped_column(String(40), index=True)
    role: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class Exposure(Base):
    """A running total of charges: of a run ("run ID"), a month ("2026-03"), or a month's calls with a tag."""

    __tablename__ = "exposures"

    period: Mapped[str] = mapped_column(String(48), primary_key=True)
    tag: Mapped[str] = mapped_column(Text, primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    amount_micro: Mapped[int] = mapped_column(BigInteger)


class DayCosts(Base):
    """What was charged on a day (UTC) under all headings: what `costs` reads in place of all charges.

    Changed with the charges that it sums up. ``tag`` and ``inbox`` are empty where there is none.
    ``requests`` counts those that were or may have been charged, ``uncertain`` those of which nobody knows,
    ``unpriced`` charges whose price is unknown.
    """

    __tablename__ = "day_costs"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    tag: Mapped[str] = mapped_column(Text, primary_key=True)
    inbox: Mapped[str] = mapped_column(Text, primary_key=True)
    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True)
    activity: Mapped[str] = mapped_column(String(16), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    uncertain: Mapped[int] = mapped_column(BigInteger)
    unpriced: Mapped[int] = mapped_column(BigInteger)
    audio_ms: Mapped[int] = mapped_column(BigInteger)
    characters: Mapped[int] = mapped_column(BigInteger)
    actual_micro: Mapped[int] = mapped_column(BigInteger)
    possible_micro: Mapped[int] = mapped_column(BigInteger)


class Artifact(Base):
    """A file in the object store that a job published."""

    __tablename__ = "artifacts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    uri: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class Copy(Base):
    """The content of a copy of a job's artifact that was written where a user asked for it."""

    __tablename__ = "copies"

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class Receipt(Base):
    """What was erased, and when: hashes and sizes, and no name of a recording; rows are only ever added.

    ``kind`` is what was erased of a job, or "all" of a recording; ``cause`` is "forget" or "retention".
    ``items`` hold ``what``, and ``sha256`` and ``bytes`` where they are known.
    """

    __tablename__ = "receipts"

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
    recording_id: Mapped[str] = mapped_column(String(40))
    job_id: Mapped[str | None] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(16))
    cause: Mapped[str] = mapped_column(String(16))
    items: Mapped[list[dict[str, Any]]]
    erased_at: Mapped[datetime]


class TranscriptCard(Base):
    """What lists and filters say of a published transcript, without reading it.

    ``speakers`` are as the artifacts call them; ``suspects`` counts answers that may be wrong as a whole.
    """

    __tablename__ = "transcript_cards"

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    language: Mapped[str | None] = mapped_column(String(40), index=True)
    words: Mapped[int]
    speakers: Mapped[list[str]] = mapped_column(JSON)
    missing_ms: Mapped[int] = mapped_column(BigInteger)
    suspects: Mapped[int]
    published_at: Mapped[datetime]


class Passage(Base):
    """A stretch of a published transcript that a search finds.

    ``terms`` is indexed: in PostgreSQL by GIN, in SQLite by the virtual table ``passages_fts``, which
    triggers keep in step.
    """

    __tablename__ = "passages"

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
    job_id: Mapped[str] = mapped_column(String(40), index=True)
    start_ms: Mapped[int] = mapped_column(BigInteger)
    speaker: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    terms: Mapped[str] = mapped_column(SearchTerms)


class AuditEntry(Base):
    """Something that somebody did at the desk; rows are only ever added.

    ``details`` hold ids and options, and no name and no text of a recording.
    """

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(16))
    job_id: Mapped[str | None] = mapped_column(String(40), index=True)
    details: Mapped[dict[str, Any]]


class Correction(Base):
    """What somebody corrected in a recording: over whatever any model says there, until it is undone.

    Either ``text`` is what is said from ``start_ms`` to ``end_ms``, or ``speaker`` is who says it.
    ``before`` is what stood there.
    """

    __tablename__ = "corrections"

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
    recording_id: Mapped[str] = mapped_column(String(40), index=True)
    start_ms: Mapped[int] = mapped_column(BigInteger)
    end_ms: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str | None] = mapped_column(Text)
    speaker: Mapped[str | None] = mapped_column(Text)
    before: Mapped[str] = mapped_column(Text)
    who: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]
    undone_by: Mapped[str | None] = mapped_column(Text)
    undone_at: Mapped[datetime | None]


class Link(Base):
    """A link by which whoever has it sees one transcript and hears its sound, until it ends or is revoked."""

    __tablename__ = "links"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(40), index=True)
    who: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_by: Mapped[str | None] = mapped_column(Text)
    revoked_at: Mapped[datetime | None]
    opened: Mapped[int] = mapped_column(Integer, default=0)
    opened_at: Mapped[datetime | None]


class InboxTerm(Base):
    """A name or word that was put into the glossary of an inbox at the desk; ``inbox`` is its address.

    ``recording_id`` is the recording that it was corrected in, with which it is forgotten; None: nobody knows
    any more. A word that was corrected in several has a row for each.
    """

    __tablename__ = "inbox_terms"

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
    inbox: Mapped[str] = mapped_column(Text, index=True)
    term: Mapped[str] = mapped_column(Text)
    recording_id: Mapped[str | None] = mapped_column(String(40), index=True)
    who: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]


class InboxLook(Base):
    """When an inbox was last looked into; ``inbox`` is its address."""

    __tablename__ = "inbox_looks"

    inbox: Mapped[str] = mapped_column(Text, primary_key=True)
    looked_at: Mapped[datetime]


class Voiceprint(Base):
    """What was heard of a speaker's voice, kept where that is switched on, so that it is known again.

    ``label`` is what we call the speaker where the turns under ``turns_key`` say who speaks; ``name`` is what
    somebody calls the speaker, None as long as nobody has. ``inbox`` is the one that the recording came into,
    if any. ``vector`` is the embedding by ``model``, in base64 or encrypted; it is put nowhere else.
    """

    __tablename__ = "voiceprints"
    __table_args__ = (UniqueConstraint("recording_id", "turns_key", "label"),)

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
    recording_id: Mapped[str] = mapped_column(String(40))
    turns_key: Mapped[str] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(16))
    model: Mapped[str] = mapped_column(Text)
    inbox: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text, index=True)
    spoken_ms: Mapped[int] = mapped_column(BigInteger)
    vector: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]
