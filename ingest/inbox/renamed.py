"""Clients that an upload gave another name: perhaps their reference stands for somebody else now."""

import json
import unicodedata
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select

from ingest.tables import changes, clients

_FIRST, _LAST = "first_name", "last_name"


def find_renamed(conn: Connection, upload_id: str, shown: int) -> tuple[int, list[str]]:
    """How many clients had another first name and another last name before, and `shown` of their references.

    One of the two changes by marriage or is spelled otherwise; both at once mostly mean another person.
    """
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
        if _is_other(json.loads(before), json.loads(after)):
            found += 1
            references += [reference] if reference and len(references) < shown else []
    return found, references


def _is_other(before: dict[str, Any], after: dict[str, Any]) -> bool:
    old, new = list(_folded(before)), list(_folded(after))
    return all(old) and all(new) and not set(old) & set(new)


def _folded(names: dict[str, Any]) -> Iterator[str]:
    """First and last name, for a comparison: a name that is written in capitals or without its accents is no other."""
    for column in (_FIRST, _LAST):
        plain = unicodedata.normalize("NFKD", names.get(column) or "")
        yield "".join(letter for letter in plain if letter.isalnum()).casefold()
