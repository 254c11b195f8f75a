"""From which recording each word of an inbox's glossary was learned, so that it is forgotten with it.

Revision: 0016, after 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox_terms", sa.Column("recording_id", sa.String(length=40), nullable=True))
    op.create_index(op.f("ix_inbox_terms_recording_id"), "inbox_terms", ["recording_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_inbox_terms_recording_id"), "inbox_terms")
    op.drop_column("inbox_terms", "recording_id")
