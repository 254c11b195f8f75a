"""What transcripts say, to be searched; what lists say of them; indices for lists.

Revision: 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_LISTS = {
    "ix_jobs_kind_created_at": ["kind", "created_at", "id"],
    "ix_jobs_kind_state_created_at": ["kind", "state", "created_at", "id"],
    "ix_jobs_kind_tag_created_at": ["kind", "tag", "created_at", "id"],
}

# The terms come split and folded: only blanks part them.
_FTS = (
    (
        "CREATE VIRTUAL TABLE passages_fts USING fts5(terms, content='passages', content_rowid='id',"
        " tokenize=\"unicode61 remove_diacritics 0 categories 'L* M* N* S* Co'\")"
    ),
    (
        "CREATE TRIGGER passages_fts_added AFTER INSERT ON passages BEGIN"
        " INSERT INTO passages_fts(rowid, terms) VALUES (new.id, new.terms); END"
    ),
    (
        "CREATE TRIGGER passages_fts_deleted AFTER DELETE ON passages BEGIN"
        " INSERT INTO passages_fts(passages_fts, rowid, terms) VALUES ('delete', old.id, old.terms); END"
    ),
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name, columns in _LISTS.items():
        op.create_index(name, "jobs", columns)
    op.create_table(
        "transcript_cards",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=True),
        sa.Column("words", sa.Integer(), nullable=False),
        sa.Column("speakers", sa.JSON(), nullable=False),
        sa.Column("missing_ms", sa.BigInteger(), nullable=False),
        sa.Column("suspects", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_transcript_cards")),
    )
    op.create_index(op.f("ix_transcript_cards_language"), "transcript_cards", ["language"])
    op.create_table(
        "passages",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("speaker", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text() if is_sqlite else postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passages")),
    )
    op.create_index(op.f("ix_passages_job_id"), "passages", ["job_id"])
    if is_sqlite:
        for statement in _FTS:
            op.execute(statement)
    else:
        op.create_index("ix_passages_terms", "passages", ["terms"], postgresql_using="gin")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE passages_fts")
    op.drop_table("passages")
    op.drop_table("transcript_cards")
    for name in _LISTS:
        op.drop_index(name, "jobs")
