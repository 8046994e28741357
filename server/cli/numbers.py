"""How large a number may be that a person types and the database is asked with."""

MOST_ID = 2**63 - 1
"""Numbers of records are 64 bits with a sign."""
MOST_ROWS = 1_000_000_000
"""More than any list has."""
