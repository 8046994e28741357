"""the first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "agencies",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("slug", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("staging", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agencies")),
        sa.UniqueConstraint("slug", name=op.f("uq_agencies_slug")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("task", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=36), nullable=False),
        sa.Column("lane", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("due_at", sa.String(length=27), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.String(length=27), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("task", "subject", name=op.f("uq_jobs_task_subject")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_lane_id"), ["lane", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_state_due_at"), ["state", "due_at"], unique=False)

    op.create_table(
        "taken_files",
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("dev", sa.BigInteger(), nullable=False),
        sa.Column("ino", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("arrival_id", sa.String(length=36), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", "dev", "ino", name=op.f("pk_taken_files")),
    )
    op.create_table(
        "arrivals",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("profile_id", sa.String(length=36), nullable=True),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("received_at", sa.String(length=27), nullable=False),
        sa.Column("upload_id", sa.String(length=36), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrivals")),
    )
    with op.batch_alter_table("arrivals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_arrivals_agency_id_name"), ["agency_id", "name"], unique=False)
        batch_op.create_index(batch_op.f("ix_arrivals_state"), ["state"], unique=False)

    op.create_table(
        "cases",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("style", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("file_date", sa.String(length=10), nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("created_upload", sa.String(length=36), nullable=False),
        sa.Column("updated_upload", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("agency_id", "number", name=op.f("uq_cases_agency_id_number")),
    )
    op.create_table(
        "clients",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("middle_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("suffix", sa.Text(), nullable=True),
        sa.Column("dob", sa.String(length=10), nullable=True),
        sa.Column("gender", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("group_name", sa.Text(), nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("created_upload", sa.String(length=36), nullable=False),
        sa.Column("updated_upload", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
        sa.UniqueConstraint("agency_id", "identity", name=op.f("uq_clients_agency_id_identity")),
    )
    op.create_table(
        "profiles",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("keyword", sa.Text(), nullable=True),
        sa.Column("blockword", sa.Text(), nullable=True),
        sa.Column("skip_same_name", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profiles")),
        sa.UniqueConstraint("agency_id", "name", name=op.f("uq_profiles_agency_id_name")),
    )
    op.create_table(
        "skip_index",
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.String(length=64), nullable=False),
        sa.Column("upload_id", sa.String(length=36), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("agency_id", "template", "part", name=op.f("uq_skip_index_agency_id_template_part")),
    )
    op.create_table(
        "templates",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("agency_id", "name", "version", name=op.f("uq_templates_agency_id_name_version")),
    )
    op.create_table(
        "case_parties",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("case_id", NUMBER, nullable=False),
        sa.Column("client_id", NUMBER, nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("created_upload", sa.String(length=36), nullable=False),
        sa.Column("updated_upload", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_parties_case_id_cases")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_case_parties_client_id_clients")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_parties")),
        sa.UniqueConstraint("case_id", "client_id", name=op.f("uq_case_parties_case_id_client_id")),
    )
    op.create_table(
        "contacts",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("client_id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("created_upload", sa.String(length=36), nullable=False),
        sa.Column("updated_upload", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_contacts_client_id_clients")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("client_id", "kind", "value", name=op.f("uq_contacts_client_id_kind_value")),
    )
    op.create_table(
        "events",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("client_id", NUMBER, nullable=True),
        sa.Column("case_id", NUMBER, nullable=True),
        sa.Column(
            "slot", sa.Text(), nullable=False, comment="what makes it this event among those of its client and case"
        ),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column(
            "starts_at", sa.String(length=27), nullable=False, comment="without a time: the beginning of the day"
        ),
        sa.Column("local_date", sa.String(length=10), nullable=False),
        sa.Column("local_time", sa.String(length=8), nullable=True),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("judge", sa.Text(), nullable=True),
        sa.Column("room", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("created_upload", sa.String(length=36), nullable=False),
        sa.Column("updated_upload", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_events_case_id_cases")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_events_client_id_clients")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    # An expression index: SQLite's reflection cannot see it, so no comparison would have found it missing.
    unique = [sa.text("coalesce(client_id, 0)"), sa.text("coalesce(case_id, 0)"), sa.text("slot")]
    op.create_index("uq_events_identity", "events", unique, unique=True)
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_agency_id_starts_at"), ["agency_id", "starts_at"], unique=False)

    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("arrival_id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("error_rows", sa.Integer(), nullable=False),
        sa.Column("warning_rows", sa.Integer(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("header", sa.Text(), nullable=False),
        sa.Column("delimiter", sa.String(length=1), nullable=False),
        sa.Column("quoting", sa.Boolean(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=False),
        sa.Column("finished_at", sa.String(length=27), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_hint", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["arrival_id"], ["arrivals.id"], name=op.f("fk_uploads_arrival_id_arrivals")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_uploads_agency_id"), ["agency_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_uploads_answered_at"), ["answered_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_uploads_arrival_id"), ["arrival_id"], unique=False)

    op.create_table(
        "row_errors",
        sa.Column("upload_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=8), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=op.f("fk_row_errors_upload_id_uploads")),
        sa.PrimaryKeyConstraint("upload_id", "position", name=op.f("pk_row_errors")),
    )
    op.create_table(
        "host_keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("algorithm", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=50), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("retired_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_keys")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_host_keys_fingerprint")),
    )
    op.create_table(
        "ssh_keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=False),
        sa.Column("fingerprint", sa.String(length=50), nullable=False),
        sa.Column("algorithm", sa.String(length=64), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("revoked_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssh_keys")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_ssh_keys_fingerprint")),
    )
    with op.batch_alter_table("ssh_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ssh_keys_agency_id"), ["agency_id"], unique=False)


def downgrade() -> None:
    """There is nothing before the first tables; an empty database is a new file."""
    raise NotImplementedError
