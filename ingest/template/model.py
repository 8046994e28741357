"""What a template is once it has been read: frozen data, without a word of TOML.

Names of two kinds. A *field* is what a value is for: `client.first_name`, `case.custom.Bond` (`ingest.record`), and
with the number of a further party in front, `1:client.first_name`. A *slot* is one column that is read: it bears its
field's name, and a number behind if the field is made of several columns.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from ingest.format import FileFormat
from ingest.record import PAYMENTS
from ingest.template.processing import Processing

Place = int | tuple[str, ...]
"""A column of a file: its position from 1 on, or headers of which the first that the file has counts."""

_NUMBERED = "\x1f"


def tidied(text: str) -> str:
    """A text of a template as cells are tidied, so that they can be compared: single spaces, accents in NFC."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def slot(name: str, number: int) -> str:
    """The `number`-th column that `name` is made of."""
    return f"{name}{_NUMBERED}{number}"


def slot_owner(name: str) -> str:
    """The field (or filter) that a slot belongs to."""
    return name.partition(_NUMBERED)[0]


def of_party(party: int, name: str) -> str:
    """The field of a further party; 0 is the row's own person."""
    return f"{party}:{name}" if party else name


def split_party(name: str) -> tuple[int, str]:
    """The number of the party, and the field itself."""
    head, colon, rest = name.partition(":")
    return (int(head), rest) if colon and head.isdigit() else (0, name)


@dataclass(frozen=True)
class Rule:
    """How a field's text is made of its columns, in this order: taken together, split, looked up, mapped, in capitals
    or small letters, or the default where the cells hold nothing.

    A file without any of the columns says nothing for the field, nor does one without all that are joined.

    `way` is `one`, `first` (the first of several columns that holds something) or `join` (all that do, with
    `separator` between). `part` takes first, middle, last or suffix of a whole name written in `order` where no comma
    tells it; `split` and `take` the n-th piece (from the end if negative). `unknown` says what becomes of a text that
    `lookup` does not hold: warn, keep, empty or refuse. `values` has its keys casefolded. `spaces` keeps inner spaces.
    `dates`, `times` and `pivot` stand in place of the template's own formats.
    """

    slots: tuple[str, ...]
    way: str = "one"
    separator: str = " "
    part: str = ""
    order: str = "first last"
    split: str = ""
    take: int = 1
    lookup: str = ""
    unknown: str = "warn"
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    case: str = ""
    default: str = ""
    spaces: bool = False
    dates: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    pivot: int | None = None


@dataclass(frozen=True)
class Party:
    """A further person of each row, an attorney for instance; `hearing` gives them the row's hearing, too."""

    number: int
    name: str
    hearing: bool = False


@dataclass(frozen=True)
class Match:
    """What records are known by: for each kind, combinations of fields of which the first that a row has counts."""

    client: tuple[tuple[str, ...], ...] = (("reference",), ("name", "case"))
    case: tuple[str, ...] = ("number",)
    event: tuple[tuple[str, ...], ...] = (("reference",), ("date", "time", "type"))
    payment: tuple[tuple[str, ...], ...] = (("reference",), ("due_date", "description"))


@dataclass(frozen=True)
class Exclude:
    """A filter: rows of which `name` (a field or a slot) passes `test` are left out.

    `test` is `is`, `is_not`, `blank`, `matches` or `past`. `values` are casefolded; `days` is by how many days a date
    may be past.
    """

    name: str
    test: str
    reason: str
    values: frozenset[str] = frozenset()
    pattern: str = ""
    days: int = 0


@dataclass(frozen=True)
class Clock:
    """Local times that come twice (clocks set back): the `first` or `second`, or `refuse`. Times that never come (set
    forward): `later` by the gap, or `refuse`."""

    twice: str = "first"
    never: str = "later"


@dataclass(frozen=True)
class Template:
    """A template as the engine uses it. `fields` are those that columns or rules fill; `columns` are its slots.

    `rules` holds the fields that are more than a copy of the slot of their name. With `all_or_nothing`, a file with a
    row that cannot be taken changes nothing; with `clears`, an empty cell empties its field. `rows` and `size` (bytes)
    are the template's own limits. `spared` are slots without which files may come, since an operator has said so.
    """

    name: str
    file: FileFormat
    date_formats: tuple[str, ...]
    time_formats: tuple[str, ...]
    columns: Mapping[str, Place]
    constants: Mapping[str, str]
    required: frozenset[str]
    optional: frozenset[str]
    fields: frozenset[str] = frozenset()
    rules: Mapping[str, Rule] = field(default_factory=lambda: MappingProxyType({}))
    parties: tuple[Party, ...] = ()
    lookups: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    match: Match = Match()
    excludes: tuple[Exclude, ...] = ()
    clock: Clock = Clock()
    pivot: int | None = None
    all_or_nothing: bool = False
    clears: bool = False
    rows: int | None = None
    size: int | None = None
    processing: Processing = field(default_factory=Processing)
    spared: frozenset[str] = frozenset()

    @property
    def header(self) -> bool:
        """Whether a row of headers stands above the rows."""
        return self.file.header

    @property
    def maps_client(self) -> bool:
        """Whether rows speak of a person at all."""
        return any(name.startswith("client.") for name in self.fields)

    @property
    def maps_payment(self) -> bool:
        """Whether rows may speak of a payment."""
        return any(name.startswith(f"{PAYMENTS.prefix}.") for name in self.fields)

    @property
    def headers(self) -> frozenset[str]:
        """Every header that some field would take."""
        named = (names for names in self.columns.values() if not isinstance(names, int))
        return frozenset(header for names in named for header in names)

    @property
    def filled(self) -> frozenset[str]:
        """The fields of records that rows may fill, whoever's they are."""
        return frozenset(split_party(name)[1] for name in (*self.fields, *self.constants))

    def dates_of(self, name: str) -> tuple[tuple[str, ...], int | None]:
        """By which formats a field's dates are read, and the last two-digit year of this century."""
        rule = self.rules.get(name)
        formats = rule.dates if rule and rule.dates else self.date_formats
        return formats, rule.pivot if rule and rule.pivot is not None else self.pivot

    def times_of(self, name: str) -> tuple[str, ...]:
        """By which formats a field's times are read."""
        rule = self.rules.get(name)
        return rule.times if rule and rule.times else self.time_formats


@dataclass(frozen=True)
class TemplateVersion:
    """One text of a template, kept for ever. Built-in ones have version 0 and no agency."""

    id: str
    agency_id: str | None
    name: str
    version: int
    text: str
    created_at: datetime | None
