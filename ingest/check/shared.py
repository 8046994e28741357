"""References under which one file names several people: they become one, with the hearings and contacts of all."""

import unicodedata
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from ingest.check.batch import Said

FIRST, LAST = "client.first_name", "client.last_name"
_COMPARED = 20
"""Names of one person that are compared with each other."""


def find_shared(said: Said) -> dict[int, str]:
    """The keys of clients of whom rows tell another first name and another last name; of each the reference, if any."""
    if FIRST not in said.values or LAST not in said.values:
        return {}
    first, last = said.values[FIRST], said.values[LAST]
    rows = np.flatnonzero((said.client != 0) & first.filled & last.filled)
    if not len(rows):
        return {}
    rows = rows[np.argsort(said.client[rows], kind="stable")]
    keys = said.client[rows]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    both = (column.codes[rows] for column in (first, last))
    varied = [np.minimum.reduceat(codes, starts) != np.maximum.reduceat(codes, starts) for codes in both]
    ends, found = np.append(starts[1:], len(rows)), {}
    for place in np.flatnonzero(varied[0] & varied[1]).tolist():
        own = rows[starts[place] : ends[place]]
        pairs = dict.fromkeys(zip(first.codes[own].tolist(), last.codes[own].tolist(), strict=True))
        if _are_several([(first.values[one], last.values[other]) for one, other in pairs]):
            found[int(keys[starts[place]])] = _reference(said, int(own[0]))
    return found


def is_other(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Whether neither the first nor the last name is the same; so that it is somebody else, mostly.

    One of the two changes by marriage or is spelled otherwise, and sometimes they stand in each other's place.
    """
    old, new = list(_folded(before)), list(_folded(after))
    return all(old) and all(new) and not set(old) & set(new)


def _are_several(names: list[tuple[str, str]]) -> bool:
    return any(is_other(one, other) for one, other in combinations(names[:_COMPARED], 2))


def _folded(names: tuple[str, str]) -> Iterator[str]:
    """For a comparison: a name that is written in capitals or without its accents is no other."""
    for name in names:
        plain = unicodedata.normalize("NFKD", name)
        yield "".join(letter for letter in plain if letter.isalnum()).casefold()


def _reference(said: Said, row: int) -> str:
    column = said.values.get("client.reference")
    return column.values[column.codes[row]] if column and column.codes[row] >= 0 else ""
