"""What was read from a file, added up: the keys of its good rows, which of them to remember, how many were bad."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ingest.answer import Counts, RowError
from ingest.check import Batch, Passed
from ingest.check.shared import find_shared
from ingest.ledger import Ledger
from ingest.parse import Records
from ingest.parse.records import Ints
from ingest.record import KINDS
from ingest.skip import FORGOTTEN, Known, concatenate, count_distinct

_SHARED = 10_000
"""References of several people that are counted, about; there may be millions."""
_KEYS = {"clients": "client", "contacts": "contact", "cases": "case", "events": "event", "payments": "payment"}


class Tally:
    """Grows with every batch. To be closed. `names` are those of the keys; `good` rows have no error and are taken.
    `shared` are the references that rows of one batch use for several people, by key."""

    def __init__(self, records: Records, names: tuple[str, ...]) -> None:
        self.repeated = self.unread = Passed()
        self._records, self._names = records, names
        self.rows = Ledger(names)
        self.good = self.error_rows = self.warning_rows = self.excluded = 0
        self.codes: Counter[str] = Counter()
        self.shared: dict[int, str] = {}

    def close(self) -> None:
        """Let go of the rows."""
        self.rows.close()

    def add(self, batch: Batch) -> None:
        """Add a batch's rows and errors."""
        hashes = self._records.hash
        rows = Known(self._names, np.where(batch.clean, hashes[batch.index], FORGOTTEN), tuple(batch.keys))
        self.good += len(batch)
        self.excluded += len(batch.left)
        self.repeated, self.unread = self.repeated + batch.repeated, self.unread + batch.unread
        self._count(batch.errors)
        if len(self.shared) < _SHARED:
            self.shared |= find_shared(batch.said)
        if not len(batch.left):
            self.rows.add(batch.index, rows)
            return
        none = np.zeros(len(batch.left), dtype=np.int64)
        left = Known(self._names, hashes[batch.left], (*[none] * (len(self._names) - 1), -batch.filters))
        places = np.concatenate([batch.index, batch.left])
        order = np.argsort(places)
        self.rows.add(places[order], concatenate(self._names, [rows, left]).take(order))

    def _count(self, errors: tuple[RowError, ...]) -> None:
        refused = {error.row for error in errors if error.severity == "error"}
        self.error_rows += len(refused)
        self.warning_rows += len({error.row for error in errors} - refused)
        self.codes.update(error.code for error in errors if error.severity == "error")

    def remembered(self, known: Known, places: Ints) -> Iterator[Known]:
        """What to keep for the next file, in its order: rows that were `known` (at `places` of the file), the good new
        ones (those with a warning without what tells them), and the new ones that are left out."""
        if not len(known):
            return self.rows.blocks()
        if not len(self.rows):
            return iter([known])
        order = np.argsort(np.concatenate([places, self.rows.places]), kind="stable")
        return iter([concatenate(self._names, [known, self.rows.known()]).take(order)])


def count_records(
    known: Known, fresh: Ledger, merged: dict[str, tuple[int, int]], kinds: Sequence[str]
) -> dict[str, Counts]:
    """What became of the distinct records of `kinds` that the rows name; `merged` holds created and updated by kind."""
    counts = {}
    for kind in (kind for kind in KINDS if kind in kinds):
        created, updated = merged[kind]
        named = count_distinct(fresh.together(_KEYS[kind], known.of(_KEYS[kind])))
        counts[kind] = Counts(created, updated, named - created - updated)
    return counts
