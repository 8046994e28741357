"""What a template's last processed file held, so that rows which have not changed need not be processed again.

Skipping must give exactly the database that processing every row would give, although the last row of a record wins and
an empty cell leaves what an earlier row said, or empties it. So not the row but the record decides: for each client,
case, party and event the sequence of its rows in this file is compared with the one in the file before. Where a row is
new, gone, or has changed places with another row of the same record, the record is dirty, and all its rows are
processed again, in file order. A clean record is what it was: nobody else touched it, or the index would have been
dropped.

Kept in file order, for every row of the last file that was taken: its fingerprint and the keys of its records
(`ingest.keys`), 48 bytes in a standard report; of a row that a filter left out only the filter's number. Of a row with
a warning only the keys are kept, so that it is answered every time, and its records count as dirty, for it may be gone;
a row with an error has said nothing. The index is stamped with everything that the meaning of a row depends on
(template version, engine, dialect, header, zone); another stamp makes it worthless. Whoever changes records by other
means must call `forget`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select, update

from ingest.index import forget
from ingest.keys import Keys, Seed, combine, where
from ingest.tables import skip_index

PART = 100_000  # rows in one database value, so that saving needs no second copy of everything
WORTHWHILE = 0.5  # if fewer rows than this are known, finding the dirty ones costs more than it saves
FORGOTTEN = np.uint64(0)
FEW = 1 << 18
"""Rows of which a hash table is quicker than sorting them, and takes no memory to speak of."""
_SIEVE = 22  # bits, so that a sieve has no more than 4 MiB
TRACKED = ("client", "case", "party", "event")
"""The records whose rows overwrite each other; contacts are only ever added."""


@dataclass(frozen=True)
class Known:
    """Rows and the keys of their records, in file order; a key of 0 is none, a row of 0 is like no other.

    `names` tells what each of the `keys` is (`ingest.check.key_names`). A `mark` above 0 is the first day, as an
    ordinal, on which the row is to be read again; one below 0 is a row that the filter of that number has left out.
    """

    names: tuple[str, ...]
    row: NDArray[np.uint64]
    keys: tuple[Keys, ...]

    def __len__(self) -> int:
        return len(self.row)

    def of(self, name: str) -> list[Keys]:
        """All keys of that name; `party` are those of client and case together."""
        if name != "party":
            return [keys for own, keys in zip(self.names, self.keys, strict=True) if own == name]
        [case] = self.of("case")
        parties = []
        for client in self.of("client"):
            both = (client != 0) & (case != 0)
            parties.append(where(both, combine(Seed.PARTY, client.view(np.uint64), case.view(np.uint64))))
        return parties

    @property
    def mark(self) -> Keys:
        """What filters make of each row."""
        marks = self.of("mark")
        return marks[0] if marks else np.zeros(len(self), dtype=np.int64)

    def equals(self, other: "Known") -> bool:
        """Whether these are the same rows."""
        pairs = zip((self.row, *self.keys), (other.row, *other.keys), strict=True)
        return self.names == other.names and all(np.array_equal(own, its) for own, its in pairs)

    def take(self, places: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Known":
        """Some of the rows."""
        return Known(self.names, self.row[places], tuple(keys[places] for keys in self.keys))


@dataclass(frozen=True)
class SkipIndex:
    """The rows that `upload_id` left behind."""

    upload_id: str
    known: Known


def stamp(*parts: object) -> str:
    """One text for everything that the meaning of a row depends on."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def load_index(
    conn: Connection, agency_id: str, template: str, stamped: str, names: tuple[str, ...]
) -> SkipIndex | None:
    """The template's index, or None if there is none or it was made under other circumstances."""
    table = skip_index
    query = select(table.c.stamp, table.c.upload_id, table.c.rows, table.c.data).where(
        table.c.agency_id == agency_id, table.c.template == template
    )
    parts = conn.execute(query.order_by(table.c.part).execution_options(binary=True)).all()
    if not parts or any(part.stamp != stamped for part in parts):
        return None
    arrays = [np.frombuffer(part.data, dtype=np.int64).reshape(1 + len(names), part.rows) for part in parts]
    columns = [np.concatenate([array[i] for array in arrays]) for i in range(1 + len(names))]
    return SkipIndex(parts[0].upload_id, Known(names, columns[0].view(np.uint64), tuple(columns[1:])))


