"""The database: one engine, transactions that say what they want, migrations at start."""

from server.db.engine import CONTROL, JOBS, Database, open_database, translated
from server.db.migrate import is_behind, is_empty, migrate, revision

__all__ = [
    "CONTROL",
    "JOBS",
    "Database",
    "is_behind",
    "is_empty",
    "migrate",
    "open_database",
    "revision",
    "translated",
]
