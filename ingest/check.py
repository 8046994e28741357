"""From cells to checked rows: what each row says, which records it speaks of, and everything that is wrong with it.

A row with an error gives nothing. A row with a warning gives everything but the cell that is wrong. Errors are: a
row that cannot be split or decoded, a cell that is too long, a required value that is missing, an event's date or
time that cannot be read, a row that names neither a client nor (where the template maps no client) a case. Warnings
are: a phone, an e-mail address, a date of birth or a filing date that cannot be read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ingest import coerce
from ingest.answer import RowError
from ingest.keys import Keys, combine, hash_column, where
from ingest.limits import Limits
from ingest.mapping import Plan
from ingest.parse import Cells, Column, Records
from ingest.parse.records import Ints
from ingest.record import CASES, CLIENTS, DATE_FIELDS, EVENTS
from ingest.template import Template

VALUE_SHOWN = 200
NUMBER_LENGTH = 500
"""Characters of a case number, which is a natural key: PostgreSQL's indexes hold no more than 2704 bytes."""
_SENTENCES = MappingProxyType(
    {
        "too_few_columns": "The row has fewer columns than {others}.",
        "too_many_columns": "The row has more columns than {others}; is there a delimiter inside a cell?",
        "unclosed_quote": "A quote opens in the row and closes only in a later one; close it, or double it.",
        "nul_byte": "The row holds a NUL byte; export it again.",
        "bad_encoding": "The row holds bytes that are no UTF-8, unlike the rest of the file.",
        "too_long": "The cell is longer than {cell:,} characters.",
        "number_too_long": "The case number is longer than {number:,} characters.",
        "missing_required": "The cell is empty, and the template needs it.",
        "lost_characters": "The cell holds characters that were lost (shown as \ufffd); write them anew.",
        "bad_date": "The cell holds no date that exists, written like {date}.",
        "bad_time": "The cell holds no time that exists, written like {time}.",
        "bad_phone": "The cell is not a phone number.",
        "bad_email": "The cell is not an e-mail address.",
        "no_client": "The row names no client: it has neither a reference nor a name with a case number.",
        "no_case": "The row names no case: its case number is empty.",
    }
)
WORDS = MappingProxyType(
    {
        "too_few_columns": "too few columns",
        "too_many_columns": "too many columns",
        "unclosed_quote": "a quote that is not closed",
        "nul_byte": "a NUL byte",
        "bad_encoding": "bytes that are no UTF-8",
        "too_long": "a cell that is too long",
        "number_too_long": "a case number that is too long",
        "missing_required": "an empty cell that the template needs",
        "lost_characters": "lost characters",
        "bad_date": "no date where one is needed",
        "bad_time": "no time where one is expected",
        "no_client": "nobody named",
        "no_case": "no case named",
    }
)
"""What refuses a row, for a sentence about all of them."""

_NO_REFERENCE = frozenset({"NULL", "(NULL)", "N/A", "NONE"})
"""What databases and clerks write where there is none; taken for a reference, it would make one person of many."""


@dataclass(frozen=True)
class Batch:
    """Checked rows of one chunk, valid ones only, in file order.

    `index` is each row's place among the file's records; `clean` is False where the row has a warning. The keys are
    0 where the row names no such record. `values` are normalised, by field; `event.starts_at`, `event.date` and
    `event.time` are the event's instant and local date and time. `errors` are those of all rows of the chunk.
    """

    index: Ints
    clean: NDArray[np.bool_]
    client: Keys
    case: Keys
    party: Keys
    phone: Keys
    email: Keys
    event: Keys
    values: Mapping[str, Column]
    errors: tuple[RowError, ...]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Rules:
    """What rows are checked by: the template, where its columns are, the agency's zone (IANA) and phone region."""

    template: Template
    plan: Plan
    zone: str
    region: str
    limits: Limits


