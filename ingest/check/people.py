"""Which records each row speaks of: its own person, case, event and payment, and its further parties.

A row with further parties is laid out as several: one for each person it names, in order. So whoever stages them sees
one person per row, whatever the template.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.check.faults import Rules
from ingest.keys import Keys, Seed, combine, hash_column, where
from ingest.natural import Hashes, Unread, natural_keys
from ingest.parse import Column
from ingest.parse.records import Ints
from ingest.record import CONTACT_COLUMNS, CONTACTS
from ingest.template import Party, Template, of_party, split_party

Value = TypeVar("Value")
_NONE = np.uint64(0)
_OWN = ("client.", "contact.")
_OWED_BY = ("amount", "due_date", "reference")
"""There is a payment where one of these is."""
_CONTACT_SEEDS = {"phone": Seed.PHONE, "email": Seed.EMAIL}


@dataclass(frozen=True)
class Contact:
    """One column of contacts of one person: keys, the numbers or addresses, and what is said of them."""

    kind: str
    key: Keys
    value: Column
    about: Mapping[str, Column]


@dataclass(frozen=True)
class Person:
    """One person of each row, and what belongs to them; keys of 0 where a row names none.

    `lost` are the rows with a hearing that cannot be told from others, since what hearings are matched by is empty;
    `undated` those that name a hearing and tell no date; `unread` those of which nobody knows who it is, since a field
    that people are matched by cannot be read.
    """

    party: Party | None
    client: Keys
    role: Keys
    event: Keys
    contacts: tuple[Contact, ...]
    lost: NDArray[np.bool_]
    undated: NDArray[np.bool_]
    unread: Unread


@dataclass(frozen=True)
class Keyring:
    """The keys of all rows of a chunk. `unpaid` are the rows with a payment that cannot be told from others.

    `unread` and `unread_payment` are the rows of which the case or the payment is not known, since a field that it is
    matched by cannot be read.
    """

    case: Keys
    payment: Keys | None
    unpaid: NDArray[np.bool_]
    people: tuple[Person, ...]
    unread: Unread
    unread_payment: Unread

    @property
    def names_anybody(self) -> NDArray[np.bool_]:
        """The rows that name a person."""
        named = np.zeros(len(self.case), dtype=bool)
        for person in self.people:
            named |= person.client != 0
        return named

    def table(self, rows: Ints) -> list[Keys]:
        """All keys of these rows, one array for each of `key_names`."""
        own = self.people[0]
        keys = [own.client, self.case, own.event, *(contact.key for contact in own.contacts)]
        for person in self.people[1:]:
            keys += [person.client, person.event, *(contact.key for contact in person.contacts)]
        if self.payment is not None:
            keys.append(self.payment)
        return [key[rows] for key in keys]


def key_names(template: Template) -> tuple[str, ...]:
    """What the keys of a row are, in their order, the same in every file of a template: kinds of record, and `mark` for
    what filters make of the row."""
    names = ["client", "case", "event", *_contact_names(template, 0)]
    for party in template.parties:
        names += ["client", "event", *_contact_names(template, party.number)]
    names += ["payment"] * template.maps_payment + ["mark"] * bool(template.excludes)
    return tuple(names)


def _contact_names(template: Template, party: int) -> list[str]:
    return ["contact" for field in CONTACTS if of_party(party, field) in template.fields]


def find_keys(values: Mapping[str, Column], rules: Rules, rows: int, unread: Unread) -> Keyring:
    """The keys of every record that the rows speak of; `unread` are cells that are filled and cannot be read."""
    template = rules.template
    case, lost = natural_keys("case", [template.match.case], values, rows, unread=unread)
    people = [_person(party, values, case, rules, rows, unread) for party in (None, *template.parties)]
    if not template.maps_payment:
        return Keyring(case.view(np.int64), None, np.zeros(rows, dtype=bool), tuple(people), lost, {})
    client = people[0].client.view(np.uint64)
    payment, unpaid, unpayable = _payment(values, client, case, rules, rows, unread)
    return Keyring(case.view(np.int64), payment, unpaid, tuple(people), lost, unpayable)


def _payment(
    values: Mapping[str, Column], client: Hashes, case: Hashes, rules: Rules, rows: int, unread: Unread
) -> tuple[Keys, NDArray[np.bool_], Unread]:
    """There is a payment where there is an amount, a date on which it is due, or a reference; and which have no key."""
    owed = np.zeros(rows, dtype=bool)
    for name in _OWED_BY:
        if f"payment.{name}" in values:
            owed |= values[f"payment.{name}"].filled
        owed |= unread.get(f"payment.{name}", False)
    slot, spoiled = natural_keys("payment", rules.template.match.payment, values, rows, unread=unread)
    known = np.ones(rows, dtype=bool)
    for lost in spoiled.values():
        known &= ~lost
    owing = owed & known & (slot != _NONE) & ((client != _NONE) | (case != _NONE))
    return where(owing, combine(Seed.PAYMENT, client, case, slot)), owed & (slot == _NONE), spoiled


def _person(
    party: Party | None, values: Mapping[str, Column], case: Hashes, rules: Rules, rows: int, unread: Unread
) -> Person:
    match = rules.template.match
    own = values if party is None else personal(values, party.number)
    not_read = unread if party is None else personal(unread, party.number)
    client, lost = natural_keys("client", match.client, own, rows, match.case, not_read)
    known = client != _NONE
    dated = hash_column(values.get("event.date"), rows) != _NONE
    slot, unknown = natural_keys("event", match.event, values, rows, unread=unread)
    undated = ~dated & (slot != _NONE) & ("event.date" in values)
    for places in unknown.values():
        undated &= ~places
    lost = {**lost, **{name: places & dated for name, places in unknown.items()}}
    hearing = dated & (slot != _NONE) if party is None else dated & (slot != _NONE) & known & party.hearing
    return Person(
        party,
        client.view(np.int64),
        where(known & (case != _NONE), combine(Seed.PARTY, client, case)),
        where(hearing, combine(Seed.EVENT, client, case, slot)),
        tuple(_contacts(party.number if party else 0, own, client, rules, rows)),
        dated & (slot == _NONE),
        undated,
        {of_party(party.number, name) if party and is_personal(name) else name: rows for name, rows in lost.items()},
    )


def personal(values: Mapping[str, Value], number: int) -> dict[str, Value]:
    """The values as that further party has them: its own name and contacts, and the row's case and event."""
    shared = {name: column for name, column in values.items() if not is_personal(name) and not split_party(name)[0]}
    return shared | {split_party(name)[1]: column for name, column in values.items() if split_party(name)[0] == number}


