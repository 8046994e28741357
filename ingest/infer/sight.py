"""A sample as it is seen without any template: how it is written, its header if it has one, and its columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.infer.contents import Contents, Dated, digits_dated, first_names, look_at
from ingest.infer.names import fields_named
from ingest.infer.written import tell_form
from ingest.limits import Limits
from ingest.outline import Outline, open_outline
from ingest.parse import Column, cells_of, decode, decode_record, read_cells
from ingest.parse.records import Ints, places

_TOP = 30
"""Rows among which a header is looked for."""
_MOST_ROWS = 200_000
_RECOGNISED = 0.55
_SURELY = 3
"""Names that are known, for each cell that is none."""
_SIGN = re.compile(r"[^\w\s]{1,3}|\d{1,4}")
_MOST_SHEETS = 20
_TRAILER = re.compile(r"([A-Za-z]{1,12})([ |,;:^\t~]{1,8})(\d{1,10})\b")


@dataclass(frozen=True)
class Seen:
    """One column of the sample: its place from 0, its header ("" without one), its cells and what they look like.

    `single` is False where another column has the same header: it can be named by its place alone.
    `digits` tells how its numbers are dates, if they are, `names` the share of values that begin with a common first
    name.
    """

    place: int
    header: str
    column: Column
    contents: Contents
    digits: Dated | None
    names: float
    single: bool = True

    @property
    def spec(self) -> str | int:
        """How a template names the column: its header, or its position from 1 on."""
        return self.header if self.header and self.single else self.place + 1


@dataclass(frozen=True)
class Sight:
    """A sample: the `[file]` table that reads it as far as it must be said, its columns, and its rows.

    `told` are sentences about how it is written, by key of `[file]`. `title` rows stand above the header.
    """

    form: FileFormat
    told: dict[str, str]
    columns: tuple[Seen, ...]
    rows: int
    sheets: tuple[str, ...] = ()
    title: int = 0

    @property
    def header(self) -> bool:
        """Whether the sample has a header."""
        return self.form.header


def see_sample(path: Path, limits: Limits) -> Sight:
    """Look at the file at `path`; of a workbook, at the sheet that looks most like a list.

    Raises IngestError for a file that cannot be read as rows and columns at all.
    """
    form = tell_form(path, limits)
    with open_outline(path, form, (), 2, limits) as outline:
        sheets = outline.sheet.sheets if outline.sheet else ()
        if len(sheets) < 2:
            return _see_deep(path, outline, form, limits)
    seen = [_see_sheet(path, sheet, limits) for sheet in sheets[:_MOST_SHEETS]]
    found = [sight for sight in seen if isinstance(sight, Sight)]
    if not found:
        raise next(error for error in seen if isinstance(error, IngestError))
    return max(found, key=_likeness)


def _see_sheet(path: Path, sheet: str, limits: Limits) -> Sight | IngestError:
    form = FileFormat(header=False, sheet=sheet)
    try:
        with open_outline(path, form, (), 2, limits) as outline:
            return _see_deep(path, outline, form, limits)
    except IngestError as error:
        return error


def _see_deep(path: Path, outline: Outline, form: FileFormat, limits: Limits) -> Sight:
    """The sample, with a heading of two rows if there is one: names under names."""
    if len(outline.names) < 2:
        return _see(outline, form)
    _, top = _cells(outline, places(outline.rows[:3]), len(outline.names))
    if len(top) < 3 or form.widths or not (_is_heading(top[0]) and _is_heading(top[1])) or _is_heading(top[2]):
        return _see(outline, form)
    deep = replace(form, header=True, header_rows=2)
    with open_outline(path, deep, (), 2, limits) as inner:
        return _see(inner, deep)


def _is_heading(row: Sequence[str | None]) -> bool:
    """Whether a row holds names of columns, two that are known at least, and no data."""
    texts = _told(row)
    return sum(_is_name(text) for text in texts) >= 2 and _holds_no_data(texts)


def _likeness(sight: Sight) -> tuple[int, int]:
    """How much a sheet looks like a list of hearings: names that are known, then rows."""
    return sum(_is_name(seen.header) for seen in sight.columns), sight.rows


def _see(outline: Outline, form: FileFormat) -> Sight:
    width = len(outline.names)
    if width < 2:
        raise IngestError("one_column", "The sample has one column.", "Take a file with several.")
    if outline.answered:
        raise IngestError("error_file", "The sample is an error file of ours.", "Take the court's own file.")
    names, rows = list(outline.names), places(outline.rows)
    header = form.header
    if not header:
        top = _top(outline, rows[:_TOP])
        fitting = [(place, cells) for place, cells in top if _may_head(cells, width)]
        found = _find_header([[*cells, ""][:width] for _, cells in fitting])
        header = found is not None
        if found is not None:
            place, cells = fitting[found]
            names, rows = [*cells, ""][:width], rows[rows > place]
            _refuse_uneven(outline, rows, len(cells), width)
        elif (other := _known_header([cells for _, cells in top])) is not None:
            raise _uneven(len(top[other][1]), width)
    above = len(outline.rows) - len(rows) - 1 if header and not form.header else 0
    rows, trailer = _without_trailer(outline, rows)
    if not len(rows):
        raise IngestError("header_only", "The sample has a header and no rows.", "Take a file with rows in it.")
    columns = _columns(outline, rows[:_MOST_ROWS], width, names)
    delimited = not outline.dialect.widths and outline.sheet is None
    form = replace(
        form,
        header=header,
        delimiter=(form.delimiter or outline.dialect.delimiter) if delimited else None,
        quoting=outline.dialect.quoting if delimited else True,
        trailer=trailer,
    )
    told = {"encoding": "" if outline.sheet else outline.records.encoding}
    return Sight(form, told, columns, len(rows), outline.sheet.sheets if outline.sheet else (), above)


def _without_trailer(outline: Outline, rows: Ints) -> tuple[Ints, str | None]:
    """The rows without a last line that counts them, and a pattern for such lines."""
    if outline.sheet is not None or len(rows) < 2:
        return rows, None
    last, records = int(rows[-1]), outline.records
    outline.file.seek(int(records.start[last]))
    text = decode(outline.file.read(min(int(records.end[last] - records.start[last]), 200)), records.encoding)
    match = _TRAILER.match(text)
    if not match or int(match[3]) != len(rows) - 1:
        return rows, None
    return rows[:-1], f"{re.escape(match[1])}{re.escape(match[2])}(\\d+)"


def _may_head(cells: Sequence[str], width: int) -> bool:
    """Whether a row is as wide as the file, or has one column less, or one more that has no name."""
    return len(cells) in (width - 1, width) or (len(cells) == width + 1 and not cells[-1].strip())


def _top(outline: Outline, rows: Ints) -> list[tuple[int, list[str]]]:
    """Places and cells of some rows, however wide they are."""
    found = []
    for place in rows.tolist():
        outline.file.seek(int(outline.records.start[place]))
        raw = outline.file.read(int(outline.records.end[place]) - int(outline.records.start[place]))
        found.append((int(place), cells_of(decode_record(raw, outline.records), outline.dialect)))
    return found


def _refuse_uneven(outline: Outline, rows: Ints, count: int, width: int) -> None:
    """Rows may have a delimiter more than the header if nothing stands behind it, and none is a part of some cell."""
    if count >= width:
        return
    _, cells = _cells(outline, rows[:_MOST_ROWS], width)
    inside = outline.dialect.delimiter == ","
    if any(row[-1] or (inside and any((cell or "").startswith(" ") for cell in row)) for row in cells):
        raise _uneven(count, width)


def _uneven(count: int, width: int) -> IngestError:
    return IngestError(
        "uneven_header",
        f"The header has {count:,} columns, and most rows have {width:,}.",
        "Is there a delimiter inside cells that are not in quotes, or does the header lack a name?",
    )


def _cells(outline: Outline, rows: Ints, width: int) -> tuple[Ints, list[list[str | None]]]:
    """Those of some rows that are as wide as the file: their places among the records, and their cells as texts."""
    cells = read_cells(outline.file, outline.records, rows, outline.dialect, width, set(range(width)))
    columns = [cells.columns[place].texts() for place in range(width)]
    return cells.index, [list(each) for each in zip(*columns, strict=True)]


def _columns(outline: Outline, rows: Ints, width: int, names: Sequence[str]) -> tuple[Seen, ...]:
    cells = read_cells(outline.file, outline.records, rows, outline.dialect, width, set(range(width)))
    seen = []
    for place in range(width):
        column, name = cells.columns[place], names[place].strip("\ufeff")
        looks = look_at(column), digits_dated(column), first_names(column)
        seen.append(Seen(place, name, column, *looks, single=list(names).count(names[place]) == 1))
    return tuple(seen)


def _find_header(top: Sequence[Sequence[str | None]]) -> int | None:
    """The row whose cells are names of columns: most of them known ones, or at least none of them data."""
    best = _known_header(top)
    if best is not None:
        return best
    return 0 if top and _stands_apart(top[0], top[1:]) else None


def _known_header(top: Sequence[Sequence[str | None]]) -> int | None:
    best, most = None, 0.0
    for place, row in enumerate(top[:_TOP]):
        texts = _told(row)
        if len(texts) < 2:
            continue
        known = sum(_is_name(text) for text in set(texts))
        if known > most and known >= max(2, len(texts) / 4) and _holds_no_data(texts, _below(top, place)):
            best, most = place, known
    return best


def _told(row: Sequence[str | None]) -> list[str]:
    """The cells of a row that hold something."""
    return [text for text in row if text and text.strip()]


def _below(top: Sequence[Sequence[str | None]], place: int) -> list[str]:
    """The next row that is not blank."""
    return next((told for row in top[place + 1 :] if (told := _told(row))), [])


def _holds_no_data(texts: Sequence[str], below: Sequence[str] | None = None) -> bool:
    """Whether no cell of a row is data. A column may be called `#`, or `2026`: a few such cells count for nothing among
    names that are known, and above more of data."""
    odd = [text for text in texts if _is_data(text)]
    if not odd:
        return True
    known = sum(_is_name(text) for text in set(texts))
    above = below is None or sum(_is_data(text) for text in below) > len(odd)
    return above and known >= _SURELY * len(odd) and all(_SIGN.fullmatch(text.strip()) for text in odd)


def _is_name(text: str) -> bool:
    named = fields_named(text)
    return bool(named) and named[0].score >= _RECOGNISED and len(text) <= 60


def _is_data(text: str) -> bool:
    """A header has no cell that is all digits and signs, and few with several digits."""
    return not any(character.isalpha() for character in text) or sum(map(str.isdigit, text)) > 4


def _stands_apart(first: Sequence[str | None], others: Sequence[Sequence[str | None]]) -> bool:
    """Whether a row of words, all different, stands above columns of which some hold data: a header that we cannot
    read."""
    texts = [text for text in first if text]
    if len(texts) < len(first) * 0.8 or len(set(texts)) < len(texts) or any(_is_data(text) for text in texts):
        return False
    below = [row for row in others if any(row)]
    if not below:
        return False
    numeric = sum(
        all(_is_data(row[place] or "0") for row in below) and any(row[place] for row in below)
        for place in range(len(first))
    )
    return numeric >= 2
