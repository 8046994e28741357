"""payments, custom fields, every field that a court's file may fill, and cases known by more than their number."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXTS = {
    "clients": "title nickname business_name race status officer address city state zip custom",
    "contacts": "type opt_in status",
    "cases": "reference agency judge attorney judgment_status arrest_tracking charge_number codes conditions "
    "description offense_type offense_description victim_name offender_name warrant_status security_group notes custom",
    "events": "location_notes description flow calendar session result custom",
}
DATES = ("arrest_date", "offense_date", "plea_date", "judgment_date")


def upgrade() -> None:
    # Renamed in place: made anew, the table would lose the foreign keys of those that refer to it.
    op.execute("ALTER TABLE cases RENAME COLUMN number TO identity")
    op.add_column("cases", sa.Column("number", sa.Text(), nullable=True))
    op.execute("UPDATE cases SET number = identity")
    for table, names in TEXTS.items():
        for name in names.split():
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    for name in DATES:
        op.add_column("cases", sa.Column(name, sa.String(length=10), nullable=True))
    op.add_column("uploads", sa.Column("excluded", sa.Integer(), server_default="0", nullable=False))
    texts = ("type", "status", "description", "citation", "flow", "portal", "location_notes", "custom")
    op.create_table(
        "payments",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("client_id", NUMBER, nullable=True),
        sa.Column("case_id", NUMBER, nullable=True),
        sa.Column(
            "slot", sa.Text(), nullable=False, comment="what makes it this payment among those of its client and case"
        ),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=True, comment="cents"),
        sa.Column("due_date", sa.String(length=10), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in texts),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("created_upload", sa.String(length=36), nullable=False),
        sa.Column("updated_upload", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_payments_case_id_cases")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_payments_client_id_clients")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
    )
    unique = [sa.text("coalesce(client_id, 0)"), sa.text("coalesce(case_id, 0)"), sa.text("slot")]
    op.create_index("uq_payments_identity", "payments", unique, unique=True)
    op.create_index(op.f("ix_payments_agency_id_due_date"), "payments", ["agency_id", "due_date"], unique=False)


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
