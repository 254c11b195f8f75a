"""Links by which readers see one transcript, words that an inbox's glossary learned, and looks into inboxes.

Names of recordings are indexed, too: lists are searched by parts of them.

Revision: 0014, after 0013.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "links",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_job_id"), "links", ["job_id"])
    op.create_table(
        "inbox_terms",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("inbox", sa.Text(), nullable=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_terms")),
    )
    op.create_index(op.f("ix_inbox_terms_inbox"), "inbox_terms", ["inbox"])
    op.create_index(op.f("ix_recordings_name"), "recordings", ["name", "id"])
    op.create_table(
        "inbox_looks",
        sa.Column("inbox", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("inbox", name=op.f("pk_inbox_looks")),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_recordings_name"), "recordings")
    op.drop_table("inbox_looks")
    op.drop_table("inbox_terms")
    op.drop_table("links")
