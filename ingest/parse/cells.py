"""Some records of a file as columns, each value once.

A column is dictionary-encoded: the distinct texts, and for each row which of them. Court files repeat themselves, so
whatever is done to a column is done to its distinct texts. Records that are plain go through pyarrow's CSV reader,
which is told the exact number of columns and hands back every record that has another; the number of rows that come
out is compared with the number that went in. The few odd ones are split one by one.
"""

import codecs
import csv as csv_module
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from ingest.parse.dialect import Dialect
from ingest.parse.fields import PADDING, split_record, split_widths
from ingest.parse.records import Ints, Kind, Records

_LONG = "too_many_columns"
_BLANKS = b" \t\r\n\x1a"
_CP1252 = "".join(bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(256))


@dataclass(frozen=True)
class Column:
    """Texts of one column: row i holds `values[codes[i]]`, or nothing where the code is -1.

    `values` need not be distinct after they were normalised; none of them is empty.
    """

    codes: NDArray[np.int32]
    values: tuple[str, ...]

    def map(self, change: Callable[[Sequence[str]], Sequence[str | None]]) -> "Column":
        """The column with its values changed, all at once; None and '' become nothing."""
        changed = change(self.values)
        if all(changed):
            return Column(self.codes, cast(tuple[str, ...], tuple(changed)))
        kept = np.array([bool(value) for value in changed] + [False], dtype=bool)
        numbers = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        return Column(numbers[self.codes], tuple(value for value in changed if value))

    def texts(self) -> NDArray[Any]:
        """The rows as an array of str and None."""
        values = np.empty(len(self.values) + 1, dtype=object)
        values[:-1] = self.values
        return values[self.codes]

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Which rows hold something."""
        return self.codes >= 0


@dataclass(frozen=True)
class Cells:
    """Rows of a file: `index` is their place among the records; `columns` by their place in the file, from 0.

    `refused` names the records that could not be split as they should, with the code of what is wrong; `raw` gives
    any record of this selection as text: as it came, or as CSV where it was no delimited text.
    """

    index: Ints
    columns: Mapping[int, Column]
    refused: tuple[tuple[int, str], ...]
    raw: Callable[[int], str]


def read_cells(
    file: BinaryIO,
    records: Records,
    chosen: Ints,
    dialect: Dialect,
    width: int,
    wanted: Collection[int],
    loose: bool = False,
) -> Cells:
    """The `wanted` columns of the `chosen` records (ascending places) of a file that is `width` columns wide. Where it
    is `loose`, empty cells beyond that are none: spreadsheets make all rows as wide as the widest."""
    kinds = records.kind[chosen]
    plain = chosen[kinds <= Kind.QUOTED]
    raw = _reader(file, records)
    odd = {int(i): _split(raw(int(i)), dialect, records.kind[i]) for i in chosen[kinds > Kind.QUOTED]}
    text = _utf8(_gather(file, records, plain, dialect.newline), records.encoding)
    quoting = bool((kinds == Kind.QUOTED).any())
    if dialect.widths:
        table, lost = _read_fixed(text, len(plain), dialect.widths, wanted)
    else:
        table, lost = _read_plain(text, len(plain), dialect, quoting, width, wanted)
    wide = {i for i, code in lost.items() if code == _LONG} if loose else set[int]()
    odd |= {int(plain[i]): _split(raw(int(plain[i])), dialect, Kind.ODD) for i in sorted(wide)}
    refused = [(int(plain[i]), code) for i, code in lost.items() if i not in wide]
    refused += [(i, cells) for i, cells in odd.items() if isinstance(cells, str)]
    whole = {i: _narrow(cells, width) if loose else cells for i, cells in odd.items() if not isinstance(cells, str)}
    refused += [(i, _misfit(len(cells), width)) for i, cells in whole.items() if len(cells) != width]
    fitting = {i: cells for i, cells in whole.items() if len(cells) == width}
    kept = np.delete(plain, list(lost)) if lost else plain
    index, columns = _together(kept, table, fitting, wanted)
    shown = raw if dialect.shown is dialect else lambda index: show(raw(index), dialect)
    return Cells(index, MappingProxyType(columns), tuple(sorted(_nonblank(refused, raw, dialect))), shown)


def cells_of(raw: str, dialect: Dialect) -> list[str]:
    """The cells of one record."""
    if dialect.widths:
        return split_widths(raw, dialect.widths)
    cells = split_record(raw.encode("utf-8"), dialect.separator, dialect.quoting)
    return [cell.decode("utf-8") for cell in cells]


def show(raw: str, dialect: Dialect) -> str:
    """One record as people are shown it: as `Dialect.shown` says."""
    if dialect.shown is dialect:
        return raw
    out = io.StringIO()
    csv_module.writer(out, lineterminator="").writerow(cells_of(raw, dialect))
    return out.getvalue()


def _reader(file: BinaryIO, records: Records) -> Callable[[int], str]:
    def raw(index: int) -> str:
        file.seek(int(records.start[index]))
        return decode_record(file.read(int(records.end[index] - records.start[index])), records)

    return raw


def decode_record(record: bytes, records: Records) -> str:
    """One of the records as text."""
    if records.guessed:
        try:
            return record.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return decode(record, records.encoding)


def decode(text: bytes, encoding: str) -> str:
    """`text` in a str; what is no UTF-8 becomes U+FFFD, bytes that cp1252 leaves open become the C1 control of the
    same number (as the WHATWG Encoding Standard has it)."""
    if encoding != "cp1252":
        return text.decode(encoding, "replace")
    return codecs.charmap_decode(text, "strict", _CP1252)[0]


def _split(raw: str, dialect: Dialect, kind: int) -> list[str] | str:
    if kind == Kind.NUL:
        return "nul_byte"
    if kind == Kind.UNREADABLE:
        return "bad_encoding"
    if kind == Kind.UNCLOSED:
        return "unclosed_quote"
    if kind == Kind.STRAY:
        return "stray_quote"
    return cells_of(raw, dialect)


def _narrow(cells: list[str], width: int) -> list[str]:
    return cells if any(cells[width:]) else cells[:width]


def _misfit(count: int, width: int) -> str:
    return "too_few_columns" if count < width else _LONG


def _nonblank(refused: list[tuple[int, str]], raw: Callable[[int], str], dialect: Dialect) -> list[tuple[int, str]]:
    """Without the records that hold nothing but delimiters and spaces: those are blank, not wrong."""
    blanks = dialect.delimiter + _BLANKS.decode() + "\ufeff"
    return [(index, code) for index, code in refused if raw(index).strip(blanks)]


def _gather(file: BinaryIO, records: Records, chosen: Ints, newline: bytes) -> bytes:
    """The bytes of the chosen records, of which none holds a line break, on lines of their own."""
    text = _runs(file, records, chosen)
    return text if newline == b"\n" else text.replace(newline, b"\n")


def _runs(file: BinaryIO, records: Records, chosen: Ints) -> bytes:
    """The bytes of the chosen records with their line ends; neighbours are read in one go."""
    if not len(chosen):
        return b""
    breaks = np.flatnonzero(np.diff(records.line[chosen]) != 1)  # of records that are one line each
    heads = records.start[chosen[np.concatenate([[0], breaks + 1])]].tolist()
    tails = records.end[chosen[np.concatenate([breaks, [len(chosen) - 1]])]].tolist()
    base = heads[0]
    file.seek(base)
    if tails[-1] - base <= 2 * sum(tail - head for head, tail in zip(heads, tails, strict=True)) + (1 << 24):
        text = file.read(tails[-1] - base)
        return b"\n".join([text[head - base : tail - base] for head, tail in zip(heads, tails, strict=True)]) + b"\n"
    return b"\n".join([_read(file, head, tail) for head, tail in zip(heads, tails, strict=True)]) + b"\n"


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _utf8(text: bytes, encoding: str) -> bytes:
    return text if encoding == "utf-8" or text.isascii() else decode(text, encoding).encode("utf-8")


def _read_fixed(text: bytes, count: int, widths: Sequence[int], wanted: Collection[int]) -> tuple[Any, dict[int, str]]:
    """The pyarrow table of `count` fixed-width records, and which of them are longer than they should."""
    records = pa.array(text.replace(b"\r\n", b"\n").split(b"\n")[:count], pa.string())
    ends = np.cumsum(widths).tolist()
    beyond = pc.utf8_trim(pc.utf8_slice_codeunits(records, ends[-1]), PADDING)
    lost = dict.fromkeys(np.flatnonzero(pc.not_equal(beyond, "").to_numpy(zero_copy_only=False)).tolist(), _LONG)
    kept = records.filter(pc.equal(beyond, ""))
    columns = {}
    for place in sorted(wanted):
        cells = pc.utf8_slice_codeunits(kept, ends[place] - widths[place], ends[place])
        columns[str(place)] = pa.chunked_array([pc.utf8_trim(cells, " ").dictionary_encode()])
    return pa.table(columns) if count else dict.fromkeys(columns), lost


def _read_plain(
    text: bytes, count: int, dialect: Dialect, quoting: bool, width: int, wanted: Collection[int]
) -> tuple[Any, dict[int, str]]:
    """The pyarrow table of `count` records, and which of them have another number of columns than `width`."""
    lost: dict[int, str] = {}

    def lose(row: Any) -> str:
        lost[row.number - 1] = _misfit(row.actual_columns, row.expected_columns)
        return "skip"

    names = [str(place) for place in range(width)]
    chosen = [str(place) for place in sorted(wanted)]
    if not count:
        return dict.fromkeys(chosen), lost
    table = csv.read_csv(
        pa.BufferReader(text),
        csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
        csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char='"' if quoting else False,
            invalid_row_handler=lose,
            ignore_empty_lines=False,
        ),
        csv.ConvertOptions(
            include_columns=chosen,
            column_types=dict.fromkeys(chosen, pa.dictionary(pa.int32(), pa.string())),
            null_values=[],
            strings_can_be_null=False,
        ),
    )
    if table.num_rows + len(lost) != count:
        raise AssertionError(f"{count} records went in, {table.num_rows} and {len(lost)} came out")
    return table, lost


def _together(
    kept: Ints, table: Any, odd: Mapping[int, list[str]], wanted: Collection[int]
) -> tuple[Ints, dict[int, Column]]:
    """Plain and odd rows in file order."""
    index = np.concatenate([kept, np.fromiter(odd, dtype=np.int64, count=len(odd))])
    order = np.argsort(index, kind="stable") if odd else None
    columns = {}
    for place in wanted:
        column = _column(table[str(place)], len(kept), [cells[place] for cells in odd.values()])
        columns[place] = column if order is None else Column(column.codes[order], column.values)
    return index if order is None else index[order], columns


def _column(chunked: Any, count: int, extra: list[str]) -> Column:
    codes, values = np.empty(0, dtype=np.int32), []
    if count:
        array = chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
        codes, values = np.asarray(array.indices, dtype=np.int32), array.dictionary.to_pylist()
    places, distinct = pd.factorize(np.array([*extra, None], dtype=object))
    return Column(np.concatenate([codes, (places[:-1] + len(values)).astype(np.int32)]), (*values, *distinct))
