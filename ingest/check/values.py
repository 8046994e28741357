"""From cells to values: the template's rules, then dates, times, amounts, phone numbers and addresses.

Whatever cannot be read is reported; a value that decides what a row means makes it an error, any other a warning.
"""

import re
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ingest import coerce
from ingest.check.faults import Faults
from ingest.check.people import Keyring
from ingest.identity import EXACT, matched_fields
from ingest.mapping import apply_rule, find_lost, is_told, lay_over, may_lose
from ingest.parse import Column
from ingest.record import CLEARED, CONTACTS, DATE_FIELDS, MONEY_FIELDS, WHEN_FIELDS
from ingest.template import Rule, split_party

Read = Callable[[tuple[str, ...]], list[str | None]]
FAR_PAST, FAR_AHEAD = 30, 5
"""Years before and after this one in which a hearing is told as far off."""
_MIDNIGHT, _MORNING = "00:00:59", "06:00"
"""Between them a hearing is told as one at night. At midnight itself are those of which a system knows no time."""
_NO_PIECE = frozenset({"NULL", "(NULL)", "N/A", "NONE"})
"""What databases and clerks write where there is none. Short, since a piece of a number may be `00` or `NA`."""
_NO_REFERENCE = _NO_PIECE | {
    *("NIL", "NAN", "<NULL>", "[NULL]", "NA", "N.A.", "(NONE)", "UNK", "UNKNOWN", "TBD", "TBA"),
    *("NOT AVAILABLE", "NOT APPLICABLE", "NOT ASSIGNED", "UNASSIGNED", "NO NUMBER"),
}
"""The same for a whole reference or case number; taken for one, it would make one person of many."""
_SIGNS_AND_ZEROS = f"{string.punctuation} –—0"
_NUMBER = re.compile("[1-9]")
_NUMBERED = re.compile(r"(?:[^\n1-9]*+[1-9][^\n]*+\n)*+")
_LONGEST_NONE = max(map(len, _NO_REFERENCE))
_CUT = re.compile(r"\d(?:\.\d+)?E\+\d{2,3}|\d{1,3}\.\d+E\+\d{1,3}", re.ASCII | re.IGNORECASE)
"""How a spreadsheet writes a long number, of which nobody can tell the last digits any more: 2.02601E+11. A case number
such as 12E345 is one."""
_FLOAT = re.compile(r"[1-9]\d*\.0", re.ASCII)
"""How programs write whole numbers of a column in which some row has none: 1000231.0 is 1000231."""
_SPOILT = MappingProxyType({"cut_number": ("+", _CUT), "float_number": (".0\n", _FLOAT)})
"""Numbers that are not as the court has written them any more, by what is said of them: what stands in one, for a look
at many in one go, and how it is written."""


def make_texts(raw: Mapping[str, Column], faults: Faults) -> tuple[dict[str, Column], dict[str, Column]]:
    """The text of each field that this file can fill, from the cells of its slots; and of filters' own columns. Of some
    fields also the cells that are filled and of which their rule makes nothing (`find_lost`)."""
    template, rows = faults.rules.template, len(faults.cells.index)
    tidied = {slot: column.map(coerce.tidy) for slot, column in raw.items()}
    texts, lost = {slot: column for slot, column in tidied.items() if slot not in template.rules}, dict[str, Column]()
    for name, rule in template.rules.items():
        if not is_told(name, template, raw):
            continue
        kept = (slot for slot in rule.slots if slot in raw)
        slots = [raw[slot].map(coerce.keep_spaces) if rule.spaces else tidied[slot] for slot in kept]
        if rule.way != "one" and split_party(name)[1] in EXACT:
            slots = [slot.map(_wholly(rule)) for slot in slots]
        texts[name], unknown = apply_rule(rule, slots, template.lookups, rows)
        _report_unknown(name, rule, unknown, faults)
        if may_lose(rule):
            cells = [slot.map(_wholly(rule)) for slot in slots] if split_party(name)[1] in EXACT else slots
            lost[name] = find_lost(rule, cells, template.lookups, rows)
    for name in texts:
        if split_party(name)[1] in EXACT:
            texts[name] = texts[name].map(_referring)
        elif split_party(name)[1] == "client.suffix":
            texts[name] = texts[name].map(coerce.undotted)
    return texts, lost


