"""Voices that are known again: what was heard of each speaker, where somebody switched that on.

Revision: 0015, after 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "voiceprints",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("recording_id", sa.String(length=40), nullable=False),
        sa.Column("turns_key", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=16), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("inbox", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("spoken_ms", sa.BigInteger(), nullable=False),
        sa.Column("vector", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voiceprints")),
        sa.UniqueConstraint("recording_id", "turns_key", "label", name=op.f("uq_voiceprints_recording_id")),
    )
    op.create_index(op.f("ix_voiceprints_name"), "voiceprints", ["name"])


def downgrade() -> None:
    op.drop_table("voiceprints")
