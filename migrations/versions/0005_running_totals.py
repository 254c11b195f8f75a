"""Running totals of the charges, which caps are held against.

Revision: 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MONTH = {
    "sqlite": "substr(reserve.created_at, 1, 7)",
    "postgresql": "to_char(reserve.created_at AT TIME ZONE 'UTC', 'YYYY-MM')",
}


def upgrade() -> None:
    op.create_table(
        "exposures",
        sa.Column("period", sa.String(length=48), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("period", "tag", "currency", name=op.f("pk_exposures")),
    )
    month = _MONTH[op.get_bind().dialect.name]
    # A call counts in the month of its reserve; the totals of runs that have ended are asked for no more.
    for tag, of in (("''", ""), ("charges.tag", "AND charges.tag <> ''")):
        op.execute(
            "INSERT INTO exposures (period, tag, currency, amount_micro) "  # noqa: S608 - words of our own
            f"SELECT {month}, {tag}, charges.currency, sum(charges.amount_micro) FROM charges "
            "JOIN charges AS reserve ON reserve.attempt_id = charges.attempt_id AND reserve.kind = 'reserve' "
            f"WHERE charges.amount_micro IS NOT NULL {of} GROUP BY 1, 2, 3"
        )


def downgrade() -> None:
    op.drop_table("exposures")
