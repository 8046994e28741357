"""Temporary tables that hold what a file says, one row per record, before anything real is touched.

They belong to the connection, so filling them locks nobody out. Rows of one record are folded into one: the last
value that is not empty counts, column by column, which is what applying the rows one after the other would give. In a
snapshot, an empty cell says more than one that cannot be read (`UNSAID`), and less than any other.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection

from ingest.answer import EXCLUDED_LISTED, RowError
from ingest.check import Refused, Said
from ingest.databases import Fill, backend_of
from ingest.identity import natural_fields
from ingest.keys import Keys
from ingest.merge import statements
from ingest.merge.carrier import Carrier
from ingest.merge.manner import Manner
from ingest.natural import natural_texts
from ingest.parse import Column
from ingest.record import (
    CASES,
    CLEARED,
    CLIENTS,
    CONTACT_COLUMNS,
    CONTACTS,
    CUSTOM,
    CUSTOM_KINDS,
    EVENTS,
    PARTIES,
    PAYMENTS,
    UNSAID,
    Entity,
    split_custom,
)
from ingest.skip import is_in
from ingest.template import Template, split_party

Ints = NDArray[np.int64]
MOST_UNREAD = 1 << 20
MANY = 10_000
"""Rows on whose way to another process it is worth while to do something else."""


class Stage:
    """The temporary tables of one run, on a connection that is the run's own: they are gone when it is closed.

    `told` are the fields that the file may fill, further parties' with their number; `fields` are the same, whoever's
    they are. If the `template` `clears`, a staged text may be `CLEARED`; if it replaces, it may be `UNSAID` in the
    columns `unsaid`, by table. If the stage `wipes`, times of hearings may be `CLEARED`.
    """

    def __init__(self, conn: Connection, told: Iterable[str], zone: str, template: Template) -> None:
        self.conn, self.zone, self.match, self.clears = conn, zone, template.match, template.clears
        self.told = frozenset(told)
        self.fields = fields = frozenset(split_party(name)[1] for name in self.told)
        self.columns = {entity.table: filled(entity, fields) for entity in (CLIENTS, CASES, PARTIES, EVENTS, PAYMENTS)}
        self.custom = {entity.table: filled_custom(entity, fields) for entity in CUSTOM_KINDS.values()}
        self.about = [name for name in CONTACT_COLUMNS if any(f"{field}_{name}" in fields for field in CONTACTS)]
        self.errors = self.excluded = self.unread = 0
        self.unsaid: dict[str, set[str]] = {}
        self.wipes = False
        self._whole, self._filled = template.processing.replaces, Counter[str]()
        self._backend, self._carrier = backend_of(conn), Carrier()
        staged = {table: [*columns, *self.custom.get(table, ())] for table, columns in self.columns.items()}
        created = statements.create_stage(staged | {"contacts": self.about}, self._backend.key, self._whole)
        self._backend.prepare_stage(conn, created)

    def add(self, said: Said, dirty: Mapping[str, Keys] | None = None) -> None:
        """Stage the records that rows speak of, those of which there are most first: they take longest on their way.

        With `dirty` (sorted keys by client, case, party, event), other records are only named, so that dirty ones can
        refer to them: not all of their rows are here.
        """
        self._add_events(said, dirty)
        self._add_payments(said, dirty)
        self._add_contacts(said, dirty)
        self._add_parties(said, dirty)
        self._add_parents(said.client, CLIENTS, said, dirty)
        self._add_parents(said.case, CASES, said, dirty)

    def add_errors(self, errors: Sequence[RowError], excluded: Sequence[RowError] = ()) -> None:
        """Stage row errors, in the order in which they are to be listed, and rows that are left out as far as these
        are listed. A NUL is kept as U+FFFD."""
        listed = excluded[: max(0, EXCLUDED_LISTED - self.excluded)]
        self.excluded += len(listed)
        errors = sorted([*errors, *listed], key=lambda error: error.row) if listed else errors
        if not errors:
            return
        positions = range(self.errors, self.errors + len(errors))
        names = ("column", "value", "code", "message", "severity", "raw")
        texts = [[str(getattr(error, name)).replace("\0", "\ufffd") for error in errors] for name in names]
        self._fill(statements.stage_errors(), [list(positions), [error.row for error in errors], *texts])
        self.errors += len(errors)

    def spare(self, refused: Refused) -> None:
        """Stage whom the refused rows of a snapshot name, and whose contacts and payments others say badly. Of `unread`
        characters of rows no more than `MOST_UNREAD` are looked through; more of them may speak of anybody."""
        for spared, said, entity in (
            ("clients", refused.said, CLIENTS),
            ("cases", refused.said, CASES),
            ("contacts", refused.contacts, CLIENTS),
            ("payments", refused.payments, CLIENTS),
            ("dues", refused.payments, CASES),
        ):
            keys, combinations = (
                (said.client, self.match.client) if entity is CLIENTS else (said.case, [self.match.case])
            )
            fold = _Fold(keys, None)
            identity = _natural(entity.prefix, combinations, said, fold, self.match.case)
            self._fill(statements.stage_spared(spared), [fold.keys.tolist(), identity])
        self.unread += sum(map(len, refused.unread))
        if self.unread <= MOST_UNREAD:
            self._fill(statements.stage_unread(), [[text.replace("\0", "\ufffd") for text in refused.unread]])

    @property
    def is_searchable(self) -> bool:
        """Whether all rows that could not be read are here to be searched."""
        return self.unread <= MOST_UNREAD

    def holds(self, table: str) -> bool:
        """Whether any record of `table` is staged."""
        return f"stage_{table}" in self._filled

    def manner(self, whole: bool) -> Manner:
        """How what is staged is to be taken, by a snapshot if it is `whole`."""
        return Manner(whole, self.clears, "event.time" in self.fields, self.wipes, self.unsaid)

    def close(self) -> None:
        """Nobody uses the connection any more when this returns, so that it can be closed."""
        self._carrier.close()

    def holds_many(self, table: str) -> bool:
        """Whether so many rows of `table` are staged that looking for each by itself takes longer than a join."""
        return self._filled[f"stage_{table}"] > 2 * MANY

    def finish(self) -> None:
        """All is staged: end the transaction in which it was."""
        self._carrier.arrive()
        self._backend.survey(self.conn, statements.surveyed(statements.STAGES if self._whole else sorted(self._filled)))
        self.conn.commit()

    def _add_parents(self, keys: Keys, entity: Entity, said: Said, dirty: Mapping[str, Keys] | None) -> None:
        fold = _Fold(keys, None)
        if not len(fold):
            return
        flags = [1] * len(fold) if dirty is None else is_in(fold.keys, dirty[entity.prefix]).astype(int).tolist()
        combinations = self.match.client if entity is CLIENTS else [self.match.case]
        identity = _natural(entity.prefix, combinations, said, fold, self.match.case)
        fill = statements.stage_parent(entity, self._names(entity))
        self._fill(fill, [fold.keys.tolist(), flags, identity, *self._texts(entity, said, fold)])

    def _names(self, entity: Entity) -> list[str]:
        """The staged columns of an entity: its own, and those of its custom fields."""
        return [*self.columns[entity.table], *self.custom.get(entity.table, ())]

    def _texts(self, entity: Entity, said: Said, fold: "_Fold") -> list[list[str | None]]:
        """What they hold."""
        columns, custom = self.columns[entity.table], self.custom.get(entity.table, {})
        texts = [self._last(entity.table, column, said.values.get(field), fold) for column, field in columns.items()]
        return texts + [self._last(entity.table, CUSTOM, said.values.get(field), fold) for field in custom.values()]

    def _last(self, table: str, name: str, column: Column | None, fold: "_Fold") -> list[str | None]:
        """What one of them holds: of each record the last text, or in a snapshot that nothing is said."""
        if not self._whole:
            return fold.last(column) if column else [None] * len(fold)
        if column and UNSAID not in column.values:
            return fold.last(column)
        self.unsaid.setdefault(table, set()).add(name)
        return fold.last_said(column) if column else [UNSAID] * len(fold)

    def _add_parties(self, said: Said, dirty: Mapping[str, Keys] | None) -> None:
        fold = _Fold(said.party, None if dirty is None else dirty["party"])
        parents = fold.take(said.client).tolist(), fold.take(said.case).tolist()
        fill = statements.stage_party(self._names(PARTIES))
        self._fill(fill, [fold.keys.tolist(), *parents, *self._texts(PARTIES, said, fold)])

    def _add_contacts(self, said: Said, dirty: Mapping[str, Keys] | None) -> None:
        """All rows of a contact are rows of its client, so those of dirty clients are all here."""
        columns: list[list[Any]] = [[] for _ in range(5 + len(self.about))]
        for kind, contacts in said.contacts.items():
            fold = _Fold(contacts.key, None)
            if not len(fold):
                continue
            clients, ones = fold.take(contacts.client), [1] * len(fold)
            flags = ones if dirty is None else is_in(clients, dirty["client"]).astype(int).tolist()
            about = [self._last("contacts", name, contacts.about.get(name), fold) for name in self.about]
            kinds, texts = [kind] * len(fold), fold.texts(contacts.value)
            own = [fold.keys.tolist(), flags, clients.tolist(), kinds, texts, *about]
            for column, values in zip(columns, own, strict=True):
                column += values
        self._fill(statements.stage_contact(self.about), columns)

    def _add_events(self, said: Said, dirty: Mapping[str, Keys] | None) -> None:
        fold = _Fold(said.event, None if dirty is None else dirty["event"])
        if not len(fold):
            return
        told, lasting = fold.last_timed(said.values["event.date"], said.values["event.time"])
        when = [fold.texts(said.values[f"event.{name}"], told) for name in ("starts_at", "date", "time")]
        self.wipes |= self.holds(EVENTS.table) or not lasting.all()
        if not lasting.all():
            when[2] = [time if kept else CLEARED for time, kept in zip(when[2], lasting.tolist(), strict=True)]
        parents = fold.take(said.client).tolist(), fold.take(said.case).tolist()
        slots, texts = _natural("event", self.match.event, said, fold, self.match.case), self._texts(EVENTS, said, fold)
        fill = statements.stage_event(self._names(EVENTS))
        self._fill(fill, [fold.keys.tolist(), *parents, slots, *when, [self.zone] * len(fold), *texts])

    def _add_payments(self, said: Said, dirty: Mapping[str, Keys] | None) -> None:
        """All rows of a payment are rows of its client, or if it has none of its case."""
        if said.payment is None:
            return
        keys = said.payment
        if dirty is not None:
            touched = is_in(said.client, dirty["client"]) | ((said.client == 0) & is_in(said.case, dirty["case"]))
            keys = np.where(touched, keys, 0)
        fold = _Fold(keys, None)
        if len(fold):
            parents = fold.take(said.client).tolist(), fold.take(said.case).tolist()
            slots, texts = (
                _natural("payment", self.match.payment, said, fold, self.match.case),
                self._texts(PAYMENTS, said, fold),
            )
            self._fill(statements.stage_payment(self._names(PAYMENTS)), [fold.keys.tolist(), *parents, slots, *texts])

    def _fill(self, fill: Fill, data: Sequence[Sequence[Any]]) -> None:
        if not len(data[0]):
            return
        fill = replace(fill, mark=UNSAID) if self._whole and fill.kept else fill
        work = partial(self._backend.fill, self.conn, fill, data, first=fill.table not in self._filled)
        self._filled[fill.table] += len(data[0])
        if not self._backend.is_embedded and len(data[0]) >= MANY:
            self._carrier.carry(work)
        else:
            self._carrier.arrive()
            work()


def filled(entity: Entity, fields: Iterable[str]) -> dict[str, str]:
    """The columns of the entity that the file fills, and from which field."""
    present = set(fields)
    return {column: field for field, column in entity.fields.items() if field in present}


def filled_custom(entity: Entity, fields: Iterable[str]) -> dict[str, str]:
    """The staged columns of the entity's custom fields, and from which field."""
    own = sorted(field for field in fields if (split_custom(field) or ("",))[0] == entity.prefix)
    return {f"custom_{number}": field for number, field in enumerate(own, 1)}


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

    def texts(self, column: Column, rows: Ints | None = None) -> list[str | None]:
        """The text in the last row of each record, or in the one of `rows`."""
        codes = column.codes[self.latest if rows is None else rows]
        texts: list[str | None] = Column(codes, column.values).texts().tolist()
        return texts

    def last(self, column: Column) -> list[str | None]:
        """The last text of each record that is not empty."""
        codes = column.codes[self.rows]
        full = np.flatnonzero(codes >= 0)
        latest = np.full(len(self.keys), -1, dtype=np.int32)
        latest[self.codes[full]] = codes[full]
        texts: list[str | None] = Column(latest, column.values).texts().tolist()
        return texts

    def last_said(self, column: Column) -> list[str | None]:
        """The last text of each record that is neither empty nor `UNSAID`; `UNSAID` where nothing else is."""
        silent = np.array([*(value == UNSAID for value in column.values), False], dtype=bool)[column.codes]
        said = np.zeros(len(self.keys), dtype=bool)
        said[self.codes[~silent[self.rows]]] = True
        texts = self.last(Column(np.where(silent, -1, column.codes).astype(np.int32), column.values))
        return [text if known else UNSAID for text, known in zip(texts, said.tolist(), strict=True)]

    def last_timed(self, day: Column, time: Column) -> tuple[Ints, NDArray[np.bool_]]:
        """The row that tells the date and time of each record: the last one; but where it tells no time, the last one
        of the same date that does, unless a row between them has another date. And whether no row between forbids to
        keep a time that was told before all of them."""
        if len(self.rows) == len(self.keys):
            return self.latest, np.ones(len(self.keys), dtype=bool)
        days = pd.factorize(np.array(day.values, dtype=object))[0][day.codes]
        moved = np.full(len(self.keys), -1, dtype=np.int64)
        other = days[self.rows] != days[self.latest][self.codes]
        moved[self.codes[other]] = self.rows[other]
        timed = time.filled[self.rows] & (self.rows > moved[self.codes])
        told = self.latest.copy()
        told[self.codes[timed]] = self.rows[timed]
        return told, (moved < 0) | time.filled[told]


def _natural(
    kind: str, combinations: Sequence[tuple[str, ...]], said: Said, fold: _Fold, case: tuple[str, ...]
) -> list[str]:
    """The natural key of each record, as it is kept."""
    fields = (field for field in natural_fields(kind, combinations, case) if field in said.values)
    texts = {field: fold.texts(_without_marks(said.values[field])) for field in fields}
    return natural_texts(kind, combinations, texts, len(fold), case)


def _without_marks(column: Column) -> Column:
    """The column with nothing where nothing is said: a mark tells nobody apart."""
    return (
        column.map(lambda texts: [None if text == UNSAID else text for text in texts])
        if UNSAID in column.values
        else column
    )
