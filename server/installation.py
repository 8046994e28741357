"""Whose the database is: its files wait in one data directory, so both hold the id of their installation.

    installation     in the data directory: a line of text, written whole, durable, and once
    installation     in the database: a table with one row

The file is written first, by whoever holds the database's lock, and then the row; so a row tells that its directory has
the file, and after a crash in between the row is what is missing. Whoever has neither, as what was begun before there
were ids, is known by the agencies' homes: the directory of a database holds them.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Column, Connection, String, Table, insert, select

from server.agencies import agencies
from server.clock import new_id
from server.db import Database, open_database, revision
from server.db.metadata import metadata
from server.db.migrate import HEAD
from server.errors import AppError, Code
from server.placing import replace_closed
from server.settings import Settings

FILE = "installation"
FIRST = "0018"
"""The schema from which on there is the table."""
LENGTH = 36

installation = Table(FILE, metadata, Column("id", String(LENGTH), primary_key=True))


def belongs(settings: Settings, conn: Connection) -> bool:
    """Whether the database has the id of the data directory; False if it may get it, or takes over that one's.

    Raises `AppError` conflict if the two are not of one installation, or the database is lost; OSError.
    """
    schema = revision(conn)
    if schema is None:
        _refuse_lost(settings)
        return False
    if schema > HEAD:
        return False  # it is not ours to read; the migrations refuse it
    there = conn.execute(select(installation.c.id)).scalar() if schema >= FIRST else None
    here = _read(settings.data / FILE)  # after the row: who wrote that had written this
    if there is None or here is None:
        _refuse_other(settings, there, conn.execute(select(agencies.c.slug)).scalars().all())
    elif there != here:
        _refuse_strange(settings)
    return here is not None and there == here


def settle(settings: Settings, database: Database) -> None:
    """See that data directory and database have the same id, which one of them may have already.

    Raises as `belongs`.
    """
    with database.writing() as conn:
        if belongs(settings, conn):
            return
        there = conn.execute(select(installation.c.id)).scalar()
        here = _read(settings.data / FILE)
        if here is None:
            here = there or new_id()
            replace_closed(settings.data / FILE, f"{here}\n".encode())
        if there is None:
            conn.execute(insert(installation).values(id=here))


def _refuse_lost(settings: Settings) -> None:
    """A database that is gone must not be begun anew unseen: its keys, templates and records would not be missed before
    the courts are turned away."""
    homes = {home.name for home in settings.agencies.iterdir()}
    if not homes:
        return
    if _is_named(settings) and homes & _slugs_in(settings.data / "dropslot.db"):
        raise AppError(
            Code.CONFLICT,
            f"The records of this installation are in {settings.data / 'dropslot.db'} (SQLite), and the database of "
            "DROPSLOT_DATABASE is empty.",
            "Unset DROPSLOT_DATABASE: which database it is must be chosen before the first agency is added.",
        )
    raise AppError(
        Code.CONFLICT,
        f"The database is empty, but {settings.agencies} holds the files of {len(homes)} "
        f"{'agency' if len(homes) == 1 else 'agencies'}: it is lost, or it is another one.",
        "Restore it from the backup, or look at DROPSLOT_DATABASE. To begin anew, move that directory away.",
    )


def _slugs_in(file: Path) -> set[str]:
    """The agencies in an SQLite database; none if that is not there, or cannot be read."""
    if not file.is_file():
        return set()
    database = open_database(f"sqlite:///{file}")
    try:
        with suppress(AppError), database.reading() as conn:
            if revision(conn):
                return set(conn.execute(select(agencies.c.slug)).scalars())
        return set()
    finally:
        database.close()


def _refuse_other(settings: Settings, there: str | None, slugs: Sequence[str]) -> None:
    """One of the two has no id. The directory of a database without one holds some homes of its agencies (others may be
    gone since); that of a database with one holds all, if it is restored as it was before there were ids."""
    homes = [settings.home(slug).is_dir() for slug in slugs]
    begun = there is None and not homes
    known = any(homes) if there is None else bool(homes) and all(homes)
    if begun or known:
        return
    raise AppError(
        Code.CONFLICT,
        f"{_named(settings)} belongs to another data directory than {settings.data}"
        + ("." if there else ", which holds the files of none of its agencies."),
        _hint(settings),
    )


def _refuse_strange(settings: Settings) -> NoReturn:
    raise AppError(
        Code.CONFLICT,
        f"{_named(settings)} and the data directory {settings.data} belong to two installations.",
        _hint(settings),
    )


def _hint(settings: Settings) -> str:
    look = "Look at --data and at DROPSLOT_DATABASE." if _is_named(settings) else "Look at --data."
    return f"{look} If this machine takes another one's place, restore the data directory of that: docs/backup.md"


def _named(settings: Settings) -> str:
    return "The database of DROPSLOT_DATABASE" if _is_named(settings) else "The database dropslot.db"


def _is_named(settings: Settings) -> bool:
    """Whether the operator has named a database; else it is the one in the data directory."""
    return bool(settings.database.get_secret_value().strip() or settings.database_file)


def _read(file: Path) -> str | None:
    """The id of a data directory; None if it has none. Raises OSError, `AppError` conflict for what is none."""
    try:
        id_ = file.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    if len(id_) != LENGTH:
        raise AppError(
            Code.CONFLICT,
            f"{file} does not hold the id of an installation.",
            "Restore it from the backup: docs/backup.md",
        )
    return id_