def save_index(
    conn: Connection,
    agency_id: str,
    template: str,
    stamped: str,
    upload_id: str,
    rows: Iterable[Known],
    before: SkipIndex | None = None,
) -> None:
    """Keep the `rows` that the upload leaves behind in place of those of `before`, an index of the same stamp.

    Where nothing has changed, all that is written is whose they are.
    """
    blocks = iter(rows)
    first = list(islice(blocks, 2))
    if before is not None and len(first) == 1 and first[0].equals(before.known):
        own = (skip_index.c.agency_id == agency_id, skip_index.c.template == template)
        conn.execute(update(skip_index).where(*own).values(upload_id=upload_id))
        return
    forget(conn, agency_id, [template])
    rows = chain(first, blocks)
    pieces = (block.take(slice(at, at + PART)) for block in rows for at in range(0, max(len(block), 1), PART))
    for part, piece in enumerate(pieces):
        conn.execute(
            insert(skip_index).values(
                agency_id=agency_id,
                template=template,
                part=part,
                stamp=stamped,
                upload_id=upload_id,
                rows=len(piece),
                data=b"".join(column.tobytes() for column in (piece.row, *piece.keys)),
            )
        )


def recall(known: Known, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each row of the new file its place in the old one, or -1. The k-th of several equal rows is the k-th."""
    if max(len(known), len(hashes)) > FEW:
        return _recall_sorted(known.row, hashes)
    codes, distinct = pd.factorize(np.concatenate([known.row, hashes]))
    old, new = codes[: len(known)], codes[len(known) :]
    place = np.full(len(distinct), -1, dtype=np.int64)
    place[old] = np.arange(len(old))
    place[distinct == FORGOTTEN] = -1
    places = place[new]
    often = (np.bincount(old, minlength=len(distinct)) > 1) | (np.bincount(new, minlength=len(distinct)) > 1)
    before, now = np.flatnonzero(often[old]), np.flatnonzero(often[new])
    places[now] = np.append(before, -1)[_recall_sorted(known.row[before], hashes[now])]
    return places


def _recall_sorted(rows: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """As `recall`, with less memory, and about twice as slow where rows are few."""
    old_order, new_order = _sorted(rows), _sorted(hashes)
    old, new = rows[old_order], hashes[new_order]
    candidate = np.searchsorted(old, new, side="left") + _ranks(new)
    inside = candidate < len(old)
    found = np.zeros(len(new), dtype=bool)
    found[inside] = (old[candidate[inside]] == new[inside]) & (new[inside] != FORGOTTEN)
    places = np.full(len(new), -1, dtype=np.int64)
    places[new_order[found]] = old_order[candidate[found]]
    return places


def _ranks(placed: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Of each of the sorted hashes, how many like it stand before it."""
    places = np.arange(len(placed))
    first = np.append(True, placed[1:] != placed[:-1])[: len(placed)]
    return places - np.maximum.accumulate(np.where(first, places, 0))


def _sorted(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The places of the hashes in their order, equal ones as they come: what a stable sort gives, which takes several
    times as long where nearly all of them differ."""
    order = np.argsort(hashes)
    placed = hashes[order]
    same = placed[1:] == placed[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    order[tied] = order[tied][np.lexsort((order[tied], placed[tied]))]
    return order


def find_dirty(known: Known, places: NDArray[np.int64], fresh: Known) -> dict[str, Keys]:
    """The keys, sorted, of the records whose rows are not the same sequence as in the file before.

    `places` are those of the recalled rows in the order of the new file; `fresh` are the rows that are new.
    """
    gone = np.ones(len(known), dtype=bool)
    gone[places] = False
    early, late = _displaced(places)
    dirty = {}
    for name in TRACKED:
        old = known.of(name)
        parts = [*(keys[gone] for keys in old), *fresh.of(name)]
        if late.any():
            parts.append(_reordered(old, places, early, late))
        dirty[name] = _distinct(np.concatenate(parts))
    return dirty


def _displaced(places: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows that come before one that they came behind, and those that come behind one that they came before."""
    late = places < np.maximum.accumulate(places)
    early = places > np.minimum.accumulate(places[::-1])[::-1]
    return early, late


def _reordered(
    old: Sequence[Keys], places: NDArray[np.int64], early: NDArray[np.bool_], late: NDArray[np.bool_]
) -> Keys:
    """The keys of which two rows have changed places: one of them is `early`, the other `late`."""
    few = early if early.sum() < late.sum() else late
    rows = np.flatnonzero(early | late)
    among = [rows] * len(old)
    if 4 * few.sum() < len(rows):
        chosen = _distinct(np.concatenate([keys[places[few]] for keys in old]))
        among = [rows[is_in(keys[places[rows]], chosen)] for keys in old]
    keys = np.concatenate([keys[places[those]] for keys, those in zip(old, among, strict=True)])
    rows = np.concatenate(among)
    order = np.lexsort((rows, keys)) if len(old) > 1 else np.argsort(keys, kind="stable")
    keys, before = keys[order], places[rows[order]]
    return np.asarray(keys[1:][(keys[1:] == keys[:-1]) & (before[1:] < before[:-1])])


def touches(known: Known, dirty: dict[str, Keys]) -> NDArray[np.bool_]:
    """Which rows speak of a dirty record."""
    touched = np.zeros(len(known), dtype=bool)
    for name in TRACKED:
        for keys in known.of(name):
            touched |= is_in(keys, dirty[name])
    return touched


def is_in(keys: Keys, chosen: Keys) -> NDArray[np.bool_]:
    """Which of `keys` are among the sorted, distinct `chosen`. Most of the others are sieved out by their last bits,
    which takes a tenth of the time of a search."""
    if not len(chosen):
        return np.zeros(len(keys), dtype=bool)
    last = (1 << min(_SIEVE, (8 * len(chosen)).bit_length())) - 1
    sieve = np.zeros(last + 1, dtype=bool)
    sieve[chosen & last] = True
    found = np.asarray(sieve[keys & last])
    maybe = keys[found]
    place = np.minimum(np.searchsorted(chosen, maybe), len(chosen) - 1)
    found[found] = chosen[place] == maybe
    return found


def _distinct(keys: Keys) -> Keys:
    """Sorted, each once, without 0. (np.unique hashes, which is far slower for these.)"""
    keys = np.sort(keys[keys != 0])
    return np.asarray(keys[np.concatenate([np.ones(min(1, len(keys)), dtype=bool), keys[1:] != keys[:-1]])])


def count_distinct(keys: Keys) -> int:
    """How many records these keys name. They are sorted in place if they are many: there may be millions."""
    if len(keys) <= FEW:
        distinct = pd.unique(keys)
        return len(distinct) - int((distinct == 0).any())
    keys.sort()
    starts = np.count_nonzero(keys[1:] != keys[:-1]) + min(1, len(keys))
    none = np.searchsorted(keys, 0, side="right") > np.searchsorted(keys, 0)
    return int(starts) - int(none)


def concatenate(names: tuple[str, ...], parts: Iterable[Known]) -> Known:
    """Several runs of rows as one."""
    every = [nothing(names), *parts]
    columns = zip(*(part.keys for part in every), strict=True)
    return Known(names, np.concatenate([part.row for part in every]), tuple(map(np.concatenate, columns)))


def nothing(names: tuple[str, ...]) -> Known:
    """No rows."""
    return Known(names, np.empty(0, dtype=np.uint64), tuple(np.empty(0, dtype=np.int64) for _ in names))


def read_again(known: Known, places: NDArray[np.int64], today: date) -> NDArray[np.int64]:
    """`places` of recalled rows, without those that a filter may judge otherwise today: their date is past now."""
    marks = np.append(known.mark, 0)[places]
    return np.where((marks > 0) & (marks <= today.toordinal()), -1, places)
