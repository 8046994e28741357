"""A sheet of an Excel workbook (XLSX, XLSM), written down as records that `ingest.parse` reads like any other text.

The workbook is read by a process of its own, which may have so much memory and no more: a few kilobytes can be made to
unfold, or one cell far to the right to stretch its sheet, beyond what any machine holds.
"""

from ingest.workbook.merged import fill_down
from ingest.workbook.parts import encrypted
from ingest.workbook.reader import Sheet, read_workbook

__all__ = ["Sheet", "encrypted", "fill_down", "read_workbook"]
