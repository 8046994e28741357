"""Profiles on any server: what they take, when, and the report that they deliver; and what Auto-Sync remembers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SERVER = "of `servers`; NULL: our own endpoint"
EXPECTED = "when a file is to have come; NULL: whenever"
SEEN = "when it was first seen with this size and time"
ARRIVAL = "what it becomes; NULL: nobody has begun to bring it"
GONE = "when it was missed first; NULL while it is there"
CODE = "of the error that ended it; NULL: it went well"
AGAIN = "when to look again, before the cycle says so"


def upgrade() -> None:
    _add(sa.Column("server_id", sa.String(length=36), nullable=True, comment=SERVER))
    yes, no = sa.true(), sa.false()
    _add(sa.Column("auto_sync", sa.Boolean(), nullable=False, server_default=yes))  # what there is goes on taking files
    _add(sa.Column("delete_after", sa.Boolean(), nullable=False, server_default=no))
    _add(sa.Column("cycle", sa.Text(), nullable=False, server_default="hourly"))
    _add(sa.Column("order", sa.String(length=16), nullable=False, server_default="oldest"))
    _add(sa.Column("expected", sa.Text(), nullable=True, comment=EXPECTED))
    _add(sa.Column("report", sa.Text(), nullable=True))
    _add(sa.Column("report_directory", sa.Text(), nullable=True))
    _add(sa.Column("report_format", sa.String(length=8), nullable=False, server_default="csv"))
    _add(sa.Column("skip_past_reports", sa.Boolean(), nullable=False, server_default=yes))
    op.create_index(op.f("ix_profiles_server_id"), "profiles", ["server_id"])
    _create_files()
    _create_runs()
    _create_places()


def _create_files() -> None:
    op.create_table(
        "sync_files",
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("profile_id", sa.String(length=36), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.String(length=27), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.String(length=27), nullable=False, comment=SEEN),
        sa.Column("arrival_id", sa.String(length=36), nullable=True, comment=ARRIVAL),
        sa.Column("taken_at", sa.String(length=27), nullable=True, comment="when it was registered"),
        sa.Column("removed_at", sa.String(length=27), nullable=True, comment="when it was deleted there"),
        sa.Column("tried_at", sa.String(length=27), nullable=True, comment="when deleting it there was tried last"),
        sa.Column("gone_at", sa.String(length=27), nullable=True, comment=GONE),
        sa.PrimaryKeyConstraint("agency_id", "server_id", "path", name=op.f("pk_sync_files")),
    )
    op.create_index(op.f("ix_sync_files_arrival_id"), "sync_files", ["arrival_id"])
    op.create_index(op.f("ix_sync_files_profile_id"), "sync_files", ["profile_id"])
    op.create_index(op.f("ix_sync_files_server_id"), "sync_files", ["server_id"])


def _create_runs() -> None:
    numbers = ("waiting", "skipped", "failed", "removed")
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("profile_id", sa.String(length=36), nullable=False),
        sa.Column("place_id", sa.String(length=36), nullable=False),
        sa.Column("started_by", sa.String(length=8), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=False),
        sa.Column("finished_at", sa.String(length=27), nullable=False),
        sa.Column("saw", sa.Integer(), nullable=False),
        sa.Column("took", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes of what was taken"),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in numbers),
        sa.Column("code", sa.String(length=16), nullable=True, comment=CODE),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("hint", sa.Text(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True, comment="the file that was delivered"),
        sa.Column("files", sa.Text(), nullable=False, comment="JSON: path, what became of it, why"),
        sa.Column("again_at", sa.String(length=27), nullable=True, comment=AGAIN),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_runs")),
    )
    op.create_index(op.f("ix_sync_runs_profile_id_started_at"), "sync_runs", ["profile_id", "started_at"])
    op.create_index(op.f("ix_sync_runs_started_at"), "sync_runs", ["started_at"])
    op.create_table(
        "sync_turns",
        sa.Column("profile_id", sa.String(length=36), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", name=op.f("pk_sync_turns")),
    )


def _create_places() -> None:
    op.create_table(
        "sync_places",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False, comment="in a row"),
        *(sa.Column(name, sa.String(length=27), nullable=True) for name in ("failing_since", "retry_at", "parked_at")),
        sa.Column("code", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("hint", sa.Text(), nullable=True),
        sa.Column("holder", sa.String(length=64), nullable=True, comment="who works there just now"),
        sa.Column("held_until", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_places")),
    )


def _add(column: sa.Column[Any]) -> None:
    op.add_column("profiles", column)


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