class _Faults:
    """What is wrong in a chunk, gathered while it is checked."""

    def __init__(self, cells: Cells, records: Records, rules: Rules) -> None:
        self.cells, self.records, self.rules = cells, records, rules
        self.bad = np.zeros(len(cells.index), dtype=bool)
        self.warned = np.zeros(len(cells.index), dtype=bool)
        self.found: list[RowError] = [self._fault(index, "", "", code) for index, code in cells.refused]

    def add(self, rows: Iterable[int], field: str, code: str, column: Column | None, severity: str = "error") -> None:
        """Report `code` in each of `rows` (places in the chunk), showing its cell of `column` as it came."""
        name = self.rules.plan.name(field) if field else ""
        mark = self.bad if severity == "error" else self.warned
        for row in rows:
            value = column.values[column.codes[row]] if column is not None and column.codes[row] >= 0 else ""
            self.found.append(self._fault(int(self.cells.index[row]), name, value, code, severity))
            mark[row] = True

    def _fault(self, index: int, column: str, value: str, code: str, severity: str = "error") -> RowError:
        template = self.rules.template
        sentence = _SENTENCES[code].format(
            cell=self.rules.limits.cell,
            number=NUMBER_LENGTH,
            date=_shown(template.date_formats),
            time=_shown(template.time_formats),
            others="the header" if template.header else "the other rows",
        )
        line = int(self.records.line[index])
        return RowError(line, column, value[:VALUE_SHOWN], code, sentence, severity, self.cells.raw(index))

    def told(self) -> list[RowError]:
        """All of it, row by row in the order of the columns."""
        order = {name: place for place, name in enumerate(self.rules.plan.names)}
        refused = {fault.row for fault in self.found if fault.severity == "error"}
        told = [fault if fault.row in refused else _harmless(fault) for fault in self.found]
        return sorted(told, key=lambda fault: (fault.row, order.get(fault.column, -1), fault.code))


def _harmless(warning: RowError) -> RowError:
    return replace(warning, message=f"{warning.message.removesuffix('.')}; the rest of the row was taken.")


def _shown(formats: tuple[str, ...]) -> str:
    words = {"%m/%d/%Y": "03/16/2026", "%I:%M %p": "9:00 AM", "%H:%M": "09:00"}
    return words.get(formats[0], formats[0])


def check(cells: Cells, records: Records, rules: Rules) -> Batch:
    """Normalise and check the rows of one chunk."""
    faults = _Faults(cells, records, rules)
    blank = _blank(cells)
    raw = {field: cells.columns[place] for field, place in rules.plan.columns.items()}
    for field, column in raw.items():
        _refuse_long(field, column, faults)
        if rules.plan.answered:
            _refuse_lost(field, column, faults)
    values = {field: column.map(coerce.tidy) for field, column in raw.items()}
    if "client.reference" in values:
        values["client.reference"] = values["client.reference"].map(_referring)
    for field in sorted(rules.template.required):
        _refuse_missing(field, values, blank, faults)
    _read_when(values, faults)
    for field, code, read in _readings(rules):
        if field in values:
            values[field] = _coerced(field, code, values[field], read, faults, "warning")
    values |= _constants(rules.template, len(cells.index))
    keys = _keys(values, len(cells.index))
    _refuse_nobody(keys, values, blank, faults)
    return _batch(cells, values, keys, blank, faults)


def _blank(cells: Cells) -> NDArray[np.bool_]:
    """Rows of which every mapped cell holds nothing but spaces."""
    blank = np.ones(len(cells.index), dtype=bool)
    for column in cells.columns.values():
        empty = np.array([not value.strip() for value in column.values] + [True], dtype=bool)
        blank &= empty[column.codes]
    return blank


