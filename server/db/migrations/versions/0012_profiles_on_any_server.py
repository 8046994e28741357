"""Profiles on any server: what they take, when, in which order, and the report that they deliver."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SERVER = "of `servers`; NULL: our own endpoint"
EXPECTED = "when a file is to have come; NULL: whenever"


def upgrade() -> None:
    op.add_column("profiles", sa.Column("server_id", sa.String(length=36), nullable=True, comment=SERVER))
    _add("auto_sync", sa.Boolean(), sa.true())  # what there is goes on taking files
    _add("delete_after", sa.Boolean(), sa.false())
    _add("cycle", sa.Text(), "hourly")
    _add("order", sa.String(length=16), "oldest")
    op.add_column("profiles", sa.Column("expected", sa.Text(), nullable=True, comment=EXPECTED))
    op.add_column("profiles", sa.Column("report", sa.Text(), nullable=True))
    op.add_column("profiles", sa.Column("report_directory", sa.Text(), nullable=True))
    _add("report_format", sa.String(length=8), "csv")
    _add("skip_past_reports", sa.Boolean(), sa.true())
    op.create_index(op.f("ix_profiles_server_id"), "profiles", ["server_id"])


def _add(name: str, kind: sa.types.TypeEngine, usual: object) -> None:
    op.add_column("profiles", sa.Column(name, kind, nullable=False, server_default=usual))


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
