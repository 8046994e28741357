"""Records that a snapshot no longer holds are withdrawn, and those that come back are restored.

A record is withdrawn by a mark, never deleted: it keeps its id and what it held, and the next file that names it, by
whatever template, takes the mark off. Whose records a snapshot reaches: with `replace_all` all of the agency's, with
`replace_template` those that its template brought. A record that the files of several templates have named has
`holders`: whoever brought it, and the snapshots that name it. It goes when the last of them lets go of it. Whoever
restores a record has brought it.

A refused row has said nothing, but it names somebody, and nobody's hearing may vanish since its row had a typo: all
that belongs to the client or the case that such a row names is spared, and so are the contacts of whom something on
that case would be gone: nobody knows whether the row meant them. Of a row that cannot be read so far, its text
is searched for what the candidates are known by. A good row whose phone, address or payment was not taken spares the
contacts, or the payments, of its client.

Only names of our own tables and columns are put into the text; values are bound.
"""
# ruff: noqa: S608

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, text

from ingest.databases import backend_of
from ingest.index import forget
from ingest.merge.search import Text
from ingest.merge.snapshot import Snapshot, Withdrawn
from ingest.merge.statements import NATURAL, SPARED, TABLES

KEEPING = ("events", "payments", "case_parties")
"""What a client or a case is not withdrawn without."""
_OF_CLIENTS = ("events", "payments", "case_parties", "contacts")
_OF_CASES = ("events", "payments", "case_parties")
_WHOSE = ("coalesce(t.client_id, 0)", "coalesce(t.case_id, 0)")
_LIVE = "t.withdrawn_upload IS NULL"
_TO_COME = "(starts_at >= :now OR (local_time IS NULL AND local_date >= :today))"

Names = Mapping[str, str]


def has_withdrawn(conn: Connection, agency_id: str) -> bool:
    """Whether any record of the agency is withdrawn."""
    mark = "agency_id = :agency AND withdrawn_upload IS NOT NULL"
    any_ = " UNION ALL ".join(f"SELECT 1 AS found FROM {table} WHERE {mark}" for table in TABLES)
    return bool(_count(conn, f"SELECT count(*) FROM (SELECT 1 FROM ({any_}) a LIMIT 1) b", {"agency": agency_id}))


def restore(conn: Connection, table: str, names: Names) -> tuple[int, int]:
    """Bring back those that the file names; how many, and how many of these were changed by it as well.

    Names: agency, template, upload. `updated_upload` becomes this one.
    """
    back = f"withdrawn_upload IS NOT NULL AND agency_id = :agency AND id IN (SELECT id FROM stage_{table})"
    changed = _count(conn, f"SELECT count(*) FROM {table} WHERE {back} AND updated_upload = :upload", names)
    alive = "withdrawn_upload = NULL, template = :template, updated_upload = :upload"
    _note(conn, table, back, "NULL", names)
    _do(conn, _let_be(f"kind = '{table}' AND record_id IN (SELECT id FROM {table} WHERE {back})"), names)
    return _do(conn, f"UPDATE {table} SET {alive} WHERE {back}", names), changed


def count_live(conn: Connection, snapshot: Snapshot, names: Names) -> dict[str, int]:
    """How many live records are in the snapshot's reach, by table, but for what is over. Before anything is merged."""
    names = {**names, **snapshot.names}
    return {
        table: _count(conn, f"SELECT count(*) FROM {table} t WHERE {_reached(table, snapshot)}{over}", names)
        for table, over in _LOOKED_AT.items()
    }


