"""What an export tells: the rows of its dataset, from one moment of the database."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from ingest import inbox
from server.outbound.write import Cell

DATASETS = tuple(inbox.TOLD)
"""The kinds of records that can be exported."""


def columns_of(dataset: str) -> tuple[str, ...]:
    """The header of the dataset's files. New columns come at the end."""
    return inbox.TOLD[dataset]


def tell(conn: Connection, dataset: str, agency_id: str, after: int | None) -> Iterator[list[Cell]]:
    """What was done to the agency's records after its write of that number (None: all of them), a row per record."""
    yield from _rows(dataset, inbox.records_since(conn, dataset, agency_id, after))


def tell_all(conn: Connection, dataset: str, agency_id: str, after: int, told: int) -> Iterator[list[Cell]]:
    """All of the agency's records, as `tell` does; and before them those that were deleted after its write `after`, as
    far as anybody can know of them: the writes up to `told` have made them."""
    yield from _rows(dataset, inbox.deleted_since(conn, dataset, agency_id, after, told))
    yield from tell(conn, dataset, agency_id, None)


def _rows(dataset: str, records: Iterable[Mapping[str, Any]]) -> Iterator[list[Cell]]:
    columns = columns_of(dataset)
    readers = [_READERS.get(column) for column in columns]
    for record in records:
        cells = (record[column] for column in columns)
        yield [cell if read is None or cell is None else read(cell) for read, cell in zip(readers, cells, strict=True)]


def _cents(value: int) -> Decimal:
    return Decimal(value).scaleb(-2)


_DATES = ("dob", "date", "file_date", "arrest_date", "offense_date", "plea_date", "judgment_date", "due_date")
_READERS: Mapping[str, Callable[[Any], Cell]] = MappingProxyType(
    {**dict.fromkeys(_DATES, date.fromisoformat), "time": time.fromisoformat, "amount": _cents}
)