def _report_unknown(name: str, rule: Rule, unknown: Column | None, faults: Faults) -> None:
    if unknown is not None:
        refused = rule.unknown == "refuse"
        code, severity = ("refused_code", "error") if refused else ("unknown_code", "warning")
        faults.add(np.flatnonzero(unknown.filled).tolist(), name, code, unknown, severity)


def _wholly(rule: Rule) -> Callable[[Sequence[str]], list[str | None]]:
    """How cells of a reference are looked at: as pieces of it where several are put together, else as all of it."""
    return _as_pieces if rule.way == "join" else _referring


def _as_pieces(texts: Sequence[str]) -> list[str | None]:
    return [None if len(text) <= _LONGEST_NONE and text.upper() in _NO_PIECE else text for text in texts]


def _referring(texts: Sequence[str]) -> list[str | None]:
    """Most are numbers, which is seen of all of them in one go."""
    if _NUMBERED.fullmatch("\n".join([*texts, ""])):
        return list(texts)
    return [text if _NUMBER.search(text) or not _is_none(text) else None for text in texts]


def _is_none(text: str) -> bool:
    """Whether a text stands for no reference: such a word, or neither letter nor digit but zeros. None has a `_NUMBER`,
    which is looked for first since it is quicker."""
    if len(text) <= _LONGEST_NONE and text.upper() in _NO_REFERENCE:
        return True
    return not text.strip(_SIGNS_AND_ZEROS)


def read_values(values: dict[str, Column], faults: Faults) -> dict[str, Column]:
    """Put values in place of the texts they are written as.

    What cannot be read in a field that records are matched by is not reported yet, for it may decide whose row it is:
    the cells, by field.
    """
    _read_when(values, faults)
    unread, matched = {}, matched_fields(faults.rules.template)
    for name in list(values):
        reading, cells = _reading(name, faults), values[name]
        if reading and name in matched:
            unread[name], values[name] = _parted(values[name], reading[1])
        elif reading:
            values[name] = _coerced(name, reading[0], values[name], reading[1], faults, "warning")
        if split_party(name)[1] == "client.dob":
            unborn = _take_unborn(name, cells, values, faults.rules.today)
            if name in matched:
                unread[name] = lay_over(unborn, unread[name], unborn.filled)
            else:
                faults.add(np.flatnonzero(unborn.filled).tolist(), name, "unborn", cells, "warning")
    return unread


def _take_unborn(name: str, cells: Column, values: dict[str, Column], today: date) -> Column:
    """Take dates of birth after `today` out of `values`; their cells."""
    last = date.max.isoformat() if today == date.min else today.isoformat()
    late = values[name].map(lambda days: [day if day > last else None for day in days]).filled
    values[name] = _without(values[name], late)
    return _without(cells, ~late)


def find_partial(raw: Mapping[str, Column], values: dict[str, Column], faults: Faults) -> dict[str, Column]:
    """Take references and case numbers out of `values` of which a part is empty: they would be somebody else's. Only
    where records are matched by them; the texts, by field."""
    template, partial = faults.rules.template, {}
    for name in sorted(matched_fields(template) & template.rules.keys() & values.keys()):
        rule = template.rules[name]
        parts = [raw[slot].map(coerce.tidy) for slot in rule.slots if slot in raw]
        if rule.way == "join" and split_party(name)[1] in EXACT and len(parts) > 1:
            told = [part.map(_as_pieces).filled for part in parts]
            whole, nothing = np.logical_and.reduce(told), ~np.logical_or.reduce([part.filled for part in parts])
            partial[name] = _without(values[name], whole | ~np.logical_or.reduce(told))
            values[name] = _without(values[name], ~whole & ~nothing)
    return partial


