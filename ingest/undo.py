"""Taking back an upload: every record is as it was before, or nothing is done at all.

What the upload has changed is put back from the table `changes`, what it has created is deleted, what it has withdrawn
counts again, and who held what it has shared or let go of holds it as before (`ingest.holding`). That is refused where
a later upload has changed such a record again, or has built on one that was created: whoever undoes begins with the
newest. All skip indexes of the agency go, for they know nothing of it.

What a later upload merely found as it was, it has not changed; so that can be missing afterwards although its file
names it. `since` tells which uploads these may be: their originals can be run again (see `ingest.inbox.arrivals`).
"""
# ruff: noqa: S608

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text, update

from ingest import tables
from ingest.answer import Upload
from ingest.arrival import ArrivalState
from ingest.databases import backend_of
from ingest.errors import IngestError
from ingest.holding import put_holders_back
from ingest.inbox.sequence import draw_number
from ingest.inbox.shapes import forget_shape
from ingest.inbox.uploads import find_upload, mark_undone, uploads_since
from ingest.index import forget

UNDONE = "undone"
CHUNK = 5_000
SHOWN = 3

_CHILDREN = {
    "events": ("client_id", "case_id"),
    "payments": ("client_id", "case_id"),
    "contacts": ("client_id",),
    "case_parties": ("case_id", "client_id"),
}
_PARENTS = {"client_id": "clients", "case_id": "cases"}
_KINDS = (*_CHILDREN, "cases", "clients")
"""In an order in which records can be deleted."""
_BARE = (
    ("case_parties", "client_id"),
    ("events", "client_id"),
    ("events", "case_id"),
    ("payments", "client_id"),
    ("payments", "case_id"),
)
"""References without an index that a database could use to see that nothing refers to a deleted record any more. In
the order in which a merge reserves the tables, so that none waits for the other."""
_NAMES = {"case_parties": "parties"}
_KNOWN_BY = {
    "clients": "reference",
    "contacts": "value",
    "cases": "number",
    "case_parties": "NULL",
    "events": "reference",
    "payments": "reference",
}

# What stands in the way of undoing an upload: each finds upload, kind and record of what another one has done since.

_CHANGED_AGAIN = (
    "SELECT l.upload_id AS upload, l.kind AS kind, l.record_id AS record FROM changes c JOIN changes l "
    "ON l.kind = c.kind AND l.record_id = c.record_id AND l.id > c.id AND l.upload_id <> c.upload_id "
    "WHERE c.upload_id = :upload"
)
"""It has changed once more what this one has changed: the older values would undo both."""
_CREATED = "FROM {kind} t WHERE t.agency_id = :agency AND t.created_upload = :upload"
_CHANGED_A_CREATED_ONE = (
    "SELECT c.upload_id, '{kind}', c.record_id FROM changes c WHERE c.kind = '{kind}' "
    f"AND c.record_id IN (SELECT t.id {_CREATED})"
)
"""It has changed what this one has created, and what would be deleted."""
_WROTE_A_CREATED_ONE = f"SELECT t.updated_upload, '{{kind}}', t.id {_CREATED} AND t.updated_upload <> :upload"
"""As before, told by the record itself."""
_WITHDREW_A_CREATED_ONE = f"SELECT t.withdrawn_upload, '{{kind}}', t.id {_CREATED} AND t.withdrawn_upload <> :upload"
"""It has withdrawn what this one has created: undoing that one would find nothing to restore."""
_WITHDREW_A_CHANGED_ONE = (
    "SELECT t.withdrawn_upload, '{kind}', t.id FROM changes c JOIN {kind} t ON t.id = c.record_id "
    "JOIN uploads w ON w.id = t.withdrawn_upload JOIN uploads o ON o.id = c.upload_id "
    "WHERE c.upload_id = :upload AND c.kind = '{kind}' AND w.finished_at > o.finished_at"
)
"""It has withdrawn what this one has changed."""
_WROTE_BELOW_A_RESTORED_ONE = (
    "SELECT t.updated_upload, '{kind}', t.id FROM changes c "
    "JOIN {kind} t ON t.{reference} = c.record_id WHERE c.upload_id = :upload AND c.kind = '{parent}' "
    "AND c.after LIKE '%withdrawn_upload__null%' "
    "AND t.withdrawn_upload IS NULL AND t.updated_upload <> :upload"
)
"""It has written a record, which counts, of a client or case that this one has restored and that would be withdrawn
again. Not asked of contacts."""
_WITHDREW_THE_PARENT = (
    "SELECT p.withdrawn_upload, '{parent}', p.id FROM changes c JOIN {kind} t ON t.id = c.record_id "
    "JOIN {parent} p ON p.id = t.{reference} WHERE c.upload_id = :upload AND c.kind = '{kind}' "
    "AND c.after LIKE '%withdrawn_upload__\"%' AND p.withdrawn_upload <> :upload"
)
"""It has withdrawn the client or case of a record that this one has withdrawn and that would count again without it."""
_ADDED_TO_A_CREATED_ONE = (
    "SELECT t.created_upload, '{kind}', t.id FROM {kind} t "
    "WHERE t.agency_id = :agency AND t.created_upload <> :upload AND t.{reference} IN "
    "(SELECT id FROM {parent} WHERE agency_id = :agency AND created_upload = :upload)"
)
"""It has added a record to a client or case that this one has created, and that would be deleted."""


