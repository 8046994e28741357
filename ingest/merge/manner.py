"""What a file may say in place of a value, and what it says by saying nothing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ingest.databases import Laying, Taking
from ingest.record import CLEARED, CLEARED_NUMBER, CUSTOM, UNSAID, UNSAID_NUMBER

MOVED = ("starts_at", "local_date", "local_time", "zone")
"""When a hearing is: these go together, so nothing of what is there is kept beside them."""
TIMELESS = (
    "{new}.local_time IS NULL AND {new}.local_date = {old}.local_date "
    "AND ({old}.local_time IS NOT NULL OR {new}.zone = {old}.zone)"
)
"""Of a hearing: the same date, and no word of a time. A day that has no time begins when it does in the new zone."""
_NUMBERS = frozenset({"amount"})
_AS_NUMBERS = MappingProxyType({CLEARED: CLEARED_NUMBER, UNSAID: UNSAID_NUMBER})


@dataclass(frozen=True)
class Manner:
    """How the staged records of one file are to be taken.

    What a file leaves empty leaves what is there, or is `CLEARED` if it `clears`. What a `whole` one, a snapshot,
    leaves empty is empty from now on, but what is `UNSAID`, in the columns `unsaid` of each table; if it is `timed`, it
    tells the times of hearings. If it `wipes`, such a time may be `CLEARED`.
    """

    whole: bool = False
    clears: bool = False
    timed: bool = False
    wipes: bool = False
    unsaid: Mapping[str, Collection[str]] = field(default_factory=dict)

    def taking(self, table: str, column: str) -> Taking:
        """Of a column with one value."""
        if self.whole:
            return Taking(column, leaves=_literal(column, UNSAID) if self._may_leave(table, column) else "")
        return Taking(column, kept=True, empties=_literal(column, CLEARED) if self.clears else "")

    def laying(self, table: str, taken_out: str) -> Laying:
        """Of the custom fields, of which a snapshot has those of the parameter `taken_out` taken out before."""
        if self.whole:
            return Laying(CUSTOM, taken_out=taken_out, leaves=_text(UNSAID) if self._may_leave(table, CUSTOM) else "")
        return Laying(CUSTOM, empties=_text(CLEARED) if self.clears else "")

    def moving(self) -> tuple[Taking, ...]:
        """Of when a hearing is: one of the same date keeps its time where none is told."""
        stays = "" if self.whole and self.timed else TIMELESS
        emptied = {"local_time": _text(CLEARED)} if self.wipes else {}
        return tuple(Taking(column, empties=emptied.get(column, ""), stays=stays) for column in MOVED)

    def _may_leave(self, table: str, column: str) -> bool:
        return column in self.unsaid.get(table, ())


def staged(column: str) -> str:
    """The expression of that column of a stage `s`, in which numbers are texts, as it is kept."""
    value = f"s.{column}"
    if column not in _NUMBERS:
        return value
    for mark, number in _AS_NUMBERS.items():
        value = f"replace({value}, '{mark}', '{number}')"
    return f"CAST({value} AS BIGINT)"


def _literal(column: str, mark: str) -> str:
    return str(_AS_NUMBERS[mark]) if column in _NUMBERS else _text(mark)


def _text(mark: str) -> str:
    return f"'{mark}'"
