"""The SQL of custom fields: one column with a JSON object of texts, laid over key by key.

The two databases have other names for the same: SQLite's `json_patch` is RFC 7396, PostgreSQL's `||` joins two jsonb.
Both write an object that they have written before in the same way again, so that "it has changed" can be told by its
text. Names of fields are bound, never put into the text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.record import CUSTOM, split_custom


@dataclass(frozen=True)
class Custom:
    """The custom fields of one table: staged column to field. `dialect` is SQLAlchemy's name of the database."""

    table: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    dialect: str = "sqlite"

    @property
    def column(self) -> list[str]:
        """The column that they are kept in, if there are any."""
        return [CUSTOM] if self.columns else []

    @property
    def names(self) -> dict[str, str]:
        """What is to be bound."""
        named = {column: split_custom(each) for column, each in self.columns.items()}
        return {f"{self.table}_{column}": name[1] for column, name in named.items() if name}

    def packed(self, prefix: str = "") -> str:
        """The staged columns as one object, and a comma; NULL if all of them are empty."""
        if not self.columns:
            return ""
        pairs = ", ".join(f"CAST(:{self.table}_{column} AS TEXT), {prefix}{column}" for column in self.columns)
        if self.dialect == "sqlite":
            return f"nullif(json_patch('{{}}', json_object({pairs})), '{{}}'), "
        return f"nullif(CAST(jsonb_strip_nulls(jsonb_build_object({pairs})) AS TEXT), '{{}}'), "

    def change(self, table: str) -> list[str]:
        """What an object becomes under a new one."""
        return [f"{CUSTOM} = {self._laid_over(table)}"] if self.columns else []

    def differs(self, table: str) -> list[str]:
        """Whether that is something else."""
        return [f"coalesce({self._laid_over(table)}, '') <> coalesce({table}.{CUSTOM}, '')"] if self.columns else []

    def _laid_over(self, table: str) -> str:
        old, new = f"coalesce({table}.{CUSTOM}, '{{}}')", f"excluded.{CUSTOM}"
        if self.dialect == "sqlite":
            both = f"json_patch({old}, {new})"
        else:
            both = f"CAST(CAST({old} AS jsonb) || CAST({new} AS jsonb) AS TEXT)"
        return f"coalesce({both}, {table}.{CUSTOM})"


NO_CUSTOM = Custom()
