"""Reports that were delivered, and log-ins."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NAME = "of the file; NULL: there is none yet"
CONTENT = "a hash of what the table says; NULL: none was written"
LAST = "the number of the agency's last write that it tells"


def upgrade() -> None:
    op.create_table(
        "report_deliveries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("profile_id", sa.String(length=36), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("form", sa.String(length=4), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("name", sa.Text(), nullable=True, comment=NAME),
        sa.Column("content", sa.String(length=64), nullable=True, comment=CONTENT),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=True, comment=LAST),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_deliveries")),
        sa.UniqueConstraint("agency_id", "name", name=op.f("uq_report_deliveries_agency_id_name")),
    )
    op.create_index(op.f("ix_report_deliveries_profile_id_content"), "report_deliveries", ["profile_id", "content"])
    op.create_table(
        "logins",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False, comment="of the last one"),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("client", sa.String(length=255), nullable=False),
        sa.Column("proof", sa.String(length=255), nullable=False, comment="fingerprint, certificate or password"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logins")),
    )
    op.create_index(op.f("ix_logins_agency_id_id"), "logins", ["agency_id", "id"])


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
