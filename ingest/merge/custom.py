"""The SQL of custom fields: one column with a JSON object of texts. Their names are bound, never put into the text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.databases import Backend
from ingest.record import CUSTOM, split_custom


@dataclass(frozen=True)
class Custom:
    """The custom fields of one table: staged column to field."""

    table: str
    columns: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False  # a snapshot's: a field that is empty now is taken out

    @property
    def column(self) -> tuple[str, ...]:
        """The column that they are kept in, if there are any."""
        return (CUSTOM,) if self.columns else ()

    @property
    def names(self) -> dict[str, str]:
        """What is to be bound."""
        named = {column: split_custom(each) for column, each in self.columns.items()}
        bound = {f"{self.table}_{column}": name[1] for column, name in named.items() if name}
        if not self.emptied:
            return bound
        return bound | {self.emptied: json.dumps(dict.fromkeys(bound.values()), ensure_ascii=False)}

    @property
    def emptied(self) -> str:
        """The parameter that holds the fields to be taken out, if any are."""
        return f"{self.table}_emptied" if self.columns and self.whole else ""

    def packed(self, backend: Backend) -> str:
        """The columns of a stage `s` as one object, and a comma; NULL if all of them are empty."""
        if not self.columns:
            return ""
        pairs = ", ".join(f"CAST(:{self.table}_{column} AS TEXT), s.{column}" for column in self.columns)
        return f"{backend.pack(pairs)}, "
