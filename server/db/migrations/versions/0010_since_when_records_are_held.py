"""Since which upload a template holds a record, and which one let go of it: what an undo puts back."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SINCE = "since which it does; '': nobody knows"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Its key has one column more, which SQLite cannot give a table that is there.
    op.execute("CREATE TABLE holders_before AS SELECT kind, record_id, template FROM holders")
    op.drop_table("holders")
    op.create_table(
        "holders",
        sa.Column("kind", sa.String(length=16), nullable=False, comment="the record's table"),
        sa.Column("record_id", NUMBER, nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column(
            "since_upload", sa.String(length=36), nullable=False, comment="since which it does; '': nobody knows"
        ),
        sa.Column("gone_upload", sa.String(length=36), comment="the one that let go of it; NULL while it is held"),
        sa.PrimaryKeyConstraint("kind", "record_id", "template", "since_upload", name=op.f("pk_holders")),
    )
    op.execute(
        "INSERT INTO holders (kind, record_id, template, since_upload) "
        "SELECT kind, record_id, template, '' FROM holders_before"
    )
    op.drop_table("holders_before")


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
