"""Skip indexes are kept as they are on PostgreSQL: it would look in vain for something to compress."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE skip_index ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
