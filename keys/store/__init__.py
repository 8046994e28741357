"""What is known of keys: who may log in with which, and what the server shows as its own.

Every function takes the connection first; the transaction is the caller's. Instants are aware datetimes.
"""

from keys.store.agency_keys import (
    StoredKey,
    Term,
    Use,
    add_key,
    edit_key,
    find_active,
    find_key,
    list_keys,
    list_terms,
    note_uses,
    revoke_key,
)
from keys.store.host_keys import HostKey, ensure_host_keys

__all__ = [
    "HostKey",
    "StoredKey",
    "Term",
    "Use",
    "add_key",
    "edit_key",
    "ensure_host_keys",
    "find_active",
    "find_key",
    "list_keys",
    "list_terms",
    "note_uses",
    "revoke_key",
]
