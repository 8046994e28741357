"""The shape of a template's files: the columns that the last one had, so that the next one can be compared with it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any

STOPPED = ("drift", "missing_column")
"""Codes of files that were not taken for their columns."""
KEPT = 10
"""Shapes of before, each put back if the file of the one behind it is undone."""
_POSITION = re.compile(r"(column \d+)(?: \((\w+)\))?")


@dataclass(frozen=True)
class Shape:
    """The columns of the last file of a template that was taken, or that an operator has accepted.

    `names` are those of its header; without one, `width` counts and `kinds` (date, time, ... or "") tell what each
    column held. `lost` are columns that the template reads and that are gone since, with the day (ISO) of the last
    file that had them. `version` is that of the template by which it was read, `let_go` the slots (columns) that an
    operator lets files come without under that version; `spared` are whole fields, as earlier releases kept it, and
    `exclude` for filters. `file` and `day` (ISO) are of that last file.
    """

    names: tuple[str, ...]
    width: int
    file: str
    day: str
    kinds: tuple[str, ...] = ()
    lost: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    spared: frozenset[str] = frozenset()
    version: str = ""
    let_go: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """What people call the columns."""
        return self.names or positions(self.width, self.kinds)

    def write(self) -> str:
        """As JSON."""
        sets = {"spared": sorted(self.spared), "let_go": sorted(self.let_go)}
        return json.dumps({**asdict(replace(self, lost={})), "lost": dict(self.lost), **sets})


def read_shape(text: str) -> Shape:
    """The shape that was written so."""
    told: dict[str, Any] = json.loads(text)
    told.pop("before", None)
    lists = {name: tuple(told[name]) for name in ("names", "kinds")}
    sets = {name: frozenset(told.get(name, ())) for name in ("spared", "let_go")}
    return Shape(**(told | lists | sets | {"lost": MappingProxyType(told["lost"])}))


History = Sequence[tuple[datetime, Shape]]
"""Shapes with the instants at which each came to be expected, the newest first."""


def write_history(history: History) -> str:
    """The newest shape as JSON, with as many of those before it as are kept: of each, what differs from the one that is
    newer."""
    texts = [(at, json.loads(shape.write())) for at, shape in history[: KEPT + 1]]
    before = [
        {"at": at.isoformat(), "shape": {key: value for key, value in told.items() if value != newer[key]}}
        for (_, newer), (at, told) in pairwise(texts)
    ]
    return json.dumps(texts[0][1] | {"before": before})


def read_history(text: str, at: datetime) -> History:
    """What was written so; `at` is the instant of the newest."""
    newest = read_shape(text)
    told: dict[str, Any] = json.loads(newest.write())
    found = [(at, newest)]
    for entry in json.loads(text).get("before", ()):
        told = told | entry["shape"]
        found.append((datetime.fromisoformat(entry["at"]), read_shape(json.dumps(told))))
    return found


def leave_out(history: History, at: datetime) -> History:
    """As it would be if the shape of that instant had never come. What an operator let go under a version of the
    template stays let go: that was the word of a person, and not of the file."""
    left = [(when, shape) for when, shape in history if when != at]
    if not left or left[0] == history[0]:
        return left
    gone, (when, shape) = history[0][1], left[0]
    if gone.version == shape.version:
        shape = replace(shape, let_go=shape.let_go | gone.let_go, spared=shape.spared | gone.spared)
    return [(when, shape), *left[1:]]


def positions(width: int, kinds: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns without a header, as people call them, with what they hold if it is known."""
    known = [*kinds, *[""] * (width - len(kinds))]
    return tuple(f"column {i}" + (f" ({kind})" if kind else "") for i, kind in enumerate(known[:width], 1))


def kind_of(column: str) -> str:
    """What a column holds by what people call it (`positions`), or ""."""
    found = _POSITION.fullmatch(column)
    return (found and found[2]) or ""
