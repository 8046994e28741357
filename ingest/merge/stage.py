"""Temporary tables that hold what a file says, one row per record, before anything real is touched.

They belong to the connection, so filling them locks nobody out. Rows of one record are folded into one: the last
value that is not empty counts, column by column, which is what applying the rows one after the other would give.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection

from ingest.answer import RowError
from ingest.check import Batch
from ingest.databases import Fill, backend_of
from ingest.keys import Keys
from ingest.merge import statements
from ingest.parse import Column
from ingest.record import CASES, CLIENTS, EVENTS, PARTIES, Entity
from ingest.skip import is_in

Ints = NDArray[np.int64]
LONGEST_KEY = 500
"""Characters; an entry of PostgreSQL's index has at most 2704 bytes."""


class Stage:
    """The temporary tables of one run, on a connection that is the run's own: they are gone when it is closed.

    `fields` are those that the file fills (mapped columns and constants).
    """

    def __init__(self, conn: Connection, fields: Iterable[str], zone: str) -> None:
        self.conn, self.zone = conn, zone
        self.columns = {entity.table: filled(entity, fields) for entity in (CLIENTS, CASES, PARTIES, EVENTS)}
        self.errors = 0
        self._backend = backend_of(conn)
        self._backend.prepare_stage(conn)
        columns = {table: list(names) for table, names in self.columns.items()}
        for sql in statements.create_stage(columns, self._backend.key):
            conn.exec_driver_sql(sql)

    def add(self, batch: Batch, dirty: Mapping[str, Keys] | None = None) -> None:
        """Stage the records that a batch speaks of.

        With `dirty` (sorted keys by client, case, party, event), other records are only named, so that dirty ones can
        refer to them: the batch does not hold all of their rows.
        """
        self._add_parents(batch, "client", CLIENTS, dirty)
        self._add_parents(batch, "case", CASES, dirty)
        self._add_parties(batch, dirty)
        self._add_contacts(batch)
        self._add_events(batch, dirty)

    def add_errors(self, errors: Sequence[RowError]) -> None:
        """Stage row errors, in the order in which they are to be listed. A NUL is kept as U+FFFD."""
        if not errors:
            return
        positions = range(self.errors, self.errors + len(errors))
        names = ("column", "value", "code", "message", "severity", "raw")
        texts = [[str(getattr(error, name)).replace("\0", "\ufffd") for error in errors] for name in names]
        self._fill(statements.stage_errors(), [list(positions), [error.row for error in errors], *texts])
        self.errors += len(errors)

    def close(self) -> None:
        """All is staged: end the transaction in which it was."""
        self._backend.survey(self.conn, statements.STAGES)
        self.conn.commit()

    def _add_parents(self, batch: Batch, name: str, entity: Entity, dirty: Mapping[str, Keys] | None) -> None:
        fold = _Fold(getattr(batch, name), None)
        if not len(fold):
            return
        flags = [1] * len(fold) if dirty is None else is_in(fold.keys, dirty[name]).astype(int).tolist()
        identity = _identities(batch, fold) if entity is CLIENTS else fold.texts(batch.values["case.number"])
        columns = [fold.last(batch.values[field]) for field in self.columns[entity.table].values()]
        fill = statements.stage_parent(entity, list(self.columns[entity.table]))
        self._fill(fill, [fold.keys.tolist(), flags, identity, *columns])

    def _add_parties(self, batch: Batch, dirty: Mapping[str, Keys] | None) -> None:
        fold = _Fold(batch.party, None if dirty is None else dirty["party"])
        columns = [fold.last(batch.values[field]) for field in self.columns[PARTIES.table].values()]
        parents = fold.take(batch.client).tolist(), fold.take(batch.case).tolist()
        self._fill(statements.stage_party(list(self.columns[PARTIES.table])), [fold.keys.tolist(), *parents, *columns])

    def _add_contacts(self, batch: Batch) -> None:
        columns: list[list[Any]] = [[], [], [], []]
        for kind in ("phone", "email"):
            fold = _Fold(getattr(batch, kind), None)
            if len(fold):
                clients, texts = fold.take(batch.client).tolist(), fold.texts(batch.values[f"contact.{kind}"])
                for column, values in zip(
                    columns, (fold.keys.tolist(), clients, [kind] * len(fold), texts), strict=True
                ):
                    column += values
        self._fill(statements.stage_contact(), columns)

    def _add_events(self, batch: Batch, dirty: Mapping[str, Keys] | None) -> None:
        fold = _Fold(batch.event, None if dirty is None else dirty["event"])
        if not len(fold):
            return
        when = [fold.texts(batch.values[f"event.{name}"]) for name in ("starts_at", "date", "time")]
        columns = [fold.last(batch.values[field]) for field in self.columns[EVENTS.table].values()]
        parents = fold.take(batch.client).tolist(), fold.take(batch.case).tolist()
        slots = _slots(batch, fold, when[1], when[2])
        fill = statements.stage_event(list(self.columns[EVENTS.table]))
        self._fill(fill, [fold.keys.tolist(), *parents, slots, *when, [self.zone] * len(fold), *columns])

    def _fill(self, fill: Fill, data: Sequence[Sequence[Any]]) -> None:
        if len(data[0]):
            self._backend.fill(self.conn, fill, data)


