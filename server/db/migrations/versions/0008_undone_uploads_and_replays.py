"""When an upload was undone, and arrivals that are replays of an earlier upload."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

REPLAY_OF = "the upload whose archived original this is; NULL: a file that came"
VERSION = "of a replay: the version that was asked for; NULL: the newest"
CHANGED = "its rows in `changes`; NULL: it ran before such were kept"


def upgrade() -> None:
    op.add_column("arrivals", sa.Column("replay_of", sa.String(length=36), nullable=True, comment=REPLAY_OF))
    op.add_column("arrivals", sa.Column("template_version", sa.Integer(), nullable=True, comment=VERSION))
    op.add_column("uploads", sa.Column("changed", sa.Integer(), nullable=True, comment=CHANGED))
    op.add_column("uploads", sa.Column("undone_at", sa.String(length=27), nullable=True))


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
