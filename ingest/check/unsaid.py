"""Of which fields a row of a snapshot says nothing, so that they stay: an empty cell would empty its field.

A snapshot empties what the file has an empty cell for: one that can be read, in a column that the template reads for
that very person. What another person's column tells says nothing of them.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ingest.check.people import is_personal
from ingest.parse import Column
from ingest.record import CONTACT_COLUMNS, CONTACTS, UNSAID, WHEN_FIELDS
from ingest.template import Template, of_party, split_party


def find_unsaid(
    texts: Mapping[str, Column], values: Mapping[str, Column], template: Template, rows: int
) -> dict[str, Column]:
    """The fields that hold `UNSAID` somewhere, of the `texts` of cells and their `values`."""
    silent = Column(np.zeros(rows, dtype=np.int32), (UNSAID,))
    return dict.fromkeys(_absent(values, template), silent) | _unread(texts, values, template)


def _unread(texts: Mapping[str, Column], values: Mapping[str, Column], template: Template) -> dict[str, Column]:
    """Those of which a cell is filled and cannot be read; not dates and times of hearings, and no contacts."""
    found = {}
    for name in sorted(texts.keys() & values.keys() & template.fields):
        text, value = texts[name], values[name]
        if text is value or split_party(name)[1] in (*WHEN_FIELDS, *CONTACTS):
            continue
        unread = text.filled & ~value.filled
        if unread.any():
            codes = np.where(unread, len(value.values), value.codes).astype(np.int32)
            found[name] = Column(codes, (*value.values, UNSAID))
    return found


def _absent(values: Mapping[str, Column], template: Template) -> list[str]:
    """Those that the file has for one person of a row, and not for another; or for one of their contacts."""
    numbers, told = (0, *(party.number for party in template.parties)), sorted(map(split_party, values))
    personal = {name for _, name in told if is_personal(name) and name not in CONTACTS and name not in _ABOUT}
    about = {_ABOUT[name] for _, name in told if name in _ABOUT}
    every = [of_party(number, name) for number in numbers for name in sorted(personal)]
    contacts = [of_party(number, field) for number in numbers for field in CONTACTS]
    every += [f"{field}_{name}" for field in contacts if field in template.fields for name in sorted(about)]
    return [name for name in every if name not in values]


_ABOUT = MappingProxyType({f"{field}_{name}": name for field in CONTACTS for name in CONTACT_COLUMNS})