def find_cut(
    raw: Mapping[str, Column], values: dict[str, Column], faults: Faults, code: str = "cut_number"
) -> dict[str, Column]:
    """Take references and case numbers out of `values` that a spreadsheet has cut (others would be the same), or a
    program has made fractions of (they would be others), but where the template keeps spaces: it wants the text as it
    is. The cells of those that records are matched by, by field; others are only reported."""
    template, found = faults.rules.template, {}
    sign, written = _SPOILT[code]
    for name in (name for name in sorted(values) if split_party(name)[1] in EXACT):
        rule = template.rules.get(name)
        if rule and rule.spaces and code == "float_number":
            continue
        pieces = (
            (raw[slot].map(coerce.tidy) for slot in rule.slots if slot in raw) if rule and rule.way == "join" else ()
        )
        cut = Column(np.full(len(values[name].codes), -1, dtype=np.int32), ())
        for column in (values[name], *pieces):
            if sign in "\n".join((*column.values, "")):  # looked at in one go, for most hold none
                cut = lay_over(cut, column.map(lambda texts: _cut(texts, written)), cut.filled)
        if cut.filled.any():
            values[name] = _without(values[name], cut.filled)
            found[name] = cut
    for name in found.keys() - matched_fields(template):
        faults.add(np.flatnonzero(found[name].filled).tolist(), name, code, found.pop(name), "warning")
    return found


def _cut(texts: Sequence[str], written: re.Pattern[str]) -> list[str | None]:
    return [text if written.fullmatch(text) else None for text in texts]


def find_nothing(lost: Mapping[str, Column], partial: Mapping[str, Column], faults: Faults) -> dict[str, Column]:
    """The cells of references and case numbers that are filled and that their rule makes nothing of, where records are
    matched by them: not to be taken for empty ones, or the next combination would make a second record."""
    names = (name for name in sorted(matched_fields(faults.rules.template) & lost.keys()))
    exact = {name: lost[name] for name in names if split_party(name)[1] in EXACT}
    return {n: _without(c, partial[n].filled) if n in partial else c for n, c in exact.items()}


def _without(column: Column, rows: NDArray[np.bool_]) -> Column:
    return Column(np.where(rows, -1, column.codes).astype(np.int32), column.values)


def _parted(column: Column, read: Read) -> tuple[Column, Column]:
    """The texts that cannot be read, and the others as values."""
    coerced = column.map(lambda texts: read(tuple(texts)))
    return _without(column, coerced.filled), coerced


def report_unread(unread: Mapping[str, Column], keyring: Keyring, faults: Faults, why: str = "") -> None:
    """Tell what cannot be read in fields that records are matched by: it makes the row an error where nobody can know
    which record it is, and of a payment leaves the payment out. `why` is a code in place of the field's own."""
    parts = (keyring.unread, *(person.unread for person in keyring.people))
    for name, column in unread.items():
        none = np.zeros(len(column.codes), dtype=bool)
        lost = np.logical_or.reduce([none, *(part[name] for part in parts if name in part)])
        unpaid = keyring.unread_payment.get(name, none) & ~lost
        code, harmless = why or _unread_code(split_party(name)[1]), ~lost & ~unpaid
        told = (lost, f"key_{code}", "error"), (unpaid, "unread_payment", "warning"), (harmless, code, "warning")
        for rows, each, severity in told:
            faults.add(np.flatnonzero(column.filled & rows).tolist(), name, each, column, severity)


def find_cleared(
    raw: Mapping[str, Column], texts: Mapping[str, Column], values: Mapping[str, Column], faults: Faults
) -> dict[str, Column]:
    """The fields of which an empty cell is a value that empties them, as the template may say. Not those that records
    are matched by, and not where the file lacks the column, or where a cell cannot be read."""
    template, found = faults.rules.template, dict[str, Column]()
    kept = {*matched_fields(template), *WHEN_FIELDS, *CONTACTS}
    for name in sorted(values.keys() & template.fields) if template.clears else ():
        rule = template.rules.get(name)
        there = any(slot in raw for slot in (rule.slots if rule else (name,)))
        if there and name not in kept and split_party(name)[1] not in kept:
            column = values[name]
            codes = np.where(texts[name].filled, column.codes, len(column.values)).astype(np.int32)
            found[name] = Column(codes, (*column.values, CLEARED))
    return found


