"""Measures dropslot against OpenSSH, against the script a court would write itself, and against sqlite3."""
