"""Natural keys in which capitals and spaces tell nothing apart, and people known by all that their case is known by.

Written as before, every hearing with a type would be made a second time by the next file. Of records that are now one
the newest takes the key; the others stay as they are, and no file speaks of them again.
"""
# ruff: noqa: S608

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BATCH = 5000
LONGEST = 500
UNIT, MARK = "\x1f", "\x1e"
EXACT = frozenset({"client.reference", "case.number", "case.reference", "event.reference", "payment.reference"})
COLUMNS = {"date": "local_date", "time": "local_time", "group": "group_name"}


def upgrade() -> None:
    same = "coalesce(t.client_id, 0) = coalesce({0}.client_id, 0) AND coalesce(t.case_id, 0) = coalesce({0}.case_id, 0)"
    for table, kind in (("events", "event"), ("payments", "payment")):
        where = f"slot LIKE '%|%' OR slot LIKE '{MARK}%'"
        _rewrite(table, "slot", same.format(table), partial(_of_slot, kind), where)
    for table, kind in (("cases", "case"), ("clients", "client")):
        same = f"t.agency_id = {table}.agency_id"
        _rewrite(table, "identity", same, partial(_of_parent, kind), "identity LIKE '%  %'")
    _name_clients()


def _rewrite(table: str, column: str, same: str, new: Callable[[Any], str], where: str) -> None:
    """Write the key of each record anew, newest first."""
    for rows in _newest_first(table, where):
        _change(table, column, same, {row.id: told for row in rows if (told := new(row)) != getattr(row, column)})


def _change(table: str, column: str, same: str, changed: dict[int, str]) -> None:
    """Give records their new keys, but for those whose key another of the `same` has."""
    change = sa.text(
        f"UPDATE {table} SET {column} = :new WHERE id = :id "
        f"AND NOT EXISTS (SELECT 1 FROM {table} t WHERE {same} AND t.{column} = :new)"
    )
    if changed:
        op.get_bind().execute(change, [{"id": id_, "new": new} for id_, new in changed.items()])


def _newest_first(table: str, where: str) -> Iterator[list[Any]]:
    query = sa.text(f"SELECT * FROM {table} WHERE id < :last AND ({where}) ORDER BY id DESC LIMIT {BATCH}")
    last = 1 << 62
    while rows := list(op.get_bind().execute(query, {"last": last})):
        yield rows
        last = rows[-1].id


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _of_slot(kind: str, row: Any) -> str:
    """The key of a hearing or a payment, of that before; of a key too long to be kept whole, of its record."""
    slot: str = row.slot
    if slot.startswith("#"):
        return slot
    if not slot.startswith(MARK):
        if len(slot) == LONGEST:
            return _bounded(f"{slot.partition('|')[0]}|{_folded(row.type)}") if row.type else slot
        when, bar, what = slot.partition("|")
        return f"{when}{bar}{_folded(what)}"
    head, *parts = slot.split(UNIT)
    names = head.removeprefix(MARK).split("+")
    if len(slot) == LONGEST:
        parts = [getattr(row, COLUMNS.get(name, name)) or "" for name in names]
    return _joined(head, [_part(f"{kind}.{name}", part) for name, part in zip(names, parts, strict=False)])


def _of_parent(kind: str, row: Any) -> str:
    """The key of a client or a case, of that before."""
    identity: str = row.identity
    if identity.startswith("#") or len(identity) == LONGEST or UNIT not in identity:
        return identity
    if not identity.startswith(MARK):
        *names, number = identity.split(UNIT)
        return UNIT.join([*map(_folded, names), number])
    head, *parts = identity.split(UNIT)
    fields = _fields(kind, head)
    return _joined(head, [*map(_part, fields, parts)]) if len(fields) == len(parts) else identity


def _name_clients() -> None:
    """Clients who are known by name and the number of a case that is known by more than its number: by all of it. One
    who was on several such cases was several people, and stays the one of the first."""
    changed: dict[int, str] = {}
    for row in op.get_bind().execute(ON_CASES):
        if row.id not in changed and (told := _of_client(row.identity, row.kase)) != row.identity:
            changed[row.id] = told
    _change("clients", "identity", "t.agency_id = clients.agency_id", changed)


ON_CASES = sa.text(
    "SELECT c.id, c.identity, k.identity AS kase FROM cases k JOIN case_parties p ON p.case_id = k.id "
    f"JOIN clients c ON c.id = p.client_id WHERE k.identity LIKE '{MARK}%' AND c.identity NOT LIKE '#%' ORDER BY p.id"
)


def _of_client(identity: str, case: str) -> str:
    head, *parts = identity.split(UNIT) if identity.startswith(MARK) else [f"{MARK}name+case", *_in_full(identity)]
    fields = _fields("client", head)
    case_head, *known_by = case.split(UNIT)
    names = case_head.removeprefix(MARK).split("+")
    if LONGEST in (len(identity), len(case)) or "case.number" not in fields or len(parts) != len(fields):
        return identity
    place = fields.index("case.number")
    if known_by[names.index("number")] != parts[place]:
        return identity
    return _joined(head, [*parts[:place], *known_by, *parts[place + 1 :]])


def _in_full(identity: str) -> list[str]:
    """Last, first, middle name, suffix and case number."""
    *names, number = identity.split(UNIT)
    return [*names, *[""] * (4 - len(names)), number]


def _fields(kind: str, head: str) -> list[str]:
    fields: list[str] = []
    for name in head.removeprefix(MARK).split("+"):
        if (kind, name) == ("client", "name"):
            fields += ["client.last_name", "client.first_name", "client.middle_name", "client.suffix"]
        else:
            fields.append("case.number" if (kind, name) == ("client", "case") else f"{kind}.{name}")
    return fields


def _part(field: str, part: str) -> str:
    return part if field in EXACT else _folded(part)


def _joined(head: str, parts: list[str]) -> str:
    return _bounded(UNIT.join([head, *parts]))


def _bounded(key: str) -> str:
    if len(key) <= LONGEST:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{key[: LONGEST - len(digest) - 1]}{UNIT}{digest}"


def downgrade() -> None:
    """Keys that were two are one now; restore a backup instead."""
    raise NotImplementedError
