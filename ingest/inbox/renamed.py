"""Clients that an upload gave another name: perhaps their reference stands for somebody else now."""

import json
from typing import Any

from sqlalchemy import Connection, select

from ingest.check.shared import is_other
from ingest.tables import changes, clients

_FIRST, _LAST = "first_name", "last_name"


def find_renamed(conn: Connection, upload_id: str, shown: int) -> tuple[int, list[str]]:
    """How many clients had another first name and another last name before, and `shown` of their references."""
    change = changes.c
    query = (
        select(clients.c.reference, change.before, change.after)
        .select_from(changes.join(clients, change.record_id == clients.c.id))
        .where(change.upload_id == upload_id, change.kind == clients.name)
        .where(change.before.like(f'%"{_FIRST}"%'), change.before.like(f'%"{_LAST}"%'))
        .order_by(change.id)
    )
    found, references = 0, list[str]()
    for reference, before, after in conn.execute(query):
        if is_other(_names(json.loads(before)), _names(json.loads(after))):
            found += 1
            references += [reference] if reference and len(references) < shown else []
    return found, references


def _names(values: dict[str, Any]) -> tuple[str, str]:
    return values.get(_FIRST) or "", values.get(_LAST) or ""