def withdraw(conn: Connection, snapshot: Snapshot, live: Mapping[str, int], names: Names) -> Withdrawn:
    """Withdraw what the staged file, which is merged, no longer holds. `stage_gone` has their ids when this returns.

    Every staged record must have its id. Forgets the skip indexes of other templates whose records are touched.
    """
    names = {**names, **snapshot.names}
    for table in TABLES:
        # A table of its own: PostgreSQL uses no index that is younger than rows which were changed since it began.
        staged = f"SELECT DISTINCT '{table}', id FROM stage_{table} WHERE id IS NOT NULL"
        _do(conn, f"INSERT INTO stage_named (kind, id) {staged}", {})
    backend_of(conn).survey(conn, ["stage_named"])
    for table in TABLES:
        held = f"NOT EXISTS (SELECT 1 FROM stage_named s WHERE s.kind = '{table}' AND s.id = t.id)"
        gone = f"SELECT '{table}', t.id FROM {table} t WHERE {_reached(table, snapshot)} AND {held}"
        _do(conn, f"INSERT INTO stage_gone (kind, id) {gone}", names)
    backend_of(conn).survey(conn, ["stage_gone"])
    _spare(conn, snapshot, names)
    if snapshot.own_alone:
        _let_go(conn, names)
    _keep_parents(conn, names)
    total = {table: _count(conn, f"SELECT count(*) FROM {_gone(table)} t", {}) for table in TABLES}
    counted = {
        table: _count(conn, f"SELECT count(*) FROM {table} t WHERE t.id IN {_gone(table)}{over}", names)
        if total[table]
        else 0
        for table, over in _LOOKED_AT.items()
    }
    _mark(conn, total, names)
    return Withdrawn(total, counted, live, _pair_moved(conn, names) if total["events"] else 0)


def _reached(table: str, snapshot: Snapshot) -> str:
    """The live records that the snapshot may withdraw: `t`."""
    parent = {"contacts": "client_id IN (SELECT id FROM clients", "case_parties": "case_id IN (SELECT id FROM cases"}
    of_agency = f"t.{parent[table]} WHERE agency_id = :agency)" if table in parent else "t.agency_id = :agency"
    if not snapshot.own_alone:
        return f"{of_agency} AND {_LIVE}"
    held = (
        f"EXISTS (SELECT 1 FROM holders h WHERE h.kind = '{table}' AND h.record_id = t.id "
        "AND h.template = :template AND h.gone_upload IS NULL)"
    )
    return f"{of_agency} AND {_LIVE} AND (t.template = :template OR (t.template = '*' AND {held}))"


def _not_over(column: str, of: str = "t.id") -> str:
    """Clients or cases, `of`, but for those whose hearings are all over."""
    own = f"SELECT {column} FROM events WHERE agency_id = :agency AND {column} IS NOT NULL AND withdrawn_upload IS NULL"
    return f" AND ({of} IN ({own} AND {_TO_COME}) OR {of} NOT IN ({own} AND NOT {_TO_COME}))"


_LOOKED_AT = {
    "events": f" AND {_TO_COME}",
    "clients": _not_over("client_id"),
    "cases": _not_over("case_id"),
    "payments": "",
    "contacts": _not_over("client_id", "t.client_id"),
}


def _gone(table: str) -> str:
    return f"(SELECT id FROM stage_gone WHERE kind = '{table}')"


def _spare(conn: Connection, snapshot: Snapshot, names: Names) -> None:
    """Take out of `stage_gone` what refused rows may have spoken of, and what others say too badly to be taken."""
    if not snapshot.legible:
        _do(conn, "DELETE FROM stage_gone", {})
        return
    _do(conn, f"DELETE FROM stage_gone WHERE kind IN ({_quoted(snapshot.unsaid)})", {})
    _do(conn, _children_out("contacts", f"t.kind IN ({_quoted(snapshot.unsaid)})"), {})
    for name, table in SPARED.items():
        _do(conn, backend_of(conn).find(f"stage_spared_{name}", table, NATURAL[table]), names)
    if _count(conn, "SELECT count(*) FROM stage_unread", {}):
        _search(conn)
    for table, column in (("clients", "client_id"), ("cases", "case_id")):
        spared = f"SELECT id FROM stage_spared_{table}"
        _do(conn, f"DELETE FROM stage_gone WHERE kind = '{table}' AND id IN ({spared})", {})
        for child in _OF_CLIENTS if table == "clients" else _OF_CASES:
            which = f"t.{column} IN ({spared})"
            if table == "cases":
                _do(conn, _children_out("contacts", f"t.client_id IN ({_clients_of_gone(child, which)})"), {})
            _do(conn, _children_out(child, which), {})
    _do(conn, _children_out("contacts", "t.client_id IN (SELECT id FROM stage_spared_contacts)"), {})
    whose = "t.client_id IN (SELECT id FROM stage_spared_payments)"
    alone = "t.client_id IS NULL AND t.case_id IN (SELECT id FROM stage_spared_dues)"
    _do(conn, _children_out("payments", f"({whose} OR {alone})"), {})


