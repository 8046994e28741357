"""From cells to checked rows: what each row says, which records it speaks of, and everything that is wrong with it.

A row that a filter leaves out gives nothing and is no error. A row with an error gives nothing. A row with a warning
gives everything but the cell that is wrong. Errors are: a row that cannot be split or decoded, a cell that is too long,
a required value that is missing, an event's date or time that cannot be read, any other cell that cannot be read and
must be to know whose row it is, a row that names neither a client nor (where the template maps no client) a case, and
what the template says is to be refused. Warnings are: a phone, an e-mail address, an amount, any other date that cannot
be read (where payments are matched by it, the payment is left out), a code that a lookup does not hold, a local time
that the clocks skip or repeat, a date of birth to come, a hearing very far from today, a further party that is nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ingest import coerce
from ingest.answer import RowError
from ingest.check.batch import Batch, Contacts, Refused, Said, say, together
from ingest.check.broken import find_broken
from ingest.check.faults import NUMBER_LENGTH, WORDS, Faults, Rules
from ingest.check.filters import expiries, left_out
from ingest.check.passed import NONE_PASSED, Passed, find_blank, find_unread, without_headers
from ingest.check.people import Keyring, find_keys, key_names, misread_contacts, misread_payment
from ingest.check.unsaid import find_unsaid
from ingest.check.values import (
    find_cleared,
    find_cut,
    find_nothing,
    find_partial,
    make_texts,
    read_values,
    report_unread,
)
from ingest.guard import unguarded
from ingest.identity import natural_fields
from ingest.mapping import lay_over
from ingest.parse import Cells, Column, Records
from ingest.parse.records import Ints
from ingest.template import split_party

__all__ = ["WORDS", "Batch", "Contacts", "Passed", "Refused", "Rules", "Said", "check", "key_names", "together"]


def check(cells: Cells, records: Records, rules: Rules) -> Batch:
    """Normalise and check the rows of one chunk."""
    cells, repeated = without_headers(cells, records, rules.plan) if rules.template.header else (cells, NONE_PASSED)
    faults, rows = Faults(cells, records, rules), len(cells.index)
    blank = find_blank(cells)
    raw = {slot: cells.columns[place] for slot, place in rules.plan.columns.items()}
    if rules.plan.answered:
        raw = {slot: column.map(_unguarded) for slot, column in raw.items()}
    for slot, column in raw.items():
        _refuse_long(slot, column, faults)
        if rules.plan.answered:
            _refuse_lost(slot, column, faults)
    texts, lost = make_texts(raw, faults)
    _refuse_long_number(texts.get("case.number"), faults)
    for field in sorted(rules.template.required):
        _refuse_missing(field, texts, blank, faults)
    values = dict(texts)
    cut, partial = find_cut(raw, values, faults), find_partial(raw, values, faults)
    floats = find_cut(raw, values, faults, "float_number")
    unread, nothing = partial | read_values(values, faults), find_nothing(lost, partial, faults)
    broken = find_broken(raw, values, faults)
    values |= _constants(rules, rows)
    cells_told = texts | {name: lay_over(texts[name], cell, texts[name].filled) for name, cell in lost.items()}
    if rules.template.processing.replaces:
        marked = find_unsaid(cells_told, values, rules.template, rows)
    else:
        marked = find_cleared(raw, cells_told, values, faults)
    said_of_contacts = {name: column for name, column in marked.items() if split_party(name)[1].startswith("contact.")}
    spoiled = _spoiled(unread, nothing, cut, floats, broken)
    keyring = find_keys(values | said_of_contacts, rules, rows, spoiled)
    report_unread(unread, keyring, faults)
    needless = {name: column for name, column in broken.items() if name not in rules.template.required}
    for code, odd in (("nothing", nothing), ("cut_number", cut), ("broken", needless), ("float_number", floats)):
        report_unread(odd, keyring, faults, code)
    _refuse_nobody(keyring, blank, faults)
    _refuse_lost_hearings(keyring, blank, faults)
    _report_nobody(keyring, texts, faults)
    left = left_out(rules, texts, values.get("event.date"), rows) * ~blank
    batch = _batch(values | marked, keyring, blank, left, faults, texts)
    return replace(batch, repeated=repeated, unread=find_unread(cells, blank, records, rules.plan))


def _spoiled(*found: Mapping[str, Column]) -> dict[str, NDArray[np.bool_]]:
    """The rows in which each field is nothing that records could be matched by."""
    spoiled: dict[str, NDArray[np.bool_]] = {}
    for columns in found:
        for name, column in columns.items():
            spoiled[name] = column.filled | spoiled.get(name, False)
    return spoiled


def _unguarded(texts: Sequence[str]) -> list[str]:
    return [unguarded(text) for text in texts]


def _refuse_long(field: str, column: Column, faults: Faults) -> None:
    longest = faults.rules.limits.cell
    if max(map(len, column.values), default=0) <= longest:
        return
    long = np.array([len(value) > longest for value in column.values] + [False], dtype=bool)
    faults.add(np.flatnonzero(long[column.codes]).tolist(), field, "too_long", column)


def _refuse_long_number(number: Column | None, faults: Faults) -> None:
    """A case number is a key, and keys are bounded. What is no cell at all is told by `_refuse_long`."""
    if number is None or max(map(len, number.values), default=0) <= NUMBER_LENGTH:
        return
    most = faults.rules.limits.cell
    long = np.array([NUMBER_LENGTH < len(value) <= most for value in number.values] + [False], dtype=bool)
    faults.add(np.flatnonzero(long[number.codes]).tolist(), "case.number", "number_too_long", number)


def _refuse_lost(field: str, column: Column, faults: Faults) -> None:
    """Our error file shows what could not be read as U+FFFD; sent again as it is, it must not pass for a name."""
    lost = np.array(["\ufffd" in value for value in column.values] + [False], dtype=bool)
    if lost.any():
        faults.add(np.flatnonzero(lost[column.codes]).tolist(), field, "lost_characters", column)


def _refuse_missing(field: str, texts: Mapping[str, Column], blank: NDArray[np.bool_], faults: Faults) -> None:
    where_from = field if field in texts else "event.datetime" if field == "event.date" else field
    filled = texts[where_from].filled if where_from in texts else np.zeros(len(blank), dtype=bool)
    if field == "event.date" and "event.datetime" in texts and where_from != "event.datetime":
        filled = filled | texts["event.datetime"].filled
    faults.add(np.flatnonzero(~filled & ~blank).tolist(), where_from, "missing_required", None)


def _constants(rules: Rules, rows: int) -> dict[str, Column]:
    constants = rules.template.constants.items()
    return {field: Column(np.zeros(rows, dtype=np.int32), (value,)) for field, value in constants}


def _refuse_nobody(keyring: Keyring, blank: NDArray[np.bool_], faults: Faults) -> None:
    if faults.rules.template.maps_client:
        nobody = np.flatnonzero((keyring.people[0].client == 0) & ~blank & ~faults.bad).tolist()
        template, match = faults.rules.template, faults.rules.template.match
        known_by = natural_fields("client", match.client, match.case)
        field = next((name for name in known_by if name in template.fields), "client.reference")
        faults.add(nobody, field, "no_client", None)
    else:
        faults.add(np.flatnonzero((keyring.case == 0) & ~blank & ~faults.bad).tolist(), "case.number", "no_case", None)


def _refuse_lost_hearings(keyring: Keyring, blank: NDArray[np.bool_], faults: Faults) -> None:
    """What the template knows hearings (or payments) by is empty: it cannot be told which one it is. Or a hearing is
    named, and nobody says when it is: what else is said of it would be lost."""
    lost = keyring.people[0].lost & ~blank & ~faults.bad
    faults.add(np.flatnonzero(lost).tolist(), "event.date", "no_event", None)
    undated = keyring.people[0].undated & ~blank & ~faults.bad
    where_from = "event.date" if "event.date" in faults.rules.template.fields else "event.datetime"
    faults.add(np.flatnonzero(undated).tolist(), where_from, "no_date", None)
    unpaid = keyring.unpaid & ~blank & ~faults.bad
    faults.add(np.flatnonzero(unpaid).tolist(), "payment.amount", "no_payment", None, "warning")


def _report_nobody(keyring: Keyring, texts: Mapping[str, Column], faults: Faults) -> None:
    """Something is said of a further party, but not who it is."""
    for person in keyring.people[1:]:
        told = {
            name: text for name, text in texts.items() if person.party and split_party(name)[0] == person.party.number
        }
        left = (person.client == 0) & ~faults.bad
        for name, column in told.items():
            if name in faults.rules.template.rules and faults.rules.template.rules[name].default:
                continue
            rows = np.flatnonzero(column.filled & left)
            left[rows] = False
            faults.add(rows.tolist(), name, "nobody_named", column, "warning")


def _batch(
    values: Mapping[str, Column],
    keyring: Keyring,
    blank: NDArray[np.bool_],
    left: NDArray[np.int64],
    faults: Faults,
    texts: Mapping[str, Column],
) -> Batch:
    rules, index = faults.rules, faults.cells.index
    good = np.flatnonzero(~faults.bad & ~blank & (left == 0))
    excluded = np.flatnonzero(left)
    lines = faults.records.line[index[excluded]]
    filled = rules.template.filled | _WHEN
    kept = {name: column for name, column in values.items() if split_party(name)[1] in filled}  # no filters' cells
    keys = keyring.table(good)
    if rules.template.excludes:
        keys.append(expiries(rules, values.get("event.date"), len(blank))[good])
    return Batch(
        index=index[good],
        clean=~faults.warned[good],
        keys=keys,
        said=say(keyring, kept, good, index),
        errors=tuple(faults.told(frozenset(lines.tolist()))),
        left=index[excluded],
        filters=left[excluded],
        excluded=tuple(_excluded(lines, left[excluded], rules)),
        refused=_refused(kept, keyring, np.flatnonzero(~blank & (left == 0)), faults, texts),
    )


def _refused(
    values: Mapping[str, Column], keyring: Keyring, rows: Ints, faults: Faults, texts: Mapping[str, Column]
) -> Refused | None:
    """What a snapshot must know of its rows that are refused, or lack a cell: what they name is not gone, they only say
    it badly."""
    cells = faults.cells
    if not faults.rules.template.processing.replaces or not (faults.bad.any() or faults.warned.any() or cells.refused):
        return None
    bad, good = rows[faults.bad[rows]], rows[~faults.bad[rows]]
    parts = (keyring.unread, *(person.unread for person in keyring.people))
    unclear = np.zeros(len(faults.bad), dtype=bool)
    for spoiled in (spoiled for part in parts for spoiled in part.values()):
        unclear |= spoiled
    nobody = bad[unclear[bad] | ((keyring.people[0].client[bad] == 0) & (keyring.case[bad] == 0))]
    unread = [*(index for index, _ in cells.refused), *cells.index[nobody].tolist()]
    mistyped, paid = misread_contacts(keyring, texts, values), misread_payment(keyring, texts)
    own, *others = keyring.people
    payers = replace(keyring, people=(own, *(replace(each, client=np.zeros_like(each.client)) for each in others)))
    return Refused(
        say(keyring, values, bad, cells.index),
        tuple(coerce.tidy([cells.raw(index) for index in unread])),
        say(mistyped, values, good[mistyped.names_anybody[good]], cells.index),
        say(payers, values, good[paid[good]], cells.index),
    )


_WHEN = frozenset({"event.starts_at", "event.date", "event.time"})


def _excluded(lines: NDArray[np.int32], filters: Ints, rules: Rules) -> list[RowError]:
    reasons = [exclude.reason for exclude in rules.template.excludes]
    return [
        RowError(line, "", "", "excluded", f"Left out: {reasons[number - 1]}.", "excluded")
        for line, number in zip(lines.tolist(), filters.tolist(), strict=True)
    ]
