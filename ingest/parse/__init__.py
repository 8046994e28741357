"""From the bytes of a file to numbered records and their cells; nothing here knows what a cell means.

`tell_dialect` looks at the beginning, `scan` splits the whole file into records once, `read_cells` turns some of them
into columns. The rules are those of RFC 4180, read generously where courts are careless, and never silently: a row
that cannot be split as its neighbours are is reported with its number.
"""

from ingest.parse.cells import Cells, Column, cells_of, decode, decode_record, read_cells, show
from ingest.parse.dialect import LOOKED_AT, UNIT, Dialect, answered_by, sheet_dialect, tell_dialect, tell_quoting
from ingest.parse.fields import split_record, split_widths
from ingest.parse.foreign import refuse_foreign
from ingest.parse.records import Kind, Records, scan

__all__ = [
    "LOOKED_AT",
    "UNIT",
    "Cells",
    "Column",
    "Dialect",
    "Kind",
    "Records",
    "answered_by",
    "cells_of",
    "decode",
    "decode_record",
    "read_cells",
    "refuse_foreign",
    "scan",
    "sheet_dialect",
    "show",
    "split_record",
    "split_widths",
    "tell_dialect",
    "tell_quoting",
]
