"""Which files in the agencies' homes have been taken already, so that the sweep never takes one twice.

A file is known by its inode: renaming or touching it makes it no new file. An inode number comes back once its file is
deleted, so where name, size or time have changed the content decides, and rows whose file is gone are dropped.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from server.db.metadata import metadata

taken_files = Table(
    "taken_files",
    metadata,
    Column("agency_id", String(36), nullable=False),
    Column("dev", BigInteger, nullable=False),
    Column("ino", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("arrival_id", String(36), nullable=False),
    Column("missed", Integer, nullable=False),
    PrimaryKeyConstraint("agency_id", "dev", "ino"),
)


@dataclass(frozen=True)
class Footprint:
    """What the file system says of a file: device and inode, size in bytes, modification time in nanoseconds."""

    dev: int
    ino: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Footprint":
        """Read it from a stat."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def take(conn: Connection, agency_id: str, footprint: Footprint, arrival_id: str) -> None:
    """Remember that the file has become that arrival; replaces what was known of its inode."""
    forget(conn, agency_id, footprint.dev, footprint.ino)
    conn.execute(insert(taken_files).values(agency_id=agency_id, arrival_id=arrival_id, missed=0, **vars(footprint)))


def take_all(conn: Connection, agency_id: str, footprints: Mapping[str, Footprint]) -> None:
    """As `take`, for several files; `footprints` by the ids of their arrivals."""
    inodes = {(footprint.dev, footprint.ino): (id_, footprint) for id_, footprint in footprints.items()}
    if not inodes:
        return
    mine = _inode(agency_id, bindparam("known_dev"), bindparam("known_ino"))
    conn.execute(delete(taken_files).where(*mine), [{"known_dev": dev, "known_ino": ino} for dev, ino in inodes])
    rows = [{"arrival_id": id_, **vars(footprint)} for id_, footprint in inodes.values()]
    conn.execute(insert(taken_files), [{"agency_id": agency_id, "missed": 0, **row} for row in rows])


def find_taken(conn: Connection, agency_id: str, footprint: Footprint) -> tuple[Footprint, str] | None:
    """What is known of the file's inode: the footprint it was taken with and its arrival's id, or None."""
    row = conn.execute(select(taken_files).where(*_inode(agency_id, footprint.dev, footprint.ino))).one_or_none()
    return (_footprint(row), row.arrival_id) if row else None


def forget(conn: Connection, agency_id: str, dev: int, ino: int) -> None:
    """Drop what is known of an inode."""
    conn.execute(delete(taken_files).where(*_inode(agency_id, dev, ino)))


def find_all_taken(
    conn: Connection, agency_id: str, inodes: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], tuple[Footprint, str]]:
    """What is known of those inodes, by (dev, ino): as `find_taken` says it of each."""
    found: dict[tuple[int, int], tuple[Footprint, str]] = {}
    devices: dict[int, list[int]] = {}
    for dev, ino in inodes:
        devices.setdefault(dev, []).append(ino)
    for dev, own in devices.items():
        query = select(taken_files)
        query = query.where(taken_files.c.agency_id == agency_id, taken_files.c.dev == dev, taken_files.c.ino.in_(own))
        found |= {(dev, row.ino): (_footprint(row), row.arrival_id) for row in conn.execute(query)}
    return found


def find_renamed(conn: Connection, agency_id: str, lie: Mapping[str, Footprint]) -> dict[str, str]:
    """Of files that `lie` at paths now, those that were taken: the path of each by the id of its arrival.

    Setting its time makes it no other file; another size does, whose inode was another file's before.
    """
    known = find_all_taken(conn, agency_id, [(present.dev, present.ino) for present in lie.values()])
    taken = {path: known.get((present.dev, present.ino)) for path, present in lie.items()}
    return {row[1]: path for path, row in taken.items() if row and row[0].size == lie[path].size}


def count_known(conn: Connection, agency_id: str) -> int:
    """How many files of the agency were taken and, as far as is known, are still there."""
    query = select(func.count()).select_from(taken_files).where(taken_files.c.agency_id == agency_id)
    return conn.execute(query).scalar_one()


def known_files(conn: Connection, agency_id: str, batch: int) -> Iterator[list[tuple[int, int]]]:
    """The (dev, ino) of those files, in batches."""
    query = select(taken_files.c.dev, taken_files.c.ino).where(taken_files.c.agency_id == agency_id)
    rows = conn.execution_options(stream_results=True).execute(query)
    for part in rows.partitions(batch):
        yield [(dev, ino) for dev, ino in part]


def miss(conn: Connection, agency_id: str, dev: int, ino: int) -> None:
    """A sweep did not see that file. Seen by two sweeps in a row to be missing, it is forgotten.

    One would not do: a file that is renamed while the sweep walks can escape it.
    """
    mine = _inode(agency_id, dev, ino)
    conn.execute(delete(taken_files).where(*mine, taken_files.c.missed > 0))
    conn.execute(update(taken_files).where(*mine).values(missed=1))


def _inode(agency_id: str, dev: Any, ino: Any) -> tuple[Any, ...]:
    return taken_files.c.agency_id == agency_id, taken_files.c.dev == dev, taken_files.c.ino == ino


def _footprint(row: Row[Any]) -> Footprint:
    return Footprint(row.dev, row.ino, row.size, row.mtime_ns)
