"""What is wrong in the rows of a chunk, gathered while they are checked, and the sentences for it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import MappingProxyType

import numpy as np

from ingest.answer import REST_TAKEN, RowError
from ingest.limits import Limits
from ingest.mapping import Plan
from ingest.parse import Cells, Column, Records
from ingest.record import EXCEL, EXCEL_1904
from ingest.template import Match, Template, slot_owner

VALUE_SHOWN = 200
NUMBER_LENGTH = 500
"""Characters of a case number, which is a natural key: PostgreSQL's indexes hold no more than 2704 bytes."""
_SENTENCES = MappingProxyType(
    {
        "too_few_columns": "The row has fewer columns than {others}.",
        "too_many_columns": "The row has more columns than {others}; is there a delimiter inside a cell?",
        "unclosed_quote": "A quote opens in the row and closes only in a later one; close it, or double it.",
        "stray_quote": "A quote in the row closes one that opens in an earlier row; take it out, or double it.",
        "nul_byte": "The row holds a NUL byte; export it again.",
        "bad_encoding": "The row holds bytes that are no UTF-8, unlike the rest of the file.",
        "too_long": "The cell is longer than {cell:,} characters.",
        "number_too_long": "The case number is longer than {number:,} characters.",
        "missing_required": "The cell is empty, and the template needs it.",
        "lost_characters": "The cell holds characters that were lost (shown as \ufffd); write them anew.",
        "bad_date": "The cell holds no date that exists, written like {date}.",
        "date_with_time": "The cell holds a time beside the date; the template must read its column as event.datetime.",
        "far_date": "The hearing is very far from today; it was taken as it is, but look at the year.",
        "night_time": "The hearing was taken for the night; if the afternoon is meant, its time must be written like "
        "{afternoon}.",
        "unborn": "The cell holds a date of birth that is still to come.",
        "bad_time": "The cell holds no time that exists, written like {time}.",
        "bad_phone": "The cell is not a phone number.",
        "several_phone": "The cell holds several phone numbers; write one, or let the template split the column.",
        "words_phone": "The cell says more than a phone number; only its kind (cell, home) may stand beside it.",
        "several_email": "The cell holds several e-mail addresses; write one, or let the template split the column.",
        "bad_email": "The cell is not an e-mail address.",
        "bad_amount": "The cell is not an amount of money.",
        "key_bad_date": "The cell holds no date that exists, written like {date}, and records are matched by it.",
        "key_bad_amount": "The cell is not an amount of money, and records are matched by it.",
        "partial": "Another cell that this one is put together with is empty.",
        "key_partial": "Another cell that this one is put together with is empty, and records are matched by both.",
        "nothing": "The template's rule makes nothing of this cell.",
        "key_nothing": "The template's rule makes nothing of this cell, and records are matched by it.",
        "cut_number": "A spreadsheet has cut this number; format its column as text and write all its digits.",
        "key_cut_number": "A spreadsheet has cut this number, and records are matched by it; format its column as text "
        "and write all its digits.",
        "broken": "The cell holds a formula's error and no value.",
        "key_broken": "The cell holds a formula's error and no value, and records are matched by it.",
        "float_number": "A program has written this number as a fraction; write it without the .0, as text.",
        "key_float_number": "A program has written this number as a fraction, and records are matched by it: it would "
        "be another one. Write it without the .0, or let the template take what stands before the dot.",
        "unread_payment": "The payment was not taken: payments are matched by this cell, which cannot be read.",
        "bad_yes_no": "The cell says neither yes nor no.",
        "unknown_code": "The template's table does not hold this code; it was kept as it is.",
        "refused_code": "The template's table does not hold this code.",
        "time_twice": "The clocks go back in that night and this time comes twice; it was taken for the {clock}.",
        "time_never": "The clocks go forward in that night and this time never comes; it was taken for later.",
        "refused_twice": "The clocks go back in that night and this time comes twice; write another one.",
        "refused_never": "The clocks go forward in that night and this time never comes; write another one.",
        "nobody_named": "The cell tells of a further person, but nothing tells who it is.",
        "no_client": "The row names no client: it has neither a reference nor a name with a case number.",
        "no_client_matched": "The row names no client: what the template knows people by is empty ({combinations}).",
        "no_case": "The row names no case: its case number is empty.",
        "no_event": "The row names no hearing: what the template knows hearings by is empty.",
        "no_date": "The row names a hearing, and the cell for its date is empty.",
        "no_payment": "The payment was not taken: what the template knows payments by is empty.",
    }
)
WORDS = MappingProxyType(
    {
        "too_few_columns": "too few columns",
        "too_many_columns": "too many columns",
        "unclosed_quote": "a quote that is not closed",
        "stray_quote": "a quote that closes one of another row",
        "nul_byte": "a NUL byte",
        "bad_encoding": "bytes that are no UTF-8",
        "too_long": "a cell that is too long",
        "number_too_long": "a case number that is too long",
        "missing_required": "an empty cell that the template needs",
        "lost_characters": "lost characters",
        "bad_date": "no date where one is needed",
        "date_with_time": "a date with a time where a date alone is expected",
        "bad_time": "no time where one is expected",
        "key_bad_date": "no date where records are matched by one",
        "key_bad_amount": "no amount where records are matched by one",
        "key_partial": "half of what records are matched by",
        "key_nothing": "a cell of which the template makes nothing",
        "key_cut_number": "a number that a spreadsheet has cut",
        "broken": "a formula's error where a value is needed",
        "key_broken": "a formula's error where records are matched by the value",
        "key_float_number": "a number with .0 behind it",
        "refused_code": "a code that the template's table does not hold",
        "refused_twice": "a time that comes twice",
        "refused_never": "a time that never comes",
        "no_client": "nobody named",
        "no_case": "no case named",
        "no_event": "no hearing named",
        "no_date": "a hearing without a date",
    }
)
"""What refuses a row, for a sentence about all of them."""