def _quoted(names: Iterable[str]) -> str:
    """Names of our own as literals."""
    return ", ".join(["''", *(f"'{name}'" for name in sorted(names))])


def _search(conn: Connection) -> None:
    """Add to those that are spared whose reference, number or name stands in a row that could not be read.

    Of whom nothing is known that could stand there, nobody can tell.
    """
    unread = Text(conn.execute(text("SELECT raw FROM stage_unread")).scalars())
    for table, column, columns, children in (
        ("clients", "client_id", "t.reference, t.last_name, t.first_name", _OF_CLIENTS),
        ("cases", "case_id", "t.number, NULL, NULL", _OF_CASES),
    ):
        among = [f"SELECT id FROM stage_gone WHERE kind = '{table}'"]
        among += [f"SELECT c.{column} FROM {child} c WHERE c.id IN {_gone(child)}" for child in children]
        asked = f"SELECT t.id, {columns} FROM {table} t WHERE t.id IN ({' UNION '.join(among)})"
        found = [
            {"key": -id_, "id": id_}
            for id_, known_by, *name in conn.execute(text(asked))
            if not (known_by or any(name)) or unread.names([known_by]) or unread.names([part for part in name if part])
        ]
        if found:
            conn.execute(text(f"INSERT INTO stage_spared_{table} (key, id) VALUES (:key, :id)"), found)


def _children_out(child: str, which: str) -> str:
    gone = f"SELECT g.id FROM {_gone(child)} g JOIN {child} t ON t.id = g.id WHERE {which}"
    return f"DELETE FROM stage_gone WHERE kind = '{child}' AND id IN ({gone})"


def _clients_of_gone(child: str, which: str) -> str:
    """Whose they are."""
    return f"SELECT t.client_id FROM {_gone(child)} g JOIN {child} t ON t.id = g.id WHERE {which}"


def _let_go(conn: Connection, names: Names) -> None:
    """The template no longer holds what is gone and another one holds, which stays. What it alone holds, it lets go of
    when that is withdrawn: of a client or a case that something keeps, the next snapshot decides again."""
    for table in TABLES:
        held = f"kind = '{table}' AND record_id IN {_gone(table)}"
        others = f"SELECT record_id FROM holders WHERE {held} AND template <> :template AND gone_upload IS NULL"
        _do(conn, _let_be(f"{held} AND template = :template AND record_id IN ({others})"), names)
        _do(conn, f"DELETE FROM stage_gone WHERE kind = '{table}' AND id IN ({others})", names)


def _let_be(which: str) -> str:
    """Nobody holds it any more, of holders that do."""
    return f"UPDATE holders SET gone_upload = :upload WHERE {which} AND gone_upload IS NULL"


def _keep_parents(conn: Connection, names: Names) -> None:
    """A client or a case stays while anything of it does."""
    for table, column in (("clients", "client_id"), ("cases", "case_id")):
        for child in KEEPING:
            left = (
                f"SELECT t.{column} FROM {child} t WHERE t.agency_id = :agency AND t.{column} IN {_gone(table)} "
                f"AND {_LIVE} AND t.id NOT IN {_gone(child)}"
            )
            _do(conn, f"DELETE FROM stage_gone WHERE kind = '{table}' AND id IN ({left})", names)


