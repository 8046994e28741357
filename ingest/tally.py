"""What was read from a file, added up: the keys of its good rows, which of them to remember, how many were bad."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ingest.answer import Counts, RowError
from ingest.check import Batch
from ingest.keys import Keys
from ingest.parse import Records
from ingest.parse.records import Ints
from ingest.record import KINDS
from ingest.skip import FORGOTTEN, Known, concatenate, count_distinct

_KEYS = {"clients": "client", "contacts": "contact", "cases": "case", "events": "event", "payments": "payment"}


class Tally:
    """Grows with every batch; 57 bytes for each good row of a standard report. `names` are those of the keys."""

    def __init__(self, records: Records, names: tuple[str, ...]) -> None:
        self._records, self._names = records, names
        self._known: list[Known] = []
        self._places: list[Ints] = []
        self._clean: list[NDArray[np.bool_]] = []
        self._left: list[Known] = []
        self._left_places: list[Ints] = []
        self.error_rows = self.warning_rows = self.excluded = 0
        self.codes: Counter[str] = Counter()

    def add(self, batch: Batch) -> None:
        """Add a batch's rows and errors."""
        hashes = self._records.hash[batch.index]
        self._known.append(Known(self._names, hashes, tuple(batch.keys)))
        self._places.append(batch.index)
        self._clean.append(batch.clean)
        self._count(batch.errors)
        if len(batch.left):
            none = np.zeros(len(batch.left), dtype=np.int64)
            keys = (*[none] * (len(self._names) - 1), -batch.filters)
            self._left.append(Known(self._names, self._records.hash[batch.left], keys))
            self._left_places.append(batch.left)
            self.excluded += len(batch.left)

    def _count(self, errors: tuple[RowError, ...]) -> None:
        refused = {error.row for error in errors if error.severity == "error"}
        self.error_rows += len(refused)
        self.warning_rows += len({error.row for error in errors} - refused)
        self.codes.update(error.code for error in errors if error.severity == "error")

    @property
    def good(self) -> Known:
        """All rows without an error."""
        return concatenate(self._names, self._known)

    def remembered(self, known: Known, places: Ints) -> Known:
        """What to keep for the next file: rows that were `known` (at `places` of the file), the good new ones, and the
        new ones that are left out."""
        if not self._known:
            return known
        fresh = self.good
        fresh = replace(fresh, row=np.where(np.concatenate(self._clean), fresh.row, FORGOTTEN))
        both = concatenate(self._names, [known, fresh, *self._left])
        order = np.concatenate([places, *self._places, *self._left_places])
        if bool((order[1:] > order[:-1]).all()):
            return both
        return both.take(np.argsort(order, kind="stable"))


def count_records(
    known: Known, fresh: Known, merged: dict[str, tuple[int, int]], kinds: Sequence[str]
) -> dict[str, Counts]:
    """What became of the distinct records of `kinds` that the rows name; `merged` holds created and updated by kind."""
    counts = {}
    for kind in (kind for kind in KINDS if kind in kinds):
        created, updated = merged[kind]
        named: list[Keys] = [*known.of(_KEYS[kind]), *fresh.of(_KEYS[kind])]
        counts[kind] = Counts(created, updated, count_distinct(*named) - created - updated)
    return counts
