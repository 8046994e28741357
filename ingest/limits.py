"""How much of a file is believed: sizes beyond which a file, a record or a cell is answered instead of read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one ingest run.

    Sizes are bytes of the file as it lies on disk; `cell` is characters. `records` counts empty lines, too, since each
    costs its time; a record costs some 33 bytes of memory until all are read. `chunk` bounds the memory of the run:
    at most that many rows, of about `chunk_bytes`, are held as cells at a time. The result never depends on `chunk`,
    `chunk_bytes` or `block`.

    What an archive or a workbook unfolds to is at most `unpacked` bytes, and beyond `unpacked_freely` at most `ratio`
    times what it is packed; `directory` bounds the list of what is in it. A workbook is read with at most
    `sheet_memory` bytes in `sheet_seconds` of processor time.
    """

    file: int = 2 * 1024**3
    records: int = 10_000_000
    record: int = 1024**2
    record_lines: int = 1000
    columns: int = 1000
    cell: int = 8000
    chunk: int = 100_000
    chunk_bytes: int = 32 * 1024**2
    block: int = 8 * 1024**2
    unpacked: int = 2 * 1024**3
    unpacked_freely: int = 64 * 1024**2
    ratio: int = 200
    directory: int = 4 * 1024**2
    sheet_memory: int = 2 * 1024**3
    sheet_seconds: int = 300