@dataclass(frozen=True)
class Undone:
    """What was done: how many records of each kind were `put_back` and `removed`.

    `since` are the agency's later uploads that still count, the newest first.
    """

    upload: Upload
    put_back: Mapping[str, int]
    removed: Mapping[str, int]
    since: Sequence[Upload]


def undo(conn: Connection, upload_id: str, at: datetime) -> Undone:
    """Undo an upload, in a write transaction that holds the lock of the agency's records (`records_of`).

    Raises IngestError `not_found`, or `conflict` with the reason; then the transaction must be rolled back.
    """
    upload = find_upload(conn, upload_id)
    if upload is None:
        raise IngestError("not_found", f"There is no upload {upload_id}.", "See: dropslot upload list")
    _refuse_settled(upload)
    names = {"agency": upload.agency_id, "upload": upload.id}
    _refuse_unrecorded(conn, names)
    _settle_in(conn)
    _refuse_changed_since(conn, names)
    since = uploads_since(conn, upload)
    number = draw_number(conn, upload.agency_id)
    removed = _remove(conn, names, number)
    put_back = _put_back(conn, names) + _count_again(conn, names)
    put_holders_back(conn, upload, since, _KINDS)
    sentence = _sentence(at, put_back, removed)
    upload = replace(upload, status=UNDONE, undone_at=at, answered_at=None, notes=(*upload.notes, sentence))
    mark_undone(conn, upload, number)
    forget(conn, upload.agency_id)
    forget_shape(conn, upload)
    settled = update(tables.arrivals).where(tables.arrivals.c.id == upload.arrival_id)
    conn.execute(settled.values(state=ArrivalState.UNDONE, detail=sentence))
    return Undone(upload, _by_name(put_back), _by_name(removed), since)


def _settle_in(conn: Connection) -> None:
    """Have all the time it takes, and let the database choose its ways by what the tables hold now.

    Looking them over also keeps a second undo waiting, that of another agency, which would make the same indexes.
    """
    backend = backend_of(conn)
    backend.settle_in(conn)
    backend.survey(conn, [*reversed(_KINDS), "changes"])


# --- refuse


def _refuse_settled(upload: Upload) -> None:
    if upload.undone_at is not None:
        raise IngestError("conflict", f"It was undone on {upload.undone_at:%Y-%m-%d %H:%M} UTC already.")
    if upload.status == "duplicate":
        raise IngestError(
            "conflict",
            "It was a duplicate and has changed nothing, so there is nothing to undo.",
            "To undo what its content did, name the upload of the file that it repeats: dropslot upload list",
        )
    if upload.status not in ("processed", "partially_processed"):
        status = upload.status.replace("_", " ")
        raise IngestError("conflict", f"It is {status} and has changed nothing, so there is nothing to undo.")


def _refuse_unrecorded(conn: Connection, names: Mapping[str, str]) -> None:
    recorded = conn.execute(text("SELECT changed FROM uploads WHERE id = :upload"), names).scalar()
    if recorded is None:
        raise IngestError(
            "conflict",
            "It ran before dropslot kept what an upload changes, so nobody knows what to put back.",
            "Only uploads of this version and later ones can be undone.",
        )


def _refuse_changed_since(conn: Connection, names: Mapping[str, str]) -> None:
    later = conn.execute(text(_later()), names).all()
    if not later:
        return
    shown = [f"{file} ({records:,}, upload {id_})" for id_, file, records in later[:SHOWN]]
    more = f" and {len(later) - SHOWN:,} more" if len(later) > SHOWN else ""
    many = "Later uploads have" if len(later) > 1 else "A later upload has"
    raise IngestError(
        "conflict",
        f"{many} changed records again that this one has changed, or added to what it has created: "
        f"{', '.join(shown)}{more}.",
        f"Undo the newest first: dropslot upload undo {later[0][0]}",
    )


def _later() -> str:
    """Later uploads that stand in the way, the newest first, with the file and how many records it is about."""
    found = [_CHANGED_AGAIN]
    for kind in _KINDS:
        of_kind = (_CHANGED_A_CREATED_ONE, _WROTE_A_CREATED_ONE, _WITHDREW_A_CREATED_ONE, _WITHDREW_A_CHANGED_ONE)
        found += [query.format(kind=kind) for query in of_kind]
    for kind, references in _CHILDREN.items():
        for reference in references:
            wrote = () if kind == "contacts" else (_WROTE_BELOW_A_RESTORED_ONE,)
            of_pair = (*wrote, _WITHDREW_THE_PARENT, _ADDED_TO_A_CREATED_ONE)
            found += [query.format(kind=kind, reference=reference, parent=_PARENTS[reference]) for query in of_pair]
    return (
        f"SELECT u.id, u.file, count(*) FROM ({' UNION '.join(found)}) f JOIN uploads u ON u.id = f.upload "
        "WHERE u.undone_at IS NULL GROUP BY u.id, u.file, u.finished_at ORDER BY u.finished_at DESC"
    )