def _refuse_long(field: str, column: Column, faults: _Faults) -> None:
    longest = faults.rules.limits.cell
    long = np.array([len(value) > longest for value in column.values] + [False], dtype=bool)
    if long.any():
        faults.add(np.flatnonzero(long[column.codes]).tolist(), field, "too_long", column)
    if field == "case.number":
        odd = [NUMBER_LENGTH < len(value) <= longest for value in column.values]
        if any(odd):
            rows = np.flatnonzero(np.array([*odd, False], dtype=bool)[column.codes]).tolist()
            faults.add(rows, field, "number_too_long", column)


def _refuse_lost(field: str, column: Column, faults: _Faults) -> None:
    """Our error file shows what could not be read as U+FFFD; sent again as it is, it must not pass for a name."""
    lost = np.array(["\ufffd" in value for value in column.values] + [False], dtype=bool)
    if lost.any():
        faults.add(np.flatnonzero(lost[column.codes]).tolist(), field, "lost_characters", column)


def _referring(texts: Sequence[str]) -> list[str | None]:
    return [None if text.upper() in _NO_REFERENCE else text for text in texts]


def _refuse_missing(field: str, values: Mapping[str, Column], blank: NDArray[np.bool_], faults: _Faults) -> None:
    where_from = field if field in values else "event.datetime"
    column = values[where_from]
    if field == "event.date" and "event.datetime" in values and where_from != "event.datetime":
        filled = column.filled | values["event.datetime"].filled
    else:
        filled = column.filled
    faults.add(np.flatnonzero(~filled & ~blank).tolist(), where_from, "missing_required", None)


def _coerced(
    field: str,
    code: str,
    column: Column,
    read: Callable[[tuple[str, ...]], list[str | None]],
    faults: _Faults,
    severity: str = "error",
) -> Column:
    """The column as values; a cell that cannot be read is reported and left empty."""
    coerced = column.map(lambda texts: read(tuple(texts)))
    faults.add(np.flatnonzero(column.filled & ~coerced.filled).tolist(), field, code, column, severity)
    return coerced


def _readings(rules: Rules) -> list[tuple[str, str, Callable[[tuple[str, ...]], list[str | None]]]]:
    dates = rules.template.date_formats
    return [
        *((field, "bad_date", lambda texts: coerce.read_dates(texts, dates)) for field in DATE_FIELDS),
        ("contact.phone", "bad_phone", lambda texts: coerce.read_phones(texts, rules.region)),
        ("contact.email", "bad_email", coerce.read_emails),
    ]


def _read_when(values: dict[str, Column], faults: _Faults) -> None:
    """Put the event's local date, time and instant in place of the columns they came in.

    A combined column counts where it is filled, the two single ones elsewhere; where it holds a date alone, the single
    time belongs to it.
    """
    template = faults.rules.template
    dates, times = template.date_formats, template.time_formats
    day, time = values.pop("event.date", None), values.pop("event.time", None)
    moment = values.pop("event.datetime", None)
    if day is not None:
        day = _coerced("event.date", "bad_date", day, lambda texts: coerce.read_dates(texts, dates), faults)
    if time is not None:
        time = _coerced("event.time", "bad_time", time, lambda texts: coerce.read_times(texts, times), faults)
    if moment is not None:
        days, hours = coerce.read_moments(moment.values, dates, times)
        read = moment.map(lambda _: days)
        faults.add(np.flatnonzero(moment.filled & ~read.filled).tolist(), "event.datetime", "bad_date", moment)
        timed = moment.map(lambda _: hours)
        day, time = _over(read, day, moment.filled), _over(timed, time, timed.filled)
    if day is None:
        return
    time = time or Column(np.full(len(day.codes), -1, dtype=np.int32), ())
    values["event.date"], values["event.time"] = day, Column(np.where(day.filled, time.codes, -1), time.values)
    values["event.starts_at"] = _instants(values["event.date"], values["event.time"], faults.rules.zone)


