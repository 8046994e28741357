"""Writers at full speed beside exports: each write is in exactly one file."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy import insert

from ingest import inbox, tables
from ingest.answer import Upload
from ingest.record import new_id, records_of
from server.clock import now
from server.outbound.exports.run import Task, run_export, staging_of
from server.outbound.exports.store import Export
from server.schedule.slots import Slot
from tests.ingest.court import ecr, row
from tests.server.outbound.exports.conftest import Office, read_csv

WRITERS, FILES = 3, 5

Rows = list[dict[str, str]]


def write(office: Office, reference: str) -> None:
    """A record and its upload in one transaction, as the engine does it, without all that comes before."""
    at = now()
    upload_id, agency = new_id(at), office.agency.id
    arrival = {"id": new_id(at), "agency_id": agency, "path": "/x", "name": "x", "size": 1, "source": "sftp"}
    arrival |= {"state": "processed", "received_at": at, "detail": ""}  # type: ignore[dict-item]
    upload = Upload(upload_id, str(arrival["id"]), agency, "x", 1, "", "processed", "t", 1, at, at)
    client = {"agency_id": agency, "identity": reference, "reference": reference, "template": "t"}
    client |= {"created_upload": upload_id, "updated_upload": upload_id}
    with office.state.database.writing(records_of(agency)) as conn:
        conn.execute(insert(tables.arrivals).values(arrival))
        conn.execute(insert(tables.clients).values(client))
        inbox.record_upload(conn, upload)


def tell(office: Office, export: Export, number: int, whole: bool = False) -> Rows:
    at = office.at + timedelta(microseconds=number)
    run = run_export(office.state, export.id, Task(Slot(at, f"{number}"), "test", at, whole=whole))
    assert run is not None
    return read_csv(staging_of(office.state).place(run.id).read_bytes())


def beside(office: Office, export: Export, writers: list[Callable[[threading.Event], None]]) -> list[Rows]:
    """Export again and again while the writers write, until enough files have rows; and once more when all have ended.

    SQLite makes whoever wants to write wait longer and longer, so nobody knows how often an export comes in between.
    """
    failed: list[BaseException] = []
    enough = threading.Event()

    def guarded(writer: Callable[[threading.Event], None]) -> None:
        try:
            writer(enough)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    told: list[Rows] = []
    while sum(map(bool, told)) < FILES and not failed:
        told.append(tell(office, export, len(told)))
    enough.set()
    for thread in threads:
        thread.join()
    assert not failed
    told.append(tell(office, export, len(told)))
    assert tell(office, export, len(told)) == []
    return told


def test_each_record_is_in_exactly_one_file(office: Office) -> None:
    written: list[str] = []

    def writer(number: int, enough: threading.Event) -> None:
        for each in itertools.count():
            if enough.is_set():
                return
            write(office, f"{number}-{each}")
            written.append(f"{number}-{each}")

    told = beside(office, office.export(), [partial(writer, number) for number in range(WRITERS)])
    found = Counter(each["reference"] for rows in told for each in rows)
    assert found == Counter(written)


def test_what_the_last_file_says_of_a_record_is_what_it_is(office: Office) -> None:
    """The engine's own merges, and undos."""

    def uploads(enough: threading.Event) -> None:
        for each in itertools.count():
            office.push(ecr(row("1", last=f"Alder{each}"), row(f"n{each}", f"CR-{each}")))
            other = office.push(ecr(row("1", last=f"Other{each}"), row(f"gone{each}", f"CR-9{each}")))
            office.undo(other)
            if enough.is_set():
                return

    known: dict[str, dict[str, str]] = {}
    for rows in beside(office, office.export(), [uploads]):
        for each in rows:
            known[each["id"]] = each
    left = {each["reference"]: each["last_name"] for each in known.values() if each["record_state"] == "active"}
    with office.state.database.reading() as conn:
        true = {each["reference"]: each["last_name"] for each in inbox.records(conn, "clients", office.agency.id)}
    assert left == true
    assert true["1"].startswith("Alder")
    assert not any(reference.startswith("gone") for reference in left)


def test_nodes_that_race_for_a_slot_make_one_file(office: Office) -> None:
    write(office, "1")
    export = office.export()
    slot, runs = Slot(office.at, "the slot"), []

    def node(number: int) -> None:
        at = office.at + timedelta(days=number)  # so the lease of another one may always have run out
        runs.append(run_export(office.state, export.id, Task(slot, f"node {number}", at)))

    threads = [threading.Thread(target=node, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (run,) = [run for run in runs if run]
    assert run.rows == 1
    assert [each.id for each in office.runs(export)] == [run.id]
    assert [file.name for file in office.state.settings.staging.iterdir()] == [run.id]
