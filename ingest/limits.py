"""How much of a file is believed: sizes beyond which a file, a record or a cell is answered instead of read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one ingest run.

    Sizes are bytes of the file as it lies on disk; `cell` is characters. `chunk` bounds the memory of the run:
    at most that many rows, of about `chunk_bytes`, are held as cells at a time. The result never depends on `chunk`,
    `chunk_bytes` or `block`.
    """

    file: int = 2 * 1024**3
    record: int = 1024**2
    record_lines: int = 1000
    columns: int = 1000
    cell: int = 8000
    chunk: int = 100_000
    chunk_bytes: int = 32 * 1024**2
    block: int = 8 * 1024**2
