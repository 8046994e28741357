"""Tables for tests, written in every way that courts write them, and read back by the engine's own reader."""

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import xlsxwriter

from ingest.format import FileFormat
from ingest.limits import Limits
from ingest.outline import open_outline
from ingest.parse import read_cells
from ingest.parse.records import places

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Read:
    """What a file was read as: names of its columns, rows as (line, cells), refused rows as (line, code)."""

    names: list[str]
    rows: list[Row]
    refused: list[tuple[int, str]]
    told: dict[str, Any]
    notes: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()


def read(
    path: Path, form: FileFormat, wanted: Sequence[str] = (), width: int = 2, limits: Limits | None = None
) -> Read:
    """All cells of a file, a chunk of three rows at a time."""
    limits = limits or Limits()
    with open_outline(path, form, wanted, width, limits) as outline:
        columns, rows, refused, raw = len(outline.names), [], [], []
        for begin in range(0, len(outline.rows), 3):
            part = places(outline.rows[begin : begin + 3])
            cells = read_cells(outline.file, outline.records, part, outline.dialect, columns, range(columns))
            texts = [["" if t is None else t for t in cells.columns[i].texts()] for i in range(columns)]
            lines = outline.records.line[cells.index].tolist()
            rows += list(zip(lines, map(list, zip(*texts, strict=True)), strict=True))
            refused += [(int(outline.records.line[index]), code) for index, code in cells.refused]
            raw += [cells.raw(int(index)) for index in part]
        dialect = outline.dialect
        told = {
            "delimiter": dialect.delimiter,
            "encoding": outline.records.encoding,
            "quoting": dialect.quoting,
            "sheet": outline.sheet.name if outline.sheet else None,
        }
        return Read(list(outline.names), rows, refused, told, outline.notes, tuple(raw))


def as_csv(table: Sequence[Sequence[str]], delimiter: str, ending: str, quoting: Any) -> tuple[str, list[int]]:
    """The table as the csv module writes it, and the line on which each row begins."""
    out, lines = io.StringIO(), []
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    for row in table:
        lines.append(out.getvalue().count(ending[-1]) + 1)
        writer.writerow(row)
    return out.getvalue(), lines


def as_fixed(table: Sequence[Sequence[str]], widths: Sequence[int], ending: str, trimmed: bool) -> str:
    """The table in fixed width; `trimmed` leaves away the spaces at the ends of lines."""
    lines = ("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "".join((line.rstrip(" ") if trimmed else line) + ending for line in lines)


def as_xlsx(path: Path, sheets: dict[str, Sequence[Sequence[Any]]], shared: bool = False) -> None:
    """A workbook; cells of None are not written at all. Texts are `shared`, as Excel writes them, or in their cells."""
    (_with_shared_texts if shared else _with_texts_in_cells)(path, sheets)


def _with_texts_in_cells(path: Path, sheets: dict[str, Sequence[Sequence[Any]]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for i, row in enumerate(rows, 1):
            for j, value in enumerate(row, 1):
                if value is not None:
                    cell = sheet.cell(i, j)
                    cell.value = value
                    if isinstance(value, str):
                        cell.data_type = "s"  # a text, whatever it looks like
    book.save(path)


def _with_shared_texts(path: Path, sheets: dict[str, Sequence[Sequence[Any]]]) -> None:
    with xlsxwriter.Workbook(str(path)) as book:
        forms = {datetime: "yyyy-mm-dd hh:mm:ss", date: "m/d/yyyy", time: "h:mm AM/PM"}
        looks = {kind: book.add_format({"num_format": form}) for kind, form in forms.items()}
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for i, row in enumerate(rows):
                for j, value in enumerate(row):
                    if isinstance(value, str):
                        sheet.write_string(i, j, value)
                    elif type(value) in looks:
                        sheet.write_datetime(i, j, value, looks[type(value)])
                    elif value is not None:
                        sheet.write(i, j, value)


def packed(content: bytes, how: str, name: str = "report.txt") -> bytes:
    """The content in an archive, or as it is."""
    if how == "gz":
        return gzip.compress(content, mtime=0)
    if how == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return out.getvalue()
    return content
