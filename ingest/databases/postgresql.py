"""PostgreSQL: many writers at a time, each behind the lock of what it changes.

A transaction runs at READ COMMITTED and takes an advisory lock first; so each of its statements sees all that holders
of the same lock have done before. Merges of two agencies do not wait for each other. A reader sees one moment of the
database (REPEATABLE READ), as on SQLite.

Rows are loaded by COPY. The merge is an UPDATE of what differs and an INSERT of what is missing: ON CONFLICT would
write to every row that it finds unchanged, and use up an id for it. What cannot be there yet is not looked for. What is
looked for is so record by record, in the index (`LATERAL`), unless there are many: left to itself, the planner reads
tables of which it knows little, since they have just been filled, from end to end. What a row was before its update is
read before it.
"""
# ruff: noqa: S608

import hashlib
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, Executable, Table, create_engine, event, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from ingest.databases.port import Fill, Merge, UnfitDatabaseError
from ingest.databases.refusals import explain
from ingest.databases.taking import Laying

OLDEST = 15
STAGE_MEMORY = 64
"""MiB."""
_CONNECT: Mapping[str, Any] = MappingProxyType(
    {
        "application_name": "dropslot",
        "client_encoding": "utf8",
        "connect_timeout": 5,
        # A peer that has gone without a word is found out within a minute, at either end.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
)
_SESSION: Mapping[str, str] = MappingProxyType(
    {
        "lock_timeout": "60s",
        "statement_timeout": "5min",
        "idle_in_transaction_session_timeout": "1h",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "client_connection_check_interval": "5s",  # a merge whose worker was killed ends, and lets go of its lock
        "jit": "off",  # it costs more than our statements take
    }
)
_STAGE: Mapping[str, str] = MappingProxyType(
    {
        "temp_buffers": f"{STAGE_MEMORY}MB",
        "work_mem": f"{STAGE_MEMORY}MB",
        "default_statistics_target": "10",
        "statement_timeout": "0",  # a big file's merge may take longer than other statements
        "random_page_cost": "1.1",  # a small file reads no big table whole
    }
)
_HOLD = text(
    "SELECT set_config('idle_in_transaction_session_timeout', '5min', true), pg_advisory_xact_lock(:key)"
)  # whoever hangs while it holds a lock loses it


class PostgreSQL:
    """`Backend` for a server of version `OLDEST` or newer."""

    is_embedded = False
    key = "BIGINT"
    reading: Mapping[str, Any] = MappingProxyType({"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
    writing: Mapping[str, Any] = MappingProxyType({})

    def engine(self, url: URL) -> Engine:
        """See `Backend`."""
        settings = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
        given = url.query.get("options", "")
        options = {**_CONNECT, "options": f"{settings} {given if isinstance(given, str) else ' '.join(given)}".strip()}
        wanted = {name: value for name, value in options.items() if name == "options" or name not in url.query}
        engine = create_engine(
            url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
            connect_args=wanted,
            pool_size=2,
            max_overflow=6,
            pool_pre_ping=True,
            hide_parameters=True,
        )
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "before_cursor_execute", _choose_format)
        return engine

    def hold(self, conn: Connection, lock: str) -> None:
        """See `Backend`."""
        conn.execute(_HOLD, {"key": _number(lock)})

    def settle_in(self, conn: Connection) -> None:
        """See `Backend`."""
        conn.execute(
            text("SELECT set_config('lock_timeout', '10min', true), set_config('statement_timeout', '0', true)")
        )

    def describe(self, conn: Connection) -> str:
        """See `Backend`."""
        version = conn.execute(text("SHOW server_version")).scalar_one()
        return f"PostgreSQL {version.split()[0]}"

    def trouble(self, error: BaseException) -> tuple[str, str] | None:
        """See `Backend`."""
        return explain(error)

    def insert(self, table: Table) -> Executable:
        """See `Backend`."""
        return insert(table).on_conflict_do_nothing()

    def prepare_stage(self, conn: Connection, tables: Sequence[str]) -> None:
        """See `Backend`. In one breath: each statement of its own is a journey to the server and back."""
        settings = (f"SET {name} = '{value}'" for name, value in _STAGE.items())
        conn.exec_driver_sql("; ".join((*settings, *tables)))

    def end_stage(self, conn: Connection, raw: Any) -> None:
        """See `Backend`. The server has its own checkpointer."""
        conn.close()
        raw.close()  # SQLAlchemy forgets a detached connection that was interrupted, and its lock would stay

    def fill(self, conn: Connection, fill: Fill, data: Sequence[Sequence[object]], *, first: bool) -> None:
        """See `Backend`. The first rows go straight in; later ones by way of a table beside it."""
        if first or not fill.key:
            _copy(conn, fill.table, fill.columns, data)
            return
        self.seek(conn, [fill.table])
        beside, columns = f"{fill.table}_more", ", ".join(fill.columns)
        then = f"UPDATE SET {', '.join(fill.changes)}" if fill.changes else "NOTHING"
        conn.exec_driver_sql(f"CREATE TEMPORARY TABLE {beside} (LIKE {fill.table})")
        _copy(conn, beside, fill.columns, data)
        conn.exec_driver_sql(
            f"INSERT INTO {fill.table} ({columns}) SELECT {columns} FROM {beside} ON CONFLICT ({fill.key}) DO {then}"
        )
        conn.exec_driver_sql(f"DROP TABLE {beside}")

    def seek(self, conn: Connection, tables: Sequence[str]) -> None:
        """See `Backend`. Without an index until it is needed, a table is filled in half the time."""
        each = (f"CREATE UNIQUE INDEX IF NOT EXISTS {table}_key ON {table} (key)" for table in tables)
        conn.exec_driver_sql("; ".join(each))

    def survey(self, conn: Connection, tables: Sequence[str]) -> None:
        """See `Backend`. No autovacuum ever sees a temporary table."""
        if tables:  # without a name, it would be all there are
            conn.exec_driver_sql(f"ANALYZE {', '.join(tables)}")

    def pack(self, pairs: str) -> str:
        """See `Backend`. A jsonb is written in one way only."""
        return f"nullif(CAST(jsonb_strip_nulls(jsonb_build_object({pairs})) AS TEXT), '{{}}')"

    def reserve(self, conn: Connection, tables: Sequence[str]) -> None:
        """See `Backend`. Whoever makes an index keeps writers waiting, and to drop it waits for readers: a merge that
        has read a table, and then wants to write to it, would wait for an undo that waits for it."""
        conn.exec_driver_sql(f"LOCK TABLE {', '.join(tables)} IN ROW EXCLUSIVE MODE")

    def newest(self, conn: Connection, table: str) -> int:
        """See `Backend`. Others draw numbers as well, and those who draw later get higher ones."""
        last = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(:table, 'id')), 0)"
        return int(conn.execute(text(last), {"table": table}).scalar_one())

    def merge(self, conn: Connection, merge: Merge, names: Mapping[str, Any]) -> tuple[int, int]:
        """See `Backend`."""
        if merge.found:
            conn.execute(text(_find_known(merge)), dict(names))
        takes = merge.columns or merge.laid
        updated = conn.execute(text(_update(merge)), dict(names)).rowcount if takes else 0
        created = conn.execute(text(_insert(merge)), dict(names)).rowcount
        return created, updated

    def find(self, stage: str, table: str, natural: str) -> str:
        """See `Backend`."""
        return (
            f"UPDATE {stage} s SET id = t.id FROM {table} t WHERE t.agency_id = :agency AND t.{natural} = s.{natural}"
        )


