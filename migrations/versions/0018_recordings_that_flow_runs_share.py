"""The recordings of a drop folder that flow runs share stand in the database, under a key and in their order.

Revision: 0018, after 0017.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("arrivals", sa.Column("batch", sa.String(length=64), nullable=True))
    op.add_column("arrivals", sa.Column("place", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_arrivals_batch_place"), "arrivals", ["batch", "place"])


def downgrade() -> None:
    op.drop_index(op.f("ix_arrivals_batch_place"), "arrivals")
    op.drop_column("arrivals", "place")
    op.drop_column("arrivals", "batch")
