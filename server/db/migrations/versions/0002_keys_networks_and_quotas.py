"""the life of keys, certificates, networks, quotas and passwords."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agencies", schema=None) as batch_op:
        batch_op.add_column(sa.Column("networks", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("quota_bytes", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("quota_files", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("password_hash", sa.Text(), nullable=True))
    with op.batch_alter_table("ssh_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("not_before", sa.String(length=27), nullable=True))
        batch_op.add_column(sa.Column("expires_at", sa.String(length=27), nullable=True))
        batch_op.add_column(sa.Column("last_used_at", sa.String(length=27), nullable=True))
        batch_op.add_column(sa.Column("last_used_from", sa.String(length=45), nullable=True))
        batch_op.add_column(sa.Column("last_used_client", sa.String(length=255), nullable=True))
    with op.batch_alter_table("host_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("active_from", sa.String(length=27), nullable=True))
    op.create_table(
        "certificate_authorities",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency_id", sa.String(length=36), nullable=True),
        sa.Column("fingerprint", sa.String(length=50), nullable=False),
        sa.Column("algorithm", sa.String(length=64), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("removed_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_authorities")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_certificate_authorities_fingerprint")),
    )
    op.create_table(
        "revoked_certificates",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("authority_id", sa.String(length=36), nullable=False),
        sa.Column("serial", sa.String(length=20), nullable=False),
        sa.Column("revoked_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revoked_certificates")),
        sa.UniqueConstraint("authority_id", "serial", name=op.f("uq_revoked_certificates_authority_id_serial")),
    )


def downgrade() -> None:
    """Columns with data are never dropped; restore a backup instead."""
    raise NotImplementedError
