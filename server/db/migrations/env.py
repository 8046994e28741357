"""How Alembic runs our migrations: on the connection, and inside the transaction, that it is given.

Running needs no tables' definitions; only a developer who compares or writes a migration gives them, as `metadata`.
"""

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], target_metadata=given.get("metadata"), render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
