"""Records that a snapshot withdraws, and what each upload has changed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
RECORDS = ("clients", "contacts", "cases", "case_parties", "events", "payments")
WITHDRAWN = "the snapshot that no longer held it; NULL while it counts"


def upgrade() -> None:
    for table in RECORDS:
        op.add_column(table, sa.Column("withdrawn_upload", sa.String(length=36), nullable=True, comment=WITHDRAWN))
    op.create_table(
        "changes",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("upload_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="the record's table"),
        sa.Column("record_id", NUMBER, nullable=False),
        sa.Column(
            "before", sa.Text(), nullable=False, comment="JSON: the columns that were changed, with what they held"
        ),
        sa.Column("after", sa.Text(), nullable=False, comment="JSON: the same columns, with what they hold since"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
    )
    op.create_index(op.f("ix_changes_upload_id"), "changes", ["upload_id"], unique=False)
    op.create_index(op.f("ix_changes_kind_record_id"), "changes", ["kind", "record_id"], unique=False)


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
