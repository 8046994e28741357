"""Numbers of an agency's writes, what undos have deleted, slots that were claimed, and scheduled exports."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SEQUENCE = "its number among the agency's writes; NULL: before such were counted"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("sequence", sa.BigInteger(), nullable=True, comment=SEQUENCE))
    op.add_column(
        "uploads", sa.Column("undone_sequence", sa.BigInteger(), nullable=True, comment="the number of its undo")
    )
    op.create_table(
        "sequences",
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", name=op.f("pk_sequences")),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "removed",
        sa.Column("id", number, nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False, comment="of the undo that deleted it"),
        sa.Column("upload_id", sa.String(length=36), nullable=False, comment="the upload that had created it"),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="the record's table"),
        sa.Column("record_id", number, nullable=False),
        sa.Column("reference", sa.Text(), nullable=True, comment="what people know it by"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removed")),
    )
    op.create_index(op.f("ix_removed_agency_id_sequence"), "removed", ["agency_id", "sequence"])


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
