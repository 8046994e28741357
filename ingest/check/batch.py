"""What is left of a chunk once it has been checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ingest.answer import RowError
from ingest.check.passed import NONE_PASSED, Passed
from ingest.check.people import Contact, Keyring, Person, personal
from ingest.keys import Keys
from ingest.parse import Column
from ingest.parse.records import Ints
from ingest.template import split_party


@dataclass(frozen=True)
class Contacts:
    """Contacts of one kind, in the order of the rows; `about` holds what is said of them, by column. `row` as in
    `Said`."""

    row: Ints
    key: Keys
    client: Keys
    value: Column
    about: Mapping[str, Column]


@dataclass(frozen=True)
class Said:
    """What rows say, one element for each person of each row, in the order of the file.

    `row` are the places of their rows among the file's records. The keys are 0 where there is no such record. `values`
    are normalised, by field; `event.starts_at`, `event.date` and `event.time` are the event's instant and local date
    and time. `contacts` are by kind.
    """

    row: Ints
    client: Keys
    case: Keys
    party: Keys
    event: Keys
    payment: Keys | None
    values: Mapping[str, Column]
    contacts: Mapping[str, Contacts]


@dataclass(frozen=True)
class Refused:
    """What a snapshot says so badly that nobody may take it for gone.

    `said` is whom refused rows name, as far as they can be read, `unread` the text of those that name nobody.
    `contacts` and `payments` are good rows with a contact or a payment that was not taken, since its cells could not be
    read; in `contacts`, whoever has no such cell is 0.
    """

    said: Said
    unread: tuple[str, ...]
    contacts: Said
    payments: Said


@dataclass(frozen=True)
class Batch:
    """Checked rows of one chunk in file order.

    `index` is each good row's place among the file's records, `clean` is False where it has a warning, and `keys` are
    those of `key_names`. `said` is what they say. `left` are the places of rows that filters leave out, `filters` the
    numbers, from 1, of those filters. `errors` are those of all rows of the chunk, `excluded` the rows that are left
    out. `refused` is there if the template replaces and a row has an error. `repeated` are headers that stand again,
    `unread` the rows that hold something, but nothing in the columns that are read.
    """

    index: Ints
    clean: NDArray[np.bool_]
    keys: Sequence[Keys]
    said: Said
    errors: tuple[RowError, ...]
    left: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    filters: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    excluded: tuple[RowError, ...] = ()
    refused: Refused | None = None
    repeated: Passed = NONE_PASSED
    unread: Passed = NONE_PASSED

    def __len__(self) -> int:
        return len(self.index)


def say(keyring: Keyring, values: Mapping[str, Column], rows: Ints, index: Ints) -> Said:
    """What the chosen `rows` of a chunk say; `index` are the places of all its rows among the file's records."""
    people = keyring.people
    payment = None if keyring.payment is None else keyring.payment[rows]
    if len(people) == 1:
        own = people[0]
        chosen = {name: Column(column.codes[rows], column.values) for name, column in values.items()}
        keys = own.client[rows], keyring.case[rows], own.role[rows], own.event[rows]
        return Said(index[rows], *keys, payment, MappingProxyType(chosen), _contacts(people, [rows], index))
    places = [rows, *(rows[person.client[rows] != 0] for person in people[1:])]
    every = np.concatenate(places)
    order = np.argsort(every, kind="stable")
    laid = [np.concatenate([getattr(p, n)[at] for p, at in zip(people, places, strict=True)])[order] for n in _OF_EACH]
    case = np.concatenate([keyring.case[at] for at in places])[order]
    if payment is not None:
        payment = np.concatenate([payment, np.zeros(len(order) - len(payment), dtype=np.int64)])[order]
    views = [values if p.party is None else personal(values, p.party.number) for p in people]
    named = {name for view in views for name in view if not split_party(name)[0]}
    stacked = {name: _stacked([view.get(name) for view in views], places, order) for name in sorted(named)}
    client, role, event = laid
    row, contacts = index[every[order]], _contacts(people, places, index)
    return Said(row, client, case, role, event, payment, MappingProxyType(stacked), contacts)


_OF_EACH = ("client", "role", "event")


def _stacked(columns: Sequence[Column | None], places: Sequence[Ints], order: Ints) -> Column:
    """Rows of several columns as one, in `order`."""
    codes, texts = [], list[str]()
    for column, at in zip(columns, places, strict=True):
        if column is None:
            codes.append(np.full(len(at), -1, dtype=np.int32))
            continue
        chosen = column.codes[at]
        codes.append(np.where(chosen >= 0, chosen + len(texts), -1).astype(np.int32))
        texts += column.values
    return Column(np.concatenate(codes)[order], tuple(texts))


def together(parts: Sequence[Said]) -> Said:
    """What the rows of all parts say, in the order of the file; no row is in two of them, and there is a part."""
    if len(parts) == 1:
        return parts[0]
    places, order = _in_order(parts)
    row, client, case, party, event = (np.concatenate([getattr(part, name) for part in parts])[order] for name in _KEYS)
    payments = [part.payment for part in parts if part.payment is not None]
    contacts = {kind: _contacts_together([part.contacts[kind] for part in parts]) for kind in parts[0].contacts}
    return Said(
        row,
        client,
        case,
        party,
        event,
        np.concatenate(payments)[order] if payments else None,
        _joined([part.values for part in parts], places, order),
        MappingProxyType(contacts),
    )


_KEYS = ("row", "client", "case", "party", "event")


def _contacts_together(parts: Sequence[Contacts]) -> Contacts:
    places, order = _in_order(parts)
    return Contacts(
        np.concatenate([part.row for part in parts])[order],
        np.concatenate([part.key for part in parts])[order],
        np.concatenate([part.client for part in parts])[order],
        _stacked([part.value for part in parts], places, order),
        _joined([part.about for part in parts], places, order),
    )


def _in_order(parts: Sequence[Said] | Sequence[Contacts]) -> tuple[list[Ints], Ints]:
    """All places within each part, and the order in which they stand in the file."""
    order = np.argsort(np.concatenate([part.row for part in parts]), kind="stable")
    return [np.arange(len(part.row)) for part in parts], order


def _joined(parts: Sequence[Mapping[str, Column]], places: Sequence[Ints], order: Ints) -> Mapping[str, Column]:
    names = sorted({name for part in parts for name in part})
    return MappingProxyType({name: _stacked([part.get(name) for part in parts], places, order) for name in names})


def _contacts(people: Sequence[Person], places: Sequence[Ints], index: Ints) -> Mapping[str, Contacts]:
    """The contacts of everybody, by kind."""
    found: dict[str, list[tuple[Person, Contact, Ints]]] = {}
    for person, at in zip(people, places, strict=True):
        for contact in person.contacts:
            found.setdefault(contact.kind, []).append((person, contact, at[contact.key[at] != 0]))
    return MappingProxyType({kind: _of_kind(each, index) for kind, each in found.items()})


def _of_kind(each: Sequence[tuple[Person, Contact, Ints]], index: Ints) -> Contacts:
    places = [at for _, _, at in each]
    every = np.concatenate(places)
    order = np.argsort(every, kind="stable")
    return Contacts(
        index[every[order]],
        np.concatenate([contact.key[at] for _, contact, at in each])[order],
        np.concatenate([person.client[at] for person, _, at in each])[order],
        _stacked([contact.value for _, contact, _ in each], places, order),
        _joined([contact.about for _, contact, _ in each], places, order),
    )