_SAMPLE, _AFTERNOON = datetime(2026, 3, 16, 9), datetime(2026, 3, 16, 13, 30)
_DECIDED = frozenset({"unknown_code", "far_date", "night_time", "time_twice", "time_never"})
"""Warnings about a cell that was taken all the same."""


@dataclass(frozen=True)
class Rules:
    """What rows are checked by: the template, where its columns are, the agency's zone (IANA) and phone region, and
    the day there, by which dates are past."""

    template: Template
    plan: Plan
    zone: str
    region: str
    limits: Limits
    today: date = date.min


class Faults:
    """What is wrong in a chunk. `bad` are the rows that are refused, `warned` those that lack a cell."""

    def __init__(self, cells: Cells, records: Records, rules: Rules) -> None:
        self.cells, self.records, self.rules = cells, records, rules
        self.bad = np.zeros(len(cells.index), dtype=bool)
        self.warned = np.zeros(len(cells.index), dtype=bool)
        self._words: dict[tuple[str, str], tuple[str, str]] = {}
        self.found: list[RowError] = [self._fault(index, "", "", code) for index, code in cells.refused]

    def add(self, rows: Iterable[int], field: str, code: str, column: Column | None, severity: str = "error") -> None:
        """Report `code` in each of `rows` (places in the chunk), showing its cell of `column` as it came."""
        mark = self.bad if severity == "error" else self.warned
        slots = self._alternatives(field)
        for row in rows:
            value = column.values[column.codes[row]] if column is not None and column.codes[row] >= 0 else ""
            source = next((slot for slot in slots if self._holds(slot, row)), field)
            self.found.append(self._fault(int(self.cells.index[row]), source, value, code, severity))
            mark[row] = True

    def _alternatives(self, field: str) -> tuple[str, ...]:
        """The slots of which the first that is filled counts, where a field is read so."""
        rule, plan = self.rules.template.rules.get(field), self.rules.plan
        return tuple(slot for slot in rule.slots if slot in plan.columns) if rule and rule.way == "first" else ()

    def _holds(self, slot: str, row: int) -> bool:
        column = self.cells.columns[self.rules.plan.columns[slot]]
        return bool(column.codes[row] >= 0 and column.values[column.codes[row]].strip())

    def _fault(self, index: int, field: str, value: str, code: str, severity: str = "error") -> RowError:
        if (field, code) not in self._words:
            self._words[field, code] = self._column(field), self._sentence(field, code)
        column, sentence = self._words[field, code]
        line = int(self.records.line[index])
        return RowError(line, column, value[:VALUE_SHOWN], code, sentence, severity, self.cells.raw(index))

    def _column(self, field: str) -> str:
        plan = self.rules.plan
        return plan.name(field if field in plan.columns else slot_owner(field)) if field else ""

    def _sentence(self, field: str, code: str) -> str:
        template, field = self.rules.template, slot_owner(field)
        if code == "no_client" and template.match.client != Match().client:
            code = "no_client_matched"
        return _SENTENCES[code].format(
            cell=self.rules.limits.cell,
            number=NUMBER_LENGTH,
            date=_shown(template.dates_of(field)[0]),
            time=_shown(template.times_of(field), "0.375"),
            afternoon=_shown_afternoon(template.times_of(field)),
            clock=template.clock.twice,
            others="the header" if template.header else "the other rows",
            combinations=", or ".join(" + ".join(names) for names in template.match.client),
        )

    def told(self, excluded: frozenset[int]) -> list[RowError]:
        """All of it, row by row in the order of the columns, but for the lines that are left out."""
        order = {name: place for place, name in enumerate(self.rules.plan.names)}
        refused = {fault.row for fault in self.found if fault.severity == "error"}
        left = (fault for fault in self.found if fault.row not in excluded) if excluded else self.found
        told = [fault if fault.row in refused else _harmless(fault) for fault in left]
        return sorted(told, key=lambda fault: (fault.row, order.get(fault.column, -1), fault.code))


def _harmless(warning: RowError) -> RowError:
    if warning.code in _DECIDED:
        return warning
    return replace(warning, message=f"{warning.message.removesuffix('.')}{REST_TAKEN}.")


def _shown(formats: tuple[str, ...], number: str = "46097") -> str:
    """How a date or a time looks in the first of the formats; of a spreadsheet's numbers, `number`."""
    words = {
        "%m/%d/%Y": "03/16/2026",
        "%I:%M %p": "9:00 AM",
        "%H:%M": "09:00",
        EXCEL: number,
        EXCEL_1904: "44635",
    }
    return words.get(formats[0]) or _SAMPLE.strftime(formats[0])


def _shown_afternoon(formats: tuple[str, ...]) -> str:
    """How half past one looks in those of the formats that people write."""
    told = [_AFTERNOON.strftime(form).lstrip("0") for form in formats if form != EXCEL]
    return " or ".join(told[:2]) or "0.5625"
