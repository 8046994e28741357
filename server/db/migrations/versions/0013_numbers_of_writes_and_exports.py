"""Numbers of an agency's writes, what undos have deleted, slots that were claimed, and scheduled exports."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SEQUENCE = "its number among the agency's writes; NULL: before such were counted"
WATERMARK = "the agency's last write that was told; NULL: nothing was told yet"
AFTER = "the last write that was told before; NULL: the first run, it tells all"


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
    op.create_table(
        "slots",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("slot", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("lease_until", sa.String(length=27), nullable=False),
        sa.Column("done_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("name", "slot", name=op.f("pk_slots")),
    )
    op.create_index(op.f("ix_slots_done_at"), "slots", ["done_at"])
    _create_exports()


def _create_exports() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("dataset", sa.String(length=16), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("form", sa.String(length=8), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("since", sa.String(length=27), nullable=False, comment="later slots are due"),
        sa.Column("watermark", sa.BigInteger(), nullable=True, comment=WATERMARK),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_hint", sa.Text(), nullable=True),
        sa.Column("error_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_agency_id"), "exports", ["agency_id"])
    op.create_table(
        "export_runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("export_id", sa.String(length=36), nullable=False),
        sa.Column("slot", sa.String(length=100), nullable=False),
        sa.Column("due_at", sa.String(length=27), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=True, comment=AFTER),
        sa.Column("upto", sa.BigInteger(), nullable=False, comment="the last write that it tells"),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("delivered_at", sa.String(length=27), nullable=True),
        sa.Column("copies", sa.Integer(), nullable=False, server_default="0", comment="how often it was put back"),
        sa.Column("removed_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_runs_export_id_exports")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_runs")),
        sa.UniqueConstraint("export_id", "slot", name=op.f("uq_export_runs_export_id_slot")),
    )
    op.create_index(op.f("ix_export_runs_removed_at"), "export_runs", ["removed_at"])


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