def _mark(conn: Connection, total: Mapping[str, int], names: Names) -> None:
    """The withdrawal itself."""
    foreign = 0
    for table in (table for table in TABLES if total[table]):
        others = f"SELECT count(*) FROM {table} t WHERE t.id IN {_gone(table)} AND t.template <> :template"
        foreign += _count(conn, others, names)
        _do(conn, _let_be(f"kind = '{table}' AND record_id IN {_gone(table)}"), names)
        _note(conn, table, f"id IN {_gone(table)}", ":upload", names)
        _do(conn, f"UPDATE {table} SET withdrawn_upload = :upload WHERE id IN {_gone(table)}", names)
    if foreign:
        forget(conn, names["agency"], but=names["template"])


def _note(conn: Connection, table: str, which: str, mark: str, names: Names) -> None:
    """Keep, for an undo and for the history, that this upload gives records the mark `mark`, or takes it off.

    Ids of uploads need no quoting in JSON; names of templates do. Whoever restores a record has it for itself.
    """
    back = mark == "NULL"
    sides = [_as_json("withdrawn_upload", "updated_upload"), _as_json(mark, ":upload" if back else "updated_upload")]
    owners = ("template", "CAST(:template AS TEXT)") if back else (None, None)
    before, after = (
        f"'{{' || {side} || {_and_template(conn, owner)}" for side, owner in zip(sides, owners, strict=True)
    )
    columns = "upload_id, kind, record_id, before, after"
    told = f"SELECT CAST(:upload AS TEXT), '{table}', id, {before}, {after} FROM {table} WHERE {which}"
    _do(conn, f"INSERT INTO changes ({columns}) {told}", names)


def _as_json(withdrawn: str, updated: str) -> str:
    pairs = (("withdrawn_upload", withdrawn), ("updated_upload", updated))
    quoted = (f"""'"{name}":' || coalesce('"' || CAST({value} AS TEXT) || '"', 'null')""" for name, value in pairs)
    return " || ',' || ".join(quoted)


def _and_template(conn: Connection, owner: str | None) -> str:
    """The end of a JSON object: whose the record is, if that is to be told."""
    packed = owner and backend_of(conn).pack(f"'template', {owner}")
    return f"',' || substr({packed}, 2)" if packed else "'}'"


def _pair_moved(conn: Connection, names: Names) -> int:
    """Note the hearings that have another date: of one client and case one that was still to come is gone, and one is
    new; among several, so of each type."""
    return _pair(conn, names, _WHOSE) + _pair(conn, names, (*_WHOSE, "coalesce(t.type, '')"))


def _pair(conn: Connection, names: Names, by: Sequence[str]) -> int:
    columns = ", ".join(f"{each} AS by_{place}" for place, each in enumerate(by))
    gone = f"t.id IN {_gone('events')} AND {_TO_COME}"
    new = "t.id IN (SELECT id FROM stage_events) AND t.created_upload = :upload"
    sides = []
    for which, column in ((gone, "old_event"), (new, "new_event")):
        left = f"{which} AND t.id NOT IN (SELECT {column} FROM moved_events WHERE upload_id = :upload)"
        alone = f"GROUP BY {', '.join(by)} HAVING count(*) = 1"
        sides.append(f"(SELECT min(t.id) AS id, {columns} FROM events t WHERE {left} {alone})")
    same = " AND ".join(f"g.by_{place} = n.by_{place}" for place in range(len(by)))
    pairs = f"SELECT :upload, g.id, n.id FROM {sides[0]} g JOIN {sides[1]} n ON {same}"
    return _do(conn, f"INSERT INTO moved_events (upload_id, old_event, new_event) {pairs}", names)


def _do(conn: Connection, sql: str, names: Names) -> int:
    return conn.execute(text(sql), dict(names)).rowcount


def _count(conn: Connection, sql: str, names: Names) -> int:
    return int(conn.execute(text(sql), dict(names)).scalar_one())
