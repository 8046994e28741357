"""What is known of keys: who may log in with which, and what the server shows as its own.

Every function takes the connection first; the transaction is the caller's. Instants are aware datetimes.
"""

from keys.store.agency_keys import (
    StoredKey,
    Term,
    add_key,
    edit_key,
    find_active,
    find_key,
    list_keys,
    list_terms,
    revoke_key,
    revoked_keys,
)
from keys.store.authorities import (
    Authority,
    add_authority,
    find_authority,
    find_trusted,
    list_authorities,
    list_trust,
    remove_authority,
    revoke_serials,
    revoked_serials,
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
    reseal_host_keys,
    retire_host_keys,
    rotate_host_keys,
    used_host_keys,
)
from keys.store.uses import Use, note_uses

__all__ = [
    "WHEN_TOLD",
    "Authority",
    "HostKey",
    "KnownHostKey",
    "StoredKey",
    "Term",
    "Use",
    "activate_host_keys",
    "add_authority",
    "add_key",
    "edit_key",
    "ensure_host_keys",
    "find_active",
    "find_authority",
    "find_key",
    "find_trusted",
    "list_authorities",
    "list_host_keys",
    "list_keys",
    "list_terms",
    "list_trust",
    "note_uses",
    "open_host_keys",
    "order_host_keys",
    "remove_authority",
    "reseal_host_keys",
    "retire_host_keys",
    "revoke_key",
    "revoke_serials",
    "revoked_keys",
    "revoked_serials",
    "rotate_host_keys",
    "used_host_keys",
]
