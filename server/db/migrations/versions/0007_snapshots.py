"""Snapshots: who holds shared records, which hearings were moved, and what a person has confirmed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
RECORDS = ("clients", "contacts", "cases", "case_parties", "events", "payments")
GONE = sa.text("withdrawn_upload IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "holders",
        sa.Column("kind", sa.String(length=16), nullable=False, comment="the record's table"),
        sa.Column("record_id", NUMBER, nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "record_id", "template", name=op.f("pk_holders")),
    )
    op.create_table(
        "moved_events",
        sa.Column("upload_id", sa.String(length=36), nullable=False),
        sa.Column("old_event", NUMBER, nullable=False),
        sa.Column("new_event", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "old_event", name=op.f("pk_moved_events")),
    )
    op.create_index(op.f("ix_moved_events_new_event"), "moved_events", ["new_event"], unique=False)
    confirmed = sa.Column("confirmed", sa.Text(), nullable=True, comment="what a person let pass: codes, spaced")
    op.add_column("arrivals", confirmed)
    method = sa.Column("method", sa.String(length=16), server_default="update", nullable=False)
    op.add_column("uploads", method)
    for table in RECORDS:
        name = op.f(f"ix_{table}_withdrawn")
        op.create_index(name, table, ["agency_id"], unique=False, sqlite_where=GONE, postgresql_where=GONE)
        # Of records that several templates have named, whoever brought them is known; none was a snapshot so far.
        op.execute(
            f"INSERT INTO holders (kind, record_id, template) SELECT '{table}', t.id, u.template FROM {table} t "  # noqa: S608
            "JOIN uploads u ON u.id = t.created_upload WHERE t.template = '*'"
        )


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
