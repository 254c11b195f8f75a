"""Sums of the charges by day, which costs are read from, and the inbox that a job and its charges came from.

Lists are filtered by what jobs cost and by how long recordings are, by indices.

Revision: 0017, after 0016.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_KEY = ("day", "tag", "inbox", "provider", "model", "activity", "currency")
_SUMS = ("requests", "uncertain", "unpriced", "audio_ms", "characters", "actual_micro", "possible_micro")
_DAY = {
    "sqlite": "substr(created_at, 1, 10)",
    "postgresql": "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
# Which inbox a recording came from was not kept.
_FILL = """INSERT INTO day_costs (day, tag, inbox, provider, model, activity, currency, requests, uncertain,
    unpriced, audio_ms, characters, actual_micro, possible_micro)
    SELECT {day}, coalesce(tag, ''), '', provider, model, activity, currency,
    sum(CASE kind WHEN 'reconcile' THEN -1 ELSE 1 END),
    sum(CASE kind WHEN 'possible' THEN 1 WHEN 'reconcile' THEN -1 ELSE 0 END),
    sum(CASE WHEN amount_micro IS NOT NULL THEN 0 WHEN kind = 'reconcile' THEN -1 ELSE 1 END),
    sum(CASE WHEN kind = 'actual' AND unit = 'ms' AND activity = 'hearing' THEN quantity ELSE 0 END),
    sum(CASE WHEN kind = 'actual' AND unit = 'character' THEN quantity ELSE 0 END),
    sum(CASE WHEN kind = 'actual' THEN coalesce(amount_micro, 0) ELSE 0 END),
    sum(CASE WHEN kind = 'actual' THEN 0 ELSE coalesce(amount_micro, 0) END)
    FROM charges WHERE kind IN ('actual', 'possible', 'reconcile') GROUP BY 1, 2, 4, 5, 6, 7"""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("inbox", sa.Text(), nullable=True))
    op.add_column("charges", sa.Column("inbox", sa.Text(), nullable=True))
    op.create_table(
        "day_costs",
        sa.Column("day", sa.String(length=10), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _KEY[1:5]),
        sa.Column("activity", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint(*_KEY, name=op.f("pk_day_costs")),
    )
    op.drop_index(op.f("ix_charges_job_id_kind"), "charges")
    op.create_index(op.f("ix_charges_job_id_kind"), "charges", ["job_id", "kind", "amount_micro"])
    op.create_index(op.f("ix_recordings_duration_ms"), "recordings", ["duration_ms"])
    op.execute(_FILL.format(day=_DAY[op.get_bind().dialect.name]))


def downgrade() -> None:
    op.drop_index(op.f("ix_recordings_duration_ms"), "recordings")
    op.drop_index(op.f("ix_charges_job_id_kind"), "charges")
    op.create_index(op.f("ix_charges_job_id_kind"), "charges", ["job_id", "kind"])
    op.drop_table("day_costs")
    op.drop_column("charges", "inbox")
    op.drop_column("jobs", "inbox")
