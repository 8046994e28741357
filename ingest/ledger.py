"""The rows of a file that were read, in its order, with the keys of their records; outside memory once they are many.

A row of a standard report takes 56 bytes, which for a file of millions of rows would be more than all the rest of a run
takes. They are written once, and read back a block or a column at a time.
"""

from collections.abc import Iterator, Sequence
from tempfile import SpooledTemporaryFile

import numpy as np

from ingest.keys import Keys
from ingest.parse.records import Ints
from ingest.skip import Known, concatenate, nothing

MEMORY = 16 * 1024**2
"""Bytes that are held in memory; beyond them it is a temporary file without a name."""
_WIDTH = 8


class Ledger:
    """Grows block by block, each of rows in the order of the file. To be closed. `names` are those of the keys.

    Its methods raise OSError if the disk is full.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._file = SpooledTemporaryFile(max_size=MEMORY)  # noqa: SIM115 - see `close`
        self._blocks: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return sum(rows for _, rows in self._blocks)

    def close(self) -> None:
        """Let go of the rows."""
        self._file.close()

    def add(self, places: Ints, rows: Known) -> None:
        """Add rows, and each one's place in the file."""
        start = self._file.seek(0, 2)
        self._blocks.append((start, len(rows)))
        for column in (places, rows.row, *rows.keys):
            self._file.write(column.tobytes())

    def together(self, name: str, others: Sequence[Keys]) -> Keys:
        """All keys of that name in one new array, behind the `others`; `party` is not among them."""
        columns = [place for place, own in enumerate(self._names, 2) if own == name]
        keys = np.empty(sum(map(len, others)) + len(columns) * len(self), dtype=np.int64)
        at = 0
        for part in (*others, *(part for column in columns for part in self._parts(column))):
            keys[at : at + len(part)] = part
            at += len(part)
        return keys

    @property
    def places(self) -> Ints:
        """Each row's place in the file."""
        return np.concatenate([np.empty(0, dtype=np.int64), *self._parts(0)])

    def known(self) -> Known:
        """All of it at once."""
        return concatenate(self._names, self.blocks())

    def blocks(self) -> Iterator[Known]:
        """All of it, block by block; at least one."""
        if not self._blocks:
            yield nothing(self._names)
        for start, rows in self._blocks:
            own, *keys = (self._read(start, rows, column) for column in range(1, 2 + len(self._names)))
            yield Known(self._names, own.view(np.uint64), tuple(keys))

    def _parts(self, column: int) -> Iterator[Ints]:
        return (self._read(start, rows, column) for start, rows in self._blocks)

    def _read(self, start: int, rows: int, column: int) -> Ints:
        self._file.seek(start + column * rows * _WIDTH)
        return np.frombuffer(self._file.read(rows * _WIDTH), dtype=np.int64)
