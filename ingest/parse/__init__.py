"""From the bytes of a file to numbered records and their cells; nothing here knows what a cell means.

`tell_dialect` looks at the beginning, `scan` splits the whole file into records once, `read_cells` turns some of them
into columns. The rules are those of RFC 4180, read generously where courts are careless, and never silently: a row
that cannot be split as its neighbours are is reported with its number.
"""

from ingest.parse.cells import Cells, Column, decode, read_cells
from ingest.parse.dialect import Dialect, tell_dialect
from ingest.parse.fields import split_record
from ingest.parse.records import Kind, Records, scan

__all__ = [
    "Cells",
    "Column",
    "Dialect",
    "Kind",
    "Records",
    "decode",
    "read_cells",
    "scan",
    "split_record",
    "tell_dialect",
]
