"""The columns of each template's last file, and of files that were not taken for theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

EXPECTED = "JSON: the columns that a file should have had which was not taken for them"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("expected", sa.Text(), nullable=True, comment=EXPECTED))
    op.create_table(
        "shapes",
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("shape", sa.Text(), nullable=False, comment="JSON; see ingest.shape"),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.UniqueConstraint("agency_id", "template", name=op.f("uq_shapes_agency_id_template")),
    )


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
