"""How the text of a field is made of the columns that its rule names; each distinct text once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingest import coerce
from ingest.parse import Column
from ingest.template import Rule


def apply_rule(
    rule: Rule, slots: Sequence[Column], lookups: Mapping[str, Mapping[str, str]], rows: int
) -> tuple[Column, Column | None]:
    """The column that `rule` makes of `slots` (tidied, those of its columns that the file has), and the texts that its
    lookup does not hold, if there are any."""
    column = _together(rule, slots, rows)
    if rule.part:
        column = column.map(lambda texts: coerce.name_part(texts, rule.part, rule.order))
    if rule.split:
        column = column.map(lambda texts: [_piece(text, rule) for text in texts])
    column, unknown = _looked_up(rule, column, lookups)
    if rule.values:
        column = column.map(lambda texts: [rule.values.get(text.casefold(), text) for text in texts])
    if rule.case:
        column = column.map(lambda texts: _cased(texts, rule.case))
    if rule.default:
        column = lay_over(column, Column(np.zeros(rows, dtype=np.int32), (rule.default,)), column.filled)
    return column, unknown


def may_lose(rule: Rule) -> bool:
    """Whether splitting or a lookup may make nothing of a cell that holds something. (Of a name, it may: a part that is
    not there is none.)"""
    return not rule.part and bool(rule.split or (rule.lookup and rule.unknown == "empty"))


def find_lost(rule: Rule, slots: Sequence[Column], lookups: Mapping[str, Mapping[str, str]], rows: int) -> Column:
    """The cells that hold something of which splitting or a lookup makes nothing."""
    told = _together(rule, slots, rows)
    bare = replace(rule, values={}, case="", default="")
    made, _ = apply_rule(bare, slots, lookups, rows)
    return lay_over(Column(np.full(rows, -1, dtype=np.int32), ()), told, made.filled)


def lay_over(upper: Column, lower: Column | None, covered: NDArray[np.bool_]) -> Column:
    """`upper` where rows are covered by it, `lower` elsewhere."""
    if lower is None:
        return upper
    shifted = np.where(lower.codes >= 0, lower.codes + len(upper.values), -1)
    codes = np.where(covered, upper.codes, shifted).astype(np.int32)
    return Column(codes, upper.values + lower.values)


def _together(rule: Rule, slots: Sequence[Column], rows: int) -> Column:
    if not slots:
        return Column(np.full(rows, -1, dtype=np.int32), ())
    column = slots[0]
    for following in slots[1:]:
        if rule.way == "first":
            column = lay_over(column, following, column.filled)
        else:
            column = _joined(column, following, rule.separator)
    return column


def _joined(left: Column, right: Column, separator: str) -> Column:
    """Both texts, or the one that is there; each distinct pair is put together once."""
    pairs = (left.codes.astype(np.int64) + 1) * (len(right.values) + 1) + right.codes + 1
    codes, distinct = pd.factorize(pairs)
    before, behind = (("", *left.values), ("", *right.values))
    texts = []
    for pair in distinct.tolist():
        both = before[pair // len(behind)], behind[pair % len(behind)]
        texts.append(separator.join(text for text in both if text))
    kept = Column(np.asarray(codes, dtype=np.int32), tuple(texts))
    return kept.map(lambda values: values)  # where both are empty there is nothing


def _piece(text: str, rule: Rule) -> str | None:
    pieces = [piece.strip() for piece in text.split(rule.split)]
    place = rule.take - 1 if rule.take > 0 else rule.take
    return pieces[place] if -len(pieces) <= place < len(pieces) else None


def _looked_up(rule: Rule, column: Column, lookups: Mapping[str, Mapping[str, str]]) -> tuple[Column, Column | None]:
    if not rule.lookup:
        return column, None
    table = lookups[rule.lookup]
    known = [text in table for text in column.values]
    found = column.map(
        lambda texts: [table.get(text, text if rule.unknown in ("warn", "keep") else "") for text in texts]
    )
    if all(known) or rule.unknown in ("keep", "empty"):
        return found, None
    return found, column.map(lambda texts: [None if known[i] else text for i, text in enumerate(texts)])


def _cased(texts: Sequence[str], case: str) -> list[str]:
    if case == "title":
        return coerce.titled(texts)
    return [text.upper() if case == "upper" else text.lower() for text in texts]