def _find_known(merge: Merge) -> str:
    """An UPDATE that gives rows of the stage the ids of their records; it does not look where the agency has none."""
    shared = merge.match[1]
    known = (
        f"SELECT g.key, t.id FROM {merge.found} g CROSS JOIN LATERAL (SELECT t.id FROM {merge.table} t "
        f"WHERE t.agency_id = :agency AND t.{shared} = g.{shared}{_one(merge)}) t "
        f"WHERE EXISTS (SELECT FROM {merge.table} WHERE agency_id = :agency)"
    )
    return f"UPDATE {merge.found} s SET id = k.id FROM ({known}) k WHERE k.key = s.key"


def _update(merge: Merge) -> str:
    values = {column.name: column.becomes("s", "t") for column in merge.columns}
    values |= {laid.name: _laid_over(laid, f"s.{laid.name}", f"t.{laid.name}") for laid in merge.laid}
    changes = [f"{name} = {value}" for name, value in values.items()]
    differs = [f"{value} IS DISTINCT FROM t.{name}" for name, value in values.items()]
    old = "".join(f", t.{c} AS old_{c}" for c in merge.watched)
    told = "".join(f", s.old_{c}, t.{c} AS new_{c}" for c in merge.watched)
    pairs = [f"('{c}', to_jsonb(u.old_{c}), to_jsonb(u.new_{c}))" for c in merge.watched]
    return (
        f"WITH s AS MATERIALIZED (SELECT s.*, t.id AS record{old} FROM {_known(merge)} WHERE {' OR '.join(differs)} "
        # No limit at all; but one that is not known beforehand has the planner take it for a tenth of the rows, and not
        # read the whole table for those few.
        "LIMIT (SELECT CAST(NULL AS BIGINT))), "
        f"u AS (UPDATE {merge.table} t SET {', '.join(changes)}, updated_upload = s.updated_upload "
        f"FROM s WHERE t.id = s.record RETURNING t.id{told}) "
        "INSERT INTO changes (upload_id, kind, record_id, before, after) "
        f"SELECT u.new_updated_upload, '{merge.table}', u.id, c.before, c.after FROM u CROSS JOIN LATERAL ("
        "SELECT CAST(jsonb_object_agg(name, old) AS TEXT), CAST(jsonb_object_agg(name, new) AS TEXT) "
        f"FROM (VALUES {', '.join(pairs)}) p (name, old, new) WHERE old IS DISTINCT FROM new) c (before, after) "
        "ORDER BY u.id"
    )