def filled(entity: Entity, fields: Iterable[str]) -> dict[str, str]:
    """The columns of the entity that the file fills, and from which field."""
    present = set(fields)
    return {column: field for field, column in entity.fields.items() if field in present}


class _Fold:
    """Rows of one chunk folded by key: `keys` are sorted, so that they are inserted in their order."""

    def __init__(self, keys: Keys, among: Keys | None) -> None:
        self.rows = np.flatnonzero(keys != 0 if among is None else is_in(keys, among) & (keys != 0))
        codes, distinct = pd.factorize(keys[self.rows])
        order = np.argsort(distinct)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        self.codes: Ints = place[codes]
        self.keys: Keys = np.asarray(distinct[order], dtype=np.int64)
        self.latest = np.zeros(len(order), dtype=np.int64)
        self.latest[self.codes] = self.rows  # of several rows the last one stays

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, values: NDArray[Any]) -> NDArray[Any]:
        """The value in the last row of each record."""
        return values[self.latest]

    def texts(self, column: Column) -> list[str | None]:
        """The text in the last row of each record."""
        texts: list[str | None] = Column(self.take(column.codes), column.values).texts().tolist()
        return texts

    def last(self, column: Column) -> list[str | None]:
        """The last text of each record that is not empty."""
        codes = column.codes[self.rows]
        full = np.flatnonzero(codes >= 0)
        latest = np.full(len(self.keys), -1, dtype=np.int32)
        latest[self.codes[full]] = codes[full]
        texts: list[str | None] = Column(latest, column.values).texts().tolist()
        return texts


def _identities(batch: Batch, fold: _Fold) -> list[str]:
    """The natural key of each client, as it is kept: `#` and the reference, or the whole name and the case number.

    No tidied text holds the separator, so no two natural keys are written alike.
    """
    nothing: list[str | None] = [None] * len(fold)

    def texts(field: str) -> list[str | None]:
        return fold.texts(batch.values[field]) if field in batch.values else nothing

    parts = ("last_name", "first_name", "middle_name", "suffix")
    names = zip(*(texts(f"client.{part}") for part in parts), strict=True)
    return [
        _bounded(f"#{reference}" if reference else f"{_named(*name)}\x1f{number}")
        for reference, name, number in zip(texts("client.reference"), names, texts("case.number"), strict=True)
    ]


def _bounded(key: str) -> str:
    """The natural key itself; its beginning and its SHA-256 if it is longer than PostgreSQL's indexes may hold."""
    if len(key) <= LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{key[: LONGEST_KEY - len(digest) - 1]}\x1f{digest}"


def _named(last: str | None, first: str | None, middle: str | None, suffix: str | None) -> str:
    parts = (last, first, middle, suffix) if middle or suffix else (last, first)
    return "\x1f".join((part or "").casefold() for part in parts)


def _slots(batch: Batch, fold: _Fold, days: list[str | None], times: list[str | None]) -> list[str]:
    """What makes an event itself among those of its client and case: `#reference`, or date, time and type."""
    nothing: list[str | None] = [None] * len(fold)
    types = fold.texts(batch.values["event.type"]) if "event.type" in batch.values else nothing
    references = fold.texts(batch.values["event.reference"]) if "event.reference" in batch.values else nothing
    return [
        _bounded(f"#{reference}" if reference else f"{day}{f'T{time}' if time else ''}{f'|{kind}' if kind else ''}")
        for reference, day, time, kind in zip(references, days, times, types, strict=True)
    ]
