"""What is asked of a database in another way on SQLite than on PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, Executable, Table

from ingest.databases.taking import Laying, Taking


class UnfitDatabaseError(Exception):
    """There is a database, but dropslot cannot keep its tables in it; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True)
class Fill:
    """How rows go into a temporary table: by `key`, if it has one, and there once.

    Where the key is known, a value of `kept` columns replaces the one before unless it is NULL; `replaced` columns
    become what their expression gives, of columns of the `table` and of `excluded`, the new row. With a `mark`, a kept
    value that is the mark replaces nothing, and is replaced by NULL too.
    """

    table: str
    columns: tuple[str, ...]
    key: str | None = "key"
    kept: tuple[str, ...] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)
    mark: str = ""

    @property
    def changes(self) -> tuple[str, ...]:
        """The assignments where the key is known."""
        new = "coalesce(excluded.{c}, {t}.{c})"
        if self.mark:
            new = (
                f"CASE WHEN excluded.{{c}} = '{self.mark}' THEN {{t}}.{{c}} "
                f"ELSE coalesce(excluded.{{c}}, nullif({{t}}.{{c}}, '{self.mark}')) END"
            )
        kept = (f"{c} = {new.format(c=c, t=self.table)}" for c in self.kept)
        return (*kept, *(f"{c} = {value}" for c, value in self.replaced.items()))


@dataclass(frozen=True)
class Merge:
    """What is staged for `table`, and how it goes in.

    `source` is a SELECT whose columns are `into`, in that order, `order` what its rows are sorted by. `match` are the
    expressions over columns of `into` that make a record itself; the table has a unique index of them. A record that
    is there takes over the `columns` and what is `laid` over its own, each in its way, and, if one of them differs,
    `updated_upload`; then it leaves a row in the table `changes`.

    What spares looking: where the condition `fresh` holds, of columns of `s`, which are those of `into`, and of
    parameters, no record can be there yet; nor can any be there at all, unless the condition `known` holds, of
    parameters alone. All rows of the temporary table `found`, if it is named, are given the ids of their records; the
    source selects some of them, and the second of `match` is the column that they share. Where they are `many`, it may
    pay to read the table as a whole.
    """

    table: str
    into: tuple[str, ...]
    source: str
    order: str
    match: tuple[str, ...]
    columns: tuple[Taking, ...]
    laid: tuple[Laying, ...] = ()
    fresh: str = ""
    known: str = ""
    found: str = ""
    many: bool = False

    @property
    def watched(self) -> tuple[str, ...]:
        """The columns whose old and new values are kept when a record is changed."""
        taken, laid = (column.name for column in self.columns), (column.name for column in self.laid)
        return (*taken, *laid, "updated_upload", "withdrawn_upload")


class Backend(Protocol):
    """One kind of database. Only names of our own tables and columns are put into SQL; values are bound."""

    is_embedded: bool
    """Whether it is part of this program: never away, and never at work while this does something else."""
    key: str
    """The type of a temporary table's 64-bit key."""
    reading: Mapping[str, Any]
    """SQLAlchemy's execution options for a connection that only reads, and sees one moment of the database."""
    writing: Mapping[str, Any]
    """The same for one that writes."""

    def engine(self, url: URL) -> Engine:
        """An engine that is fit for many threads. Connecting may raise UnfitDatabaseError."""

    def hold(self, conn: Connection, lock: str) -> None:
        """At the beginning of a transaction: wait for the lock of that name and hold it to the end."""

    def settle_in(self, conn: Connection) -> None:
        """Let this transaction take its time: it changes the tables themselves."""

    def describe(self, conn: Connection) -> str:
        """The database's name and version."""

    def trouble(self, error: BaseException) -> tuple[str, str] | None:
        """A sentence and a hint if this error of the driver means that the database is away or full, or None."""

    def insert(self, table: Table) -> Executable:
        """An INSERT that leaves out rows whose place is taken."""

    def prepare_stage(self, conn: Connection, tables: Sequence[str]) -> None:
        """Make a fresh connection keep temporary tables within bounded memory, and write much at once; create these.

        Before any other statement, and not yet committed.
        """

    def end_stage(self, conn: Connection, raw: Any) -> None:
        """Close a detached connection that was prepared so, and the driver's; what is left to do once much has been
        written is done without delay for the caller."""

    def fill(self, conn: Connection, fill: Fill, data: Sequence[Sequence[object]], *, first: bool) -> None:
        """Put rows into a temporary table, given as columns (an `int` or a `str | None` in each place).

        The `first` ones find it empty, and no two of them have one key.
        """

    def seek(self, conn: Connection, tables: Sequence[str]) -> None:
        """Rows of these temporary tables are going to be looked for by their keys, one by one."""

    def survey(self, conn: Connection, tables: Sequence[str]) -> None:
        """Tables have changed: look them over, if the database needs it to choose how to join them.

        Behind a table's name may stand, in brackets, the columns that matter.
        """

    def pack(self, pairs: str) -> str:
        """An expression: a JSON object of texts as text, of `name, value, ...`; without NULLs, NULL if it is empty.

        What was written once is written in the same way again, so that a change shows in the text.
        """

    def reserve(self, conn: Connection, tables: Sequence[str]) -> None:
        """At the beginning of a merge: wait, in this order, for whoever changes these tables themselves."""

    def newest(self, conn: Connection, table: str) -> int:
        """The highest id that a table of records has given so far; new ones will be above it."""

    def merge(self, conn: Connection, merge: Merge, names: Mapping[str, Any]) -> tuple[int, int]:
        """Do it, with the values of its source's parameters; how many records were created, and updated."""

    def find(self, stage: str, table: str, natural: str) -> str:
        """An UPDATE that gives rows of `stage` the id of the record with their natural key; :agency."""


@dataclass(frozen=True)
class Rehearsal:
    """Transactions of a trial: each begins with `before` and ends with `after`, and then nothing of it is kept.

    It is an execution option, `rehearsal`, of an engine, so that whatever runs on that engine is a trial.
    """

    before: Callable[[Connection], None]
    after: Callable[[Connection], None]


NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