def _known(merge: Merge) -> str:
    """What is staged, `s`, of records that are there, `t`. Each is looked for by itself, whatever the database thinks
    of its tables: it has hardly ever counted them since they were written."""
    into = ", ".join(merge.into)
    if merge.found:
        source = f"SELECT id, {merge.source.removeprefix('SELECT ')} AND id IS NOT NULL"
        return f"({source}) s (known, {into}) JOIN {merge.table} t ON t.id = s.known"
    there = f"SELECT * FROM {merge.table} t WHERE {_looked_for(merge)}{_same(merge)}{_one(merge)}"
    source = f"{merge.source} AND ({merge.known})" if merge.known else merge.source
    return f"({source}) s ({into}) CROSS JOIN LATERAL ({there}) t"


def _one(merge: Merge) -> str:
    """With this limit, each is looked for by itself; without it, the planner chooses."""
    return "" if merge.many else " LIMIT 1"


def _looked_for(merge: Merge) -> str:
    """The staged records, `s`, that may be there: if a row is none of them, the table is not touched."""
    return f"({merge.fresh}) IS NOT TRUE AND " if merge.fresh else ""


def _laid_over(laid: Laying, new: str, old: str) -> str:
    new, there = (f"CAST(coalesce({text}, '{{}}') AS jsonb)" for text in (new, old))
    left = f"{there} || CAST(CAST(:{laid.taken_out} AS TEXT) AS jsonb)" if laid.taken_out else there
    both = f"{left} || {_with_old(laid, new, there) if laid.leaves else new}"
    if laid.empties:
        return _without(laid, both)
    return f"nullif(CAST(jsonb_strip_nulls({both}) AS TEXT), '{{}}')"


def _with_old(laid: Laying, fields: str, old: str) -> str:
    """The JSON object, but with the old texts (null, if there are none) where nothing is said."""
    each = f"CASE WHEN value = {laid.leaves} THEN {old} -> key ELSE to_jsonb(value) END"
    return f"coalesce((SELECT jsonb_object_agg(key, {each}) FROM jsonb_each_text({fields})), '{{}}')"


def _without(laid: Laying, fields: str) -> str:
    """The JSON object without the texts that stand for something else; NULL if it is empty."""
    marks = ", ".join(filter(None, (laid.empties, laid.leaves)))
    left = f"SELECT jsonb_object_agg(key, value) FROM jsonb_each_text({fields}) WHERE value NOT IN ({marks})"
    return f"CAST(({left}) AS TEXT)"


