"""What is left of a chunk once it has been checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ingest.answer import RowError
from ingest.check.people import Contact, Keyring, Person, personal
from ingest.keys import Keys
from ingest.parse import Column
from ingest.parse.records import Ints
from ingest.template import split_party


@dataclass(frozen=True)
class Contacts:
    """Contacts of one kind, in the order of the rows; `about` holds what is said of them, by column."""

    key: Keys
    client: Keys
    value: Column
    about: Mapping[str, Column]


@dataclass(frozen=True)
class Said:
    """What rows say, one element for each person of each row, in the order of the file.

    The keys are 0 where there is no such record. `values` are normalised, by field; `event.starts_at`, `event.date`
    and `event.time` are the event's instant and local date and time. `contacts` are by kind.
    """

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
    out. `refused` is there if the template replaces and a row has an error.
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

    def __len__(self) -> int:
        return len(self.index)


def say(keyring: Keyring, values: Mapping[str, Column], rows: Ints) -> Said:
    """What the chosen `rows` of a chunk say."""
    people = keyring.people
    payment = None if keyring.payment is None else keyring.payment[rows]
    if len(people) == 1:
        own = people[0]
        chosen = {name: Column(column.codes[rows], column.values) for name, column in values.items()}
        keys = own.client[rows], keyring.case[rows], own.role[rows], own.event[rows]
        return Said(*keys, payment, MappingProxyType(chosen), _contacts(people, [rows]))
    places = [rows, *(rows[person.client[rows] != 0] for person in people[1:])]
    order = np.argsort(np.concatenate(places), kind="stable")
    laid = [np.concatenate([getattr(p, n)[at] for p, at in zip(people, places, strict=True)])[order] for n in _OF_EACH]
    case = np.concatenate([keyring.case[at] for at in places])[order]
    if payment is not None:
        payment = np.concatenate([payment, np.zeros(len(order) - len(payment), dtype=np.int64)])[order]
    views = [values if p.party is None else personal(values, p.party.number) for p in people]
    named = {name for view in views for name in view if not split_party(name)[0]}
    together = {name: _stacked([view.get(name) for view in views], places, order) for name in sorted(named)}
    client, role, event = laid
    return Said(client, case, role, event, payment, MappingProxyType(together), _contacts(people, places))


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


def _contacts(people: Sequence[Person], places: Sequence[Ints]) -> Mapping[str, Contacts]:
    """The contacts of everybody, by kind."""
    found: dict[str, list[tuple[Person, Contact, Ints]]] = {}
    for person, at in zip(people, places, strict=True):
        for contact in person.contacts:
            found.setdefault(contact.kind, []).append((person, contact, at[contact.key[at] != 0]))
    return MappingProxyType({kind: _of_kind(each) for kind, each in found.items()})


def _of_kind(each: Sequence[tuple[Person, Contact, Ints]]) -> Contacts:
    places = [at for _, _, at in each]
    order = np.argsort(np.concatenate(places), kind="stable")
    named = sorted({name for _, contact, _ in each for name in contact.about})
    return Contacts(
        np.concatenate([contact.key[at] for _, contact, at in each])[order],
        np.concatenate([person.client[at] for person, _, at in each])[order],
        _stacked([contact.value for _, contact, _ in each], places, order),
        MappingProxyType(
            {name: _stacked([contact.about.get(name) for _, contact, _ in each], places, order) for name in named}
        ),
    )