# --- delete, put back


def _put_back(conn: Connection, names: Mapping[str, str]) -> Counter[str]:
    """Give records the values that they had before; how many of each kind."""
    query = text(
        "SELECT kind, count(DISTINCT record_id) AS records FROM changes WHERE upload_id = :upload GROUP BY kind"
    )
    counts = Counter({row.kind: row.records for row in conn.execute(query, names)})
    chunk = text(
        "SELECT id, kind, record_id, before FROM changes WHERE upload_id = :upload AND (:below = 0 OR id < :below) "
        "ORDER BY id DESC LIMIT :chunk"
    )
    below = 0
    while found := conn.execute(chunk, {**names, "below": below, "chunk": CHUNK}).all():
        below = found[-1].id
        # Of a record that was changed twice, the first of the two changes is put back last.
        seen: set[tuple[str, int]] = set()
        run: list[Any] = []
        for change in found:
            key = (change.kind, change.record_id)
            if key in seen:
                _write(conn, run)
                seen, run = set(), []
            seen.add(key)
            run.append(change)
        _write(conn, run)
    return counts


def _write(conn: Connection, run: Sequence[Any]) -> None:
    """Write the old values of different records."""
    groups: dict[tuple[str, tuple[str, ...]], list[dict[str, Any]]] = defaultdict(list)
    for change in run:
        before = json.loads(change.before)
        groups[change.kind, tuple(sorted(before))].append({**before, "record": change.record_id})
    for (kind, columns), rows in groups.items():
        known = tables.metadata.tables[kind].c
        sets = ", ".join(f"{known[name].name} = :{name}" for name in columns)
        conn.execute(text(f"UPDATE {kind} SET {sets} WHERE id = :record"), rows)


def _remove(conn: Connection, names: Mapping[str, str], number: int) -> Counter[str]:
    """Delete what was created, and what is kept of it, and note what it was; how many of each kind."""
    made = {kind: f"FROM {kind} WHERE agency_id = :agency AND created_upload = :upload" for kind in _KINDS}
    parents = any(conn.execute(text(f"SELECT 1 {made[kind]} LIMIT 1"), names).first() for kind in _PARENTS.values())
    if parents:  # PostgreSQL would not use an index that is younger than changes of ours
        for kind, reference in _BARE:
            conn.exec_driver_sql(f"CREATE INDEX undo_{kind}_{reference} ON {kind} ({reference})")
    counts: Counter[str] = Counter()
    conn.execute(text("DELETE FROM moved_events WHERE upload_id = :upload"), names)
    columns = "agency_id, sequence, upload_id, kind, record_id, reference"
    for kind in _KINDS:
        write = "CAST(:agency AS TEXT), CAST(:number AS BIGINT), CAST(:upload AS TEXT)"
        noted = f"SELECT {write}, '{kind}', id, {_KNOWN_BY[kind]} {made[kind]}"
        conn.execute(text(f"INSERT INTO removed ({columns}) {noted}"), {**names, "number": number})
        for table in ("holders", "changes"):
            kept = f"DELETE FROM {table} WHERE kind = '{kind}' AND record_id IN (SELECT id {made[kind]})"
            conn.execute(text(kept), names)
        counts[kind] = conn.execute(text(f"DELETE {made[kind]}"), names).rowcount
    if parents:
        for kind, reference in _BARE:
            conn.exec_driver_sql(f"DROP INDEX undo_{kind}_{reference}")
    return counts


def _count_again(conn: Connection, names: Mapping[str, str]) -> Counter[str]:
    """What is withdrawn by no upload that still counts is not withdrawn; how many of each kind."""
    gone = "SELECT id FROM uploads WHERE agency_id = :agency AND (id = :upload OR undone_at IS NOT NULL)"
    counts: Counter[str] = Counter()
    for kind in _KINDS:
        back = f"UPDATE {kind} SET withdrawn_upload = NULL WHERE agency_id = :agency AND withdrawn_upload IN ({gone})"
        counts[kind] = conn.execute(text(back), names).rowcount
    return counts


# --- tell


def _by_name(counts: Counter[str]) -> dict[str, int]:
    """As people call the kinds, without those of which there is none."""
    return {_NAMES.get(kind, kind): counts[kind] for kind in reversed(_KINDS) if counts[kind]}


def _sentence(at: datetime, put_back: Counter[str], removed: Counter[str]) -> str:
    done = [f"{_counted(count, kind)} put back" for kind, count in _by_name(put_back).items()]
    done += [f"{_counted(count, kind)} removed" for kind, count in _by_name(removed).items()]
    return f"Undone on {at:%Y-%m-%d %H:%M} UTC: {', '.join(done) or 'it had changed no record'}."


def _counted(count: int, kind: str) -> str:
    singular = "party" if kind == "parties" else kind.removesuffix("s")
    return f"{count:,} {singular if count == 1 else kind}"