def _unread_code(field: str) -> str:
    return "bad_amount" if field in MONEY_FIELDS else "bad_date" if field in DATE_FIELDS else "partial"


def _reading(name: str, faults: Faults) -> tuple[str, Read] | None:
    """How the field is read and what is said if it cannot be; None if it is a text."""
    rules, field = faults.rules, split_party(name)[1]
    if field in DATE_FIELDS:
        formats, pivot = rules.template.dates_of(name)
        return "bad_date", lambda texts: coerce.read_dates(texts, formats, pivot)
    if field in MONEY_FIELDS:
        return "bad_amount", coerce.read_money
    if CONTACTS.get(field) == "phone":
        return "bad_phone", lambda texts: coerce.read_phones(texts, rules.region)
    if CONTACTS.get(field) == "email":
        return "bad_email", coerce.read_emails
    if field.startswith("contact.") and field.endswith("_opt_in"):
        return "bad_yes_no", coerce.read_yes_no
    return None


def _coerced(name: str, code: str, column: Column, read: Read, faults: Faults, severity: str = "error") -> Column:
    """The column as values; a cell that cannot be read is reported and left empty."""
    coerced = column.map(lambda texts: read(tuple(texts)))
    unread = _without(column, coerced.filled)
    for each, cells in _by_oddity(name, code, unread, faults.rules.region):
        faults.add(np.flatnonzero(cells.filled).tolist(), name, each, column, severity)
    return coerced


def _by_oddity(name: str, code: str, unread: Column, region: str) -> list[tuple[str, Column]]:
    """The cells that cannot be read, by the code of what is wrong; of phones and addresses more can be said."""
    kind = CONTACTS.get(split_party(name)[1])
    if kind is None or not unread.filled.any():
        return [(code, unread)]
    used = np.unique(unread.codes[unread.filled]).tolist()
    texts = [unread.values[place] for place in used]
    found = coerce.phone_oddities(texts, region) if kind == "phone" else coerce.email_oddities(texts)
    oddities = dict(zip(used, found, strict=True))
    told = np.array([oddities.get(place, "") for place in range(len(unread.values))] + [""])[unread.codes]
    return [(f"{oddity}_{kind}" if oddity else code, _without(unread, told != oddity)) for oddity in sorted(set(found))]


def _read_when(values: dict[str, Column], faults: Faults) -> None:
    """Put the event's local date, time and instant in place of the columns they came in.

    A combined column counts where it is filled, the two single ones elsewhere; where it holds a date alone, the single
    time belongs to it.
    """
    template = faults.rules.template
    cells = [(name, values[name]) for name in ("event.datetime", "event.date") if name in values]
    day, time = values.pop("event.date", None), values.pop("event.time", None)
    moment, sources = values.pop("event.datetime", None), dict[str, Column]()
    if day is not None:
        day = _read_day(day, faults)
    if time is not None:
        times = template.times_of("event.time")
        texts = time
        time = _coerced("event.time", "bad_time", time, lambda texts: coerce.read_times(texts, times), faults)
        sources = {"event.time": _without(texts, ~time.filled)}
    if moment is not None:
        dates, pivot = template.dates_of("event.datetime")
        days, hours = coerce.read_moments(moment.values, dates, template.times_of("event.datetime"), pivot)
        read = moment.map(lambda _: days)
        _report_moments(moment, _without(moment, read.filled), faults)
        timed = moment.map(lambda _: hours)
        sources = {name: _without(column, timed.filled) for name, column in sources.items()}
        sources["event.datetime"] = _without(moment, ~timed.filled)
        day, time = lay_over(read, day, moment.filled), lay_over(timed, time, timed.filled)
    if day is None:
        return
    _report_far(day, cells, faults)
    time = time or Column(np.full(len(day.codes), -1, dtype=np.int32), ())
    values["event.date"], values["event.time"] = day, Column(np.where(day.filled, time.codes, -1), time.values)
    _report_night(values["event.time"], sources, faults)
    values["event.starts_at"] = _instants(values["event.date"], values["event.time"], sources, faults)


