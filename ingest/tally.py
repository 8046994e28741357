"""What was read from a file, added up: the keys of its good rows, which of them to remember, how many were bad."""

from collections import Counter
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


class Tally:
    """Grows with every batch; 57 bytes for each good row."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._known: list[Known] = []
        self._places: list[Ints] = []
        self._clean: list[NDArray[np.bool_]] = []
        self.error_rows = self.warning_rows = 0
        self.codes: Counter[str] = Counter()

    def add(self, batch: Batch) -> None:
        """Add a batch's rows and errors."""
        hashes = self._records.hash[batch.index]
        self._known.append(Known(hashes, batch.client, batch.case, batch.event, batch.phone, batch.email))
        self._places.append(batch.index)
        self._clean.append(batch.clean)
        self._count(batch.errors)

    def _count(self, errors: tuple[RowError, ...]) -> None:
        refused = {error.row for error in errors if error.severity == "error"}
        self.error_rows += len(refused)
        self.warning_rows += len({error.row for error in errors} - refused)
        self.codes.update(error.code for error in errors if error.severity == "error")

    @property
    def good(self) -> Known:
        """All rows without an error."""
        return concatenate(self._known)

    def remembered(self, known: Known, places: Ints) -> Known:
        """What to keep for the next file: rows that were `known` (at `places` of the file) and the good new ones."""
        if not self._known:
            return known
        fresh = self.good
        fresh = replace(fresh, row=np.where(np.concatenate(self._clean), fresh.row, FORGOTTEN))
        both = concatenate([known, fresh])
        order = np.concatenate([places, *self._places])
        if bool((order[1:] > order[:-1]).all()):
            return both
        return both.take(np.argsort(order, kind="stable"))


def count_records(known: Known, fresh: Known, merged: dict[str, tuple[int, int]]) -> dict[str, Counts]:
    """What became of the distinct records that the rows name; `merged` holds created and updated by kind."""
    counts = {}
    for kind, keys in zip(KINDS, _keys_by_kind(known, fresh), strict=True):
        created, updated = merged[kind]
        counts[kind] = Counts(created, updated, count_distinct(*keys) - created - updated)
    return counts


def _keys_by_kind(known: Known, fresh: Known) -> list[list[Keys]]:
    names = {"clients": ["client"], "contacts": ["phone", "email"], "cases": ["case"], "events": ["event"]}
    return [[getattr(rows, name) for rows in (known, fresh) for name in names[kind]] for kind in KINDS]
