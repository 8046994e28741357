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
from keys.store.host_keys import (
    WHEN_TOLD,
    HostKey,
    KnownHostKey,
    activate_host_keys,
    ensure_host_keys,
    list_host_keys,
    open_host_keys,
    order_host_keys,
    retire_host_keys,
    rotate_host_keys,
    used_host_keys,
)

__all__ = [
    "WHEN_TOLD",
    "HostKey",
    "KnownHostKey",
    "StoredKey",
    "Term",
    "Use",
    "activate_host_keys",
    "add_key",
    "edit_key",
    "ensure_host_keys",
    "find_active",
    "find_key",
    "list_host_keys",
    "list_keys",
    "list_terms",
    "note_uses",
    "open_host_keys",
    "order_host_keys",
    "retire_host_keys",
    "revoke_key",
    "rotate_host_keys",
    "used_host_keys",
]