def _insert(merge: Merge) -> str:
    into = ", ".join(merge.into)
    values = {column.name: column.begins() for column in merge.columns if not column.is_plain}
    values |= {laid.name: _without(laid, f"CAST({laid.name} AS jsonb)") for laid in merge.laid if not laid.is_plain}
    taken = ", ".join(values.get(name, f"s.{name}") for name in merge.into)
    insert = f"INSERT INTO {merge.table} ({into}) SELECT {taken} FROM"
    if merge.found:
        shared = merge.match[1]
        return (
            f"WITH n AS ({insert} ({merge.source} AND id IS NULL ORDER BY {merge.order}) s ({into}) "
            f"RETURNING id, {shared}) UPDATE {merge.found} g SET id = n.id FROM n WHERE n.{shared} = g.{shared}"
        )
    there = f"SELECT t.id FROM {merge.table} t WHERE {_looked_for(merge)}{_same(merge)}{_one(merge)}"
    return (
        f"{insert} ({merge.source} ORDER BY {merge.order}) s ({into}) "
        f"LEFT JOIN LATERAL ({there}) t ON true WHERE t.id IS NULL"
    )


def _same(merge: Merge) -> str:
    """The record `t` is the one that `s` speaks of."""
    sides = [(_of(expression, "t"), _of(expression, "s")) for expression in merge.match]
    return " AND ".join(f"{there} = {here}" for there, here in sides)


def _of(expression: str, name: str) -> str:
    """A column, or coalesce(column, ...), of that table."""
    column = expression.removeprefix("coalesce(")
    return f"{name}.{column}" if column == expression else f"coalesce({name}.{column}"


def _copy(conn: Connection, table: str, columns: Sequence[str], data: Sequence[Sequence[object]]) -> None:
    """Load columns into a temporary table, in the transaction that has begun on `conn`."""
    raw = cast(Any, conn.connection.dbapi_connection)
    written = _as_csv(columns, data)
    try:
        with raw.cursor() as cursor:
            if written is None:
                with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                    for row in zip(*data, strict=True):
                        copy.write_row(row)
            else:
                with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT csv)") as copy:
                    copy.write(written)
    except conn.dialect.loaded_dbapi.Error as error:  # SQLAlchemy does not see it, so nobody would know it
        raise DBAPIError.instance("COPY", None, error, conn.dialect.loaded_dbapi.Error, hide_parameters=True) from error


def _as_csv(columns: Sequence[str], data: Sequence[Sequence[object]]) -> bytes | None:
    r"""The rows as CSV, or None if a line might be taken for the end (`\.` alone; see PostgreSQL's COPY)."""
    import pyarrow as pa  # not above: only a worker needs it, and it takes a while
    from pyarrow import csv

    types = [pa.int64() if isinstance(column[0], int) else pa.string() for column in data]
    arrays = [pa.array(column, type_) for column, type_ in zip(data, types, strict=True)]
    table = pa.table(arrays, names=list(columns))
    sink = io.BytesIO()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, quoting_style="needed"))
    written = sink.getvalue()
    return None if b"\n\\." in written else written


def _number(lock: str) -> int:
    """The 64 bits by which PostgreSQL knows the lock."""
    return int.from_bytes(hashlib.sha256(f"dropslot {lock}".encode()).digest()[:8], "big", signed=True)


def _choose_format(
    _conn: Connection, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
) -> None:
    """Have the values of a query with the execution option `binary` as they are, where bytes would take twice as many
    as text."""
    if context is not None and context.execution_options.get("binary"):
        cursor.format = 1  # psycopg.pq.Format.BINARY, which is not imported where only SQLite is used


def _connect(dialect: Dialect, _record: Any, args: list[Any], options: dict[str, Any]) -> Any:
    """Connect, and look whether the server is one that we can work with. Raises UnfitDatabaseError."""
    connection: Any = dialect.connect(*args, **options)
    major = connection.info.server_version // 10_000
    encoding = connection.info.parameter_status("server_encoding")
    if major >= OLDEST and encoding == "UTF8":
        return connection
    connection.close()
    if major < OLDEST:
        raise UnfitDatabaseError(
            f"The database server is PostgreSQL {major}, and dropslot needs {OLDEST} or newer.", "Upgrade the server."
        )
    raise UnfitDatabaseError(
        f"The database's encoding is {encoding}, and dropslot needs UTF8.",
        "Make another one: createdb -T template0 -E UTF8 -l C NAME",
    )