def _report_night(time: Column, sources: Mapping[str, Column], faults: Faults) -> None:
    """Tell hearings at night: 1:30 without AM or PM may be meant for the afternoon."""
    night = time.map(lambda times: [each if _MIDNIGHT < each < _MORNING else None for each in times]).filled
    for field, cells in sources.items() if night.any() else ():
        faults.add(np.flatnonzero(night & cells.filled).tolist(), field, "night_time", cells, "warning")


def _report_far(day: Column, cells: Sequence[tuple[str, Column]], faults: Faults) -> None:
    """Tell hearings that are so far from today that somebody may have mistyped the year."""
    today = faults.rules.today
    if today == date.min:
        return
    first, last = today.year - FAR_PAST, today.year + FAR_AHEAD
    far = day.map(lambda days: [None if first <= int(each[:4]) <= last else each for each in days]).filled
    for name, column in cells:
        told = far & column.filled
        faults.add(np.flatnonzero(told).tolist(), name, "far_date", column, "warning")
        far = far & ~told


def _report_moments(moment: Column, unread: Column, faults: Faults) -> None:
    """What is wrong with a combined cell: its time, if a date stands at its beginning."""
    dates, pivot = faults.rules.template.dates_of("event.datetime")
    dated = unread.map(lambda texts: coerce.beginning_with_dates(texts, dates, pivot)).filled
    for code, rows in (("bad_time", dated), ("bad_date", unread.filled & ~dated)):
        faults.add(np.flatnonzero(rows).tolist(), "event.datetime", code, moment)


def _read_day(column: Column, faults: Faults) -> Column:
    """The date of the event. A time is never dropped: a hearing at 1:30 PM is none at midnight."""
    dates, pivot = faults.rules.template.dates_of("event.date")
    unread, day = _parted(column, lambda texts: coerce.read_days(texts, dates, pivot))
    if unread.filled.any():
        days, hours = coerce.read_moments(unread.values, dates, faults.rules.template.times_of("event.time"), pivot)
        timed = unread.map(lambda _: [day if hour else None for day, hour in zip(days, hours, strict=True)]).filled
        for code, rows in (("date_with_time", timed), ("bad_date", unread.filled & ~timed)):
            faults.add(np.flatnonzero(rows).tolist(), "event.date", code, column)
    return day


def _instants(day: Column, time: Column, sources: Mapping[str, Column], faults: Faults) -> Column:
    """Each distinct pair of date and time is turned into an instant once. `sources` are the cells that the times are
    from, by field."""
    pairs = (day.codes.astype(np.int64) << 32) | (time.codes.astype(np.int64) + 1)
    pairs[~day.filled] = -1
    distinct, codes = np.unique(pairs, return_inverse=True)
    without = int(len(distinct) > 0 and distinct[0] == -1)
    seen = distinct[without:]
    days = [day.values[code] for code in (seen >> 32).tolist()]
    times = [time.values[code - 1] if code else None for code in (seen & 0xFFFFFFFF).tolist()]
    column = Column((codes - without).astype(np.int32), tuple(coerce.instants(days, times, faults.rules.zone)))
    return _decided(column, days, times, sources, faults)


def _decided(
    column: Column, days: list[str], times: list[str | None], sources: Mapping[str, Column], faults: Faults
) -> Column:
    """Decide, and tell, the local times that come twice or never."""
    clock, zone = faults.rules.template.clock, faults.rules.zone
    odd = np.array([*coerce.clock_oddities(days, times, zone), ""])
    if not odd.any():
        return column
    for oddity, choice in (("twice", clock.twice), ("never", clock.never)):
        rows, refused = (odd == oddity)[column.codes], choice == "refuse"
        code, severity = f"{'refused' if refused else 'time'}_{oddity}", "error" if refused else "warning"
        for field, cells in sources.items():
            faults.add(np.flatnonzero(rows & cells.filled).tolist(), field, code, cells, severity)
    if clock.twice != "second":
        return column
    late = coerce.instants(days, times, zone, fold=1)
    chosen = zip(odd.tolist(), column.values, late, strict=False)
    return Column(column.codes, tuple(second if oddity == "twice" else first for oddity, first, second in chosen))
