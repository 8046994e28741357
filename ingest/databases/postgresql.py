"""PostgreSQL: many writers at a time, each behind the lock of what it changes.

A transaction runs at READ COMMITTED and takes an advisory lock first; so each of its statements sees all that holders
of the same lock have done before. Merges of two agencies do not wait for each other. A reader sees one moment of the
database (REPEATABLE READ), as on SQLite.

Rows are loaded by COPY. The merge is an UPDATE of what differs and an INSERT of what is missing: ON CONFLICT would
write to every row that it finds unchanged, and use up an id for it. What cannot be there yet is not looked for. What a
row was before its update comes from a second look at the table, for a statement sees the table as it was when it began.
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
_PACK_FAST = text(
    "SELECT set_config(name, 'lz4', false) FROM pg_settings "
    "WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
)  # not every server has it; a skip index can hardly be packed, and the usual way takes long to find that out
_HOLD = text(
    "SELECT set_config('idle_in_transaction_session_timeout', '5min', true), pg_advisory_xact_lock(:key)"
)  # whoever hangs while it holds a lock loses it


class PostgreSQL:
    """`Backend` for a server of version `OLDEST` or newer."""

    is_embedded = False
    key = "BIGINT PRIMARY KEY"
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

    def prepare_stage(self, conn: Connection) -> None:
        """See `Backend`. A big file's merge may take longer than other statements."""
        memory = f"{STAGE_MEMORY}MB"
        settings = {"temp_buffers": memory, "work_mem": memory, "default_statistics_target": "10"}
        settings |= {"statement_timeout": "0", "random_page_cost": "1.1"}  # a small file reads no big table whole
        every = ", ".join(f"set_config('{name}', :{name}, false)" for name in settings)
        conn.execute(text(f"SELECT {every}"), settings)
        conn.execute(_PACK_FAST)
        conn.commit()

    def fill(self, conn: Connection, fill: Fill, data: Sequence[Sequence[object]]) -> None:
        """See `Backend`. The first rows go straight in; later ones by way of a table beside it."""
        if not fill.key or conn.exec_driver_sql(f"SELECT NOT EXISTS (SELECT FROM {fill.table})").scalar_one():
            _copy(conn, fill.table, fill.columns, data)
            return
        beside, columns = f"{fill.table}_more", ", ".join(fill.columns)
        then = f"UPDATE SET {', '.join(fill.changes)}" if fill.changes else "NOTHING"
        conn.exec_driver_sql(f"CREATE TEMPORARY TABLE {beside} (LIKE {fill.table})")
        _copy(conn, beside, fill.columns, data)
        conn.exec_driver_sql(
            f"INSERT INTO {fill.table} ({columns}) SELECT {columns} FROM {beside} ON CONFLICT ({fill.key}) DO {then}"
        )
        conn.exec_driver_sql(f"DROP TABLE {beside}")

    def survey(self, conn: Connection, tables: Sequence[str]) -> None:
        """See `Backend`. No autovacuum ever sees a temporary table."""
        conn.exec_driver_sql(f"ANALYZE {', '.join(tables)}")

    def pack(self, pairs: str) -> str:
        """See `Backend`. A jsonb is written in one way only."""
        return f"nullif(CAST(jsonb_strip_nulls(jsonb_build_object({pairs})) AS TEXT), '{{}}')"

    def newest(self, conn: Connection, table: str) -> int:
        """See `Backend`. Others draw numbers as well, and those who draw later get higher ones."""
        last = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(:table, 'id')), 0)"
        return int(conn.execute(text(last), {"table": table}).scalar_one())

    def merge(self, conn: Connection, merge: Merge, names: Mapping[str, Any]) -> tuple[int, int]:
        """See `Backend`."""
        changes = merge.kept or merge.moved or merge.laid
        updated = conn.execute(text(_update(merge)), dict(names)).rowcount if changes else 0
        created = conn.execute(text(_insert(merge)), dict(names)).rowcount
        return created, updated

    def find(self, stage: str, table: str, natural: str) -> str:
        """See `Backend`."""
        return (
            f"UPDATE {stage} s SET id = t.id FROM {table} t WHERE t.agency_id = :agency AND t.{natural} = s.{natural}"
        )


