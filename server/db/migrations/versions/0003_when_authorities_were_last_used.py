"""when a certificate of each authority was last used."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("certificate_authorities", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_used_at", sa.String(length=27), nullable=True))
        batch_op.add_column(sa.Column("last_used_from", sa.String(length=45), nullable=True))
        batch_op.add_column(sa.Column("last_used_client", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("last_used_serial", sa.String(length=20), nullable=True))


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