def _over(upper: Column, lower: Column | None, covered: NDArray[np.bool_]) -> Column:
    """`upper` where rows are covered by it, `lower` elsewhere."""
    if lower is None:
        return upper
    shifted = np.where(lower.codes >= 0, lower.codes + len(upper.values), -1)
    codes = np.where(covered, upper.codes, shifted).astype(np.int32)
    return Column(codes, upper.values + lower.values)


def _instants(day: Column, time: Column, zone: str) -> Column:
    """Each distinct pair of date and time is turned into an instant once."""
    pairs = (day.codes.astype(np.int64) << 32) | (time.codes.astype(np.int64) + 1)
    pairs[~day.filled] = -1
    distinct, codes = np.unique(pairs, return_inverse=True)
    without = int(len(distinct) > 0 and distinct[0] == -1)
    seen = distinct[without:]
    days = [day.values[code] for code in (seen >> 32).tolist()]
    times = [time.values[code - 1] if code else None for code in (seen & 0xFFFFFFFF).tolist()]
    return Column((codes - without).astype(np.int32), tuple(coerce.instants(days, times, zone)))


def _constants(template: Template, rows: int) -> dict[str, Column]:
    return {field: Column(np.zeros(rows, dtype=np.int32), (value,)) for field, value in template.constants.items()}


def _keys(values: Mapping[str, Column], rows: int) -> dict[str, Keys]:
    def hashed(field: str, fold: bool = False) -> NDArray[np.uint64]:
        return hash_column(values.get(field), rows, fold)

    none = np.uint64(0)
    reference, number = hashed("client.reference"), hashed("case.number")
    last, first = hashed("client.last_name", fold=True), hashed("client.first_name", fold=True)
    named = ((last != none) | (first != none)) & (number != none)
    middle, suffix = hashed("client.middle_name", fold=True), hashed("client.suffix", fold=True)
    by_name = combine(2, last, first, middle, suffix, number)
    client = np.where(reference != none, combine(1, reference), np.where(named, by_name, none))
    case = np.where(number != none, combine(3, number), none)
    event_reference = hashed("event.reference")
    slot = combine(4, hashed("event.date"), hashed("event.time"), hashed("event.type"))
    slot = np.where(event_reference != none, combine(5, event_reference), slot)
    dated = hashed("event.date") != none
    phone, email = hashed("contact.phone"), hashed("contact.email")
    known = client != none
    return {
        "client": client.view(np.int64),
        "case": case.view(np.int64),
        "party": where(known & (case != none), combine(6, client, case)),
        "phone": where(known & (phone != none), combine(7, client, phone)),
        "email": where(known & (email != none), combine(8, client, email)),
        "event": where(dated, combine(9, client, case, slot)),
    }


def _refuse_nobody(
    keys: Mapping[str, Keys], values: Mapping[str, Column], blank: NDArray[np.bool_], faults: _Faults
) -> None:
    if faults.rules.template.maps_client:
        nobody = np.flatnonzero((keys["client"] == 0) & ~blank & ~faults.bad).tolist()
        faults.add(nobody, "client.reference", "no_client", None)
    else:
        faults.add(np.flatnonzero((keys["case"] == 0) & ~blank & ~faults.bad).tolist(), "case.number", "no_case", None)


def _batch(
    cells: Cells,
    values: Mapping[str, Column],
    keys: Mapping[str, Keys],
    blank: NDArray[np.bool_],
    faults: _Faults,
) -> Batch:
    good = np.flatnonzero(~faults.bad & ~blank)
    used = {*CLIENTS.fields, *CASES.fields, *EVENTS.fields}
    used |= {
        "case.number",
        "case.role",
        "contact.phone",
        "contact.email",
        "event.date",
        "event.time",
        "event.starts_at",
    }
    return Batch(
        index=cells.index[good],
        clean=~faults.warned[good],
        values={field: Column(column.codes[good], column.values) for field, column in values.items() if field in used},
        errors=tuple(faults.told()),
        **{name: key[good] for name, key in keys.items()},
    )
