"""The 64-bit keys by which rows of a file are told to speak of the same record.

A key is SipHash over the natural key, so that sorting, joining and remembering need only integers; 0 means "none".
Two different records of one file share a key with odds of n^2 / 2^65 (1M records: 1 in 37 million).
The natural keys:

    client   its reference within the agency; without one, its whole name (last, first, middle, suffix) on its case: two
             John Smiths of two cases are never merged, nor a junior with his father on one
    case     its number within the agency
    party    client and case
    contact  client, kind and normalised value
    event    client, case, and local date, time and type if there is one; or client, case and its reference (so a
             hearing may move to another hour, but one whose case number is corrected is a second hearing)

Capitals and spaces tell nothing apart but references and case numbers.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingest.parse import Column

Keys = NDArray[np.int64]
_HASH_KEY = "dropslot records"
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # splitmix64 (Steele, Lea, Flood 2014)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


class Seed(IntEnum):
    """What a key is of, so that keys of different things are apart. Skip indexes hold such keys: no number changes."""

    CLIENT = 1
    CASE = 3
    EVENT_SLOT = 4
    PARTY = 6
    PHONE = 7
    EMAIL = 8
    EVENT = 9
    PAYMENT_SLOT = 10
    PAYMENT = 11


def hash_texts(texts: Sequence[str]) -> NDArray[np.uint64]:
    """A hash of each text, never 0."""
    column = np.empty(len(texts), dtype=object)
    column[:] = list(texts)
    hashed = cast(NDArray[np.uint64], pd.util.hash_array(column, hash_key=_HASH_KEY, categorize=False))
    return np.where(hashed == 0, _GOLDEN, hashed)


def folded(text: str) -> str:
    """The text as it is compared: capitals or not, and however many spaces, it is the same."""
    text = text.casefold().strip()
    return text if text.isascii() and "  " not in text else " ".join(text.split())


def hash_column(column: Column | None, rows: int, fold: bool = False) -> NDArray[np.uint64]:
    """A hash for each row, 0 where the column is empty or absent; with `fold`, of the texts as they are `folded`."""
    if column is None:
        return np.zeros(rows, dtype=np.uint64)
    values = [folded(value) for value in column.values] if fold else column.values
    hashes = np.append(hash_texts(values), np.uint64(0))
    return hashes[column.codes]


def combine(seed: int, *parts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash of several, in this order; another one with another `seed` (`Seed`)."""
    mixed = np.full(len(parts[0]), seed, dtype=np.uint64)
    for part in parts:
        mixed = mix(mixed * _FIRST + part + _GOLDEN)
    return np.where(mixed == 0, _GOLDEN, mixed)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each value scattered over all 64 bits, one to one."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))


def where(condition: NDArray[np.bool_], keys: NDArray[np.uint64]) -> Keys:
    """The keys where the condition holds and 0 elsewhere, as the signed integers that databases keep."""
    return np.where(condition, keys, np.uint64(0)).view(np.int64)
