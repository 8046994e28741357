"""Measures dropslot against OpenSSH, two servers in Go, the script a court would write itself, and sqlite3."""
