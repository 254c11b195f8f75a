"""Jobs that answer or speak, and recordings of several speakers.

Revision: 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ACTIVE = ("segments", "attempts", "charges")


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="transcribe"))
        batch_op.add_column(sa.Column("language", sa.String(40), nullable=True))
        batch_op.add_column(sa.Column("speakers", sa.JSON(), nullable=True))
    with op.batch_alter_table("segments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("channel", sa.Integer(), nullable=True))
    for table in _ACTIVE:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(
                sa.Column("activity", sa.String(16), nullable=False, server_default="hearing")
            )
    op.create_table(
        "turns",
        sa.Column("session", sa.String(80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session", "number", name=op.f("pk_turns")),
    )
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_turns_job_id"), ["job_id"], unique=False)


def downgrade() -> None:
    # Made anew, as is usual with SQLite, a table that others refer to could not be dropped.
    op.drop_table("turns")
    for table in _ACTIVE:
        with op.batch_alter_table(table, schema=None, recreate="never") as batch_op:
            batch_op.drop_column("activity")
    with op.batch_alter_table("segments", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("channel")
    with op.batch_alter_table("jobs", schema=None, recreate="never") as batch_op:
        for column in ("speakers", "language", "kind"):
            batch_op.drop_column(column)
