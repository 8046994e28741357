"""The shape of a template's files: the columns that the last one had, so that the next one can be compared with it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

STOPPED = ("drift", "missing_column")
"""Codes of files that were not taken for their columns."""
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
    lists = {name: tuple(told[name]) for name in ("names", "kinds")}
    sets = {name: frozenset(told.get(name, ())) for name in ("spared", "let_go")}
    return Shape(**(told | lists | sets | {"lost": MappingProxyType(told["lost"])}))


def positions(width: int, kinds: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns without a header, as people call them, with what they hold if it is known."""
    known = [*kinds, *[""] * (width - len(kinds))]
    return tuple(f"column {i}" + (f" ({kind})" if kind else "") for i, kind in enumerate(known[:width], 1))


def kind_of(column: str) -> str:
    """What a column holds by what people call it (`positions`), or ""."""
    found = _POSITION.fullmatch(column)
    return (found and found[2]) or ""


def day_of(at: datetime) -> str:
    """The day of an instant, in UTC."""
    return f"{at:%Y-%m-%d}"