def _update(merge: Merge) -> str:
    values = {c: merge.emptied(c, f"coalesce(s.{c}, t.{c})") for c in merge.kept}
    moving = {c: merge.moving(c, "s", "t") for c in merge.moved}
    changes = [f"{c} = {value}" for c, value in {**values, **moving}.items()]
    changes += [f"{c} = {_laid_over(merge, c)}" for c in merge.laid]
    if merge.mark:
        differs = [f"{value} IS DISTINCT FROM t.{c}" for c, value in values.items()]
    else:
        differs = [_differs(c, c in merge.numbers) for c in merge.kept]
    differs += [f"{value} IS DISTINCT FROM t.{c}" for c, value in moving.items()]
    differs += [f"coalesce({_laid_over(merge, c)}, '') <> coalesce(t.{c}, '')" for c in merge.laid]
    told = ", ".join(f"o.{c} AS old_{c}, t.{c} AS new_{c}" for c in merge.watched)
    pairs = [f"('{c}', to_jsonb(u.old_{c}), to_jsonb(u.new_{c}))" for c in merge.watched]
    return (
        f"WITH u AS (UPDATE {merge.table} t SET {', '.join(changes)}, updated_upload = s.updated_upload "
        f"FROM ({merge.source}) s ({', '.join(merge.into)}), {merge.table} o "  # `o` is `t` as it was
        f"WHERE {_same(merge)} AND ({' OR '.join(differs)}) AND o.id = t.id RETURNING t.id, {told}) "
        "INSERT INTO changes (upload_id, kind, record_id, before, after) "
        f"SELECT u.new_updated_upload, '{merge.table}', u.id, c.before, c.after FROM u CROSS JOIN LATERAL ("
        "SELECT CAST(jsonb_object_agg(name, old) AS TEXT), CAST(jsonb_object_agg(name, new) AS TEXT) "
        f"FROM (VALUES {', '.join(pairs)}) p (name, old, new) WHERE old IS DISTINCT FROM new) c (before, after) "
        "ORDER BY u.id"
    )


def _differs(column: str, is_number: bool) -> str:
    if is_number:
        return f"(s.{column} IS NOT NULL AND s.{column} IS DISTINCT FROM t.{column})"
    return f"s.{column} <> coalesce(t.{column}, '')"


def _laid_over(merge: Merge, column: str) -> str:
    old, new = (f"CAST(coalesce({name}.{column}, '{{}}') AS jsonb)" for name in ("t", "s"))
    if merge.taken_out:
        new = _with_old(merge.mark, new, old) if column in merge.left else new
        both = f"jsonb_strip_nulls({old} || CAST(CAST(:{merge.taken_out} AS TEXT) AS jsonb) || {new})"
        return f"nullif(CAST({both} AS TEXT), '{{}}')"
    if merge.mark:
        return _without(merge.mark, f"{old} || {new}")
    both = f"{old} || CAST(s.{column} AS jsonb)"
    return f"coalesce(CAST({both} AS TEXT), t.{column})"


def _with_old(mark: str, fields: str, old: str) -> str:
    """The JSON object, but with the old texts (null, if there are none) in place of marks."""
    each = f"CASE WHEN value = '{mark}' THEN {old} -> key ELSE to_jsonb(value) END"
    return f"coalesce((SELECT jsonb_object_agg(key, {each}) FROM jsonb_each_text({fields})), '{{}}')"


def _without(mark: str, fields: str) -> str:
    """The JSON object without the texts that are marks; NULL if it is empty."""
    left = f"SELECT jsonb_object_agg(key, value) FROM jsonb_each_text({fields}) WHERE value <> '{mark}'"
    return f"CAST(({left}) AS TEXT)"


def _insert(merge: Merge) -> str:
    into = ", ".join(merge.into)
    values = {**merge.marked, **{c: _without(merge.mark, f"CAST({c} AS jsonb)") for c in merge.marked_texts}}
    taken = ", ".join(values.get(c, c) for c in merge.into)
    missing = f"NOT EXISTS (SELECT FROM {merge.table} t WHERE {_same(merge)})"
    return (
        f"INSERT INTO {merge.table} ({into}) SELECT {taken} FROM ({merge.source} ORDER BY {merge.order}) s ({into}) "
        f"WHERE {f'{merge.fresh} OR {missing}' if merge.fresh else missing}"
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