def misread_contacts(keyring: Keyring, texts: Mapping[str, Column], values: Mapping[str, Column]) -> Keyring:
    """The keys of all rows, with those people alone of whom a phone or an address cannot be read; the others are 0."""
    people = []
    for person in keyring.people:
        fields = (of_party(person.party.number if person.party else 0, field) for field in CONTACTS)
        misread = np.zeros(len(person.client), dtype=bool)
        for field in (field for field in fields if field in texts):
            misread |= texts[field].filled & ~values[field].filled
        people.append(replace(person, client=np.where(misread, person.client, 0)))
    return replace(keyring, people=tuple(people))


def misread_payment(keyring: Keyring, texts: Mapping[str, Column]) -> NDArray[np.bool_]:
    """The rows that tell of a payment which cannot be read so far that there is one."""
    told = np.zeros(len(keyring.unpaid), dtype=bool)
    if keyring.payment is not None:
        for field in (f"payment.{name}" for name in _OWED_BY):
            told |= texts[field].filled if field in texts else False
        told &= keyring.payment == 0
    return told


def is_personal(name: str) -> bool:
    """Whether the field is one that each person of a row has for themselves."""
    return name.startswith(_OWN) or name == "case.role"


def _contacts(number: int, own: Mapping[str, Column], client: Hashes, rules: Rules, rows: int) -> Sequence[Contact]:
    contacts = []
    for field, kind in CONTACTS.items():
        if of_party(number, field) in rules.template.fields:
            hashed = hash_column(own.get(field), rows)
            key = where((client != _NONE) & (hashed != _NONE), combine(_CONTACT_SEEDS[kind], client, hashed))
            about = {name: own[f"{field}_{name}"] for name in CONTACT_COLUMNS if f"{field}_{name}" in own}
            value = own.get(field, Column(np.full(rows, -1, dtype=np.int32), ()))
            contacts.append(Contact(kind, key, value, about))
    return contacts
