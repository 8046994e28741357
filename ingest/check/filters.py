"""Exclude Settings: which rows the template leaves out, and until when those that are taken will be."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ingest import coerce
from ingest.check.faults import Rules
from ingest.parse import Column
from ingest.template import Exclude

_LOOKED_AT = 1000
"""Characters of a cell that a pattern sees; with RE2, which never goes back, the time for a cell is bounded."""


def left_out(rules: Rules, texts: Mapping[str, Column], day: Column | None, rows: int) -> NDArray[np.int64]:
    """For each row the number, from 1, of the first filter that leaves it out, or 0.

    `texts` are fields and slots as they are written, `day` the event's dates as they were read. A filter whose column
    the file does not have leaves out nothing, and the receipt says so.
    """
    chosen = np.zeros(rows, dtype=np.int64)
    for number, exclude in enumerate(rules.template.excludes, 1):
        column = day if exclude.test == "past" else texts.get(exclude.name)
        if column is not None:
            chosen[(chosen == 0) & _passes(exclude, column, rules.today)] = number
    return chosen


def expiries(rules: Rules, day: Column | None, rows: int) -> NDArray[np.int64]:
    """For each row the first day, as an ordinal, on which a filter would leave it out as past; 0 if none ever does."""
    past = [exclude.days for exclude in rules.template.excludes if exclude.test == "past"]
    if not past or day is None:
        return np.zeros(rows, dtype=np.int64)
    days = [ordinal + min(past) + 1 for ordinal in coerce.ordinals(day.values)]
    return np.array([*days, 0], dtype=np.int64)[day.codes]


def _passes(exclude: Exclude, column: Column, today: date) -> NDArray[np.bool_]:
    test: Callable[[Sequence[str]], list[bool]] = {
        "is": lambda texts: [text.casefold() in exclude.values for text in texts],
        "is_not": lambda texts: [text.casefold() not in exclude.values for text in texts],
        "blank": lambda texts: [False] * len(texts),
        "matches": lambda texts: _matching(exclude.pattern, texts),
        "past": lambda texts: [today.toordinal() - ordinal > exclude.days for ordinal in coerce.ordinals(texts)],
    }[exclude.test]
    passed = np.array([*test(column.values), exclude.test == "blank"], dtype=bool)
    return passed[column.codes]


def _matching(pattern: str, texts: Sequence[str]) -> list[bool]:
    shown = pa.array([text[:_LOOKED_AT] for text in texts], pa.string())
    matched: list[bool] = pc.match_substring_regex(shown, pattern).to_pylist()
    return matched
