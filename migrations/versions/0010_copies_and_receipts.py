"""Hashes of copies that were written for users, and receipts of what was erased.

What a drop folder ended for a reason outside the recording is to be taken again.

Revision: 0010, after 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# As of this revision; later ones go by the errors' own word.
_OUTSIDE = (
    "api-billing",
    "api-key",
    "api-rate-limit",
    "api-unknown-outcome",
    "api-unreachable",
    "budget",
    "database",
    "disk-full",
    "out-of-reach",
    "prefect",
    "store",
)


def upgrade() -> None:
    op.create_table(
        "copies",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "sha256", name=op.f("pk_copies")),
    )
    op.create_index(op.f("ix_copies_sha256"), "copies", ["sha256"])
    op.create_table(
        "receipts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("recording_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
    )
    arrivals = sa.table("arrivals", sa.column("status"), sa.column("job_id"))
    jobs = sa.table("jobs", sa.column("id"), sa.column("error_kind"))
    outside = sa.select(jobs.c.id).where(jobs.c.error_kind.in_(_OUTSIDE))
    ended = arrivals.c.status.in_(["refused", "failed", "partial"])
    op.execute(sa.update(arrivals).where(ended, arrivals.c.job_id.in_(outside)).values(status=None))


def downgrade() -> None:
    op.drop_table("receipts")
    op.drop_table("copies")
