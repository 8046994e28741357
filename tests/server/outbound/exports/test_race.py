"""Writers at full speed beside exports: each write is in exactly one file."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from ingest import inbox, tables
from ingest.answer import Upload
from ingest.record import new_id, records_of
from ingest.undo import undo
from server.clock import now
from server.outbound.exports.run import Task, run_export, staging_of
from server.outbound.exports.store import Export
from server.schedule.slots import Slot
from tests.ingest.court import ecr, row
from tests.server.outbound.exports.conftest import Office, read_csv

WRITERS, WRITES, FILES = 3, 60, 6


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


def tell(office: Office, export: Export, number: int) -> list[dict[str, str]]:
    at = office.at + timedelta(microseconds=number)
    run = run_export(office.state, export.id, Task(Slot(at, f"{number}"), "test", at))
    assert run is not None
    return read_csv(staging_of(office.state).place(run.id).read_bytes())


def beside(office: Office, export: Export, calls: list[Callable[[], Any]]) -> list[list[dict[str, str]]]:
    """Export again and again while the calls run, and once more when they have ended."""
    failed: list[BaseException] = []

    def guarded(call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    told = []
    while any(thread.is_alive() for thread in threads):
        told.append(tell(office, export, len(told)))
    assert not failed
    told.append(tell(office, export, len(told)))
    assert tell(office, export, len(told)) == []
    return told


def test_each_record_is_in_exactly_one_file(office: Office) -> None:
    def writer(number: int) -> Callable[[], None]:
        return lambda: [write(office, f"{number}-{each}") for each in range(WRITES)] and None

    told = beside(office, office.export(), [writer(number) for number in range(WRITERS)])
    found = Counter(each["reference"] for rows in told for each in rows)
    assert set(found.values()) == {1}
    assert len(found) == WRITERS * WRITES
    assert sum(1 for rows in told if rows) > 3  # else nothing was proven


def test_what_the_last_file_says_of_a_record_is_what_it_is(office: Office) -> None:
    """The engine's own merges, several processes' worth of them, and undos."""

    def uploads() -> None:
        for each in range(FILES):
            office.push(ecr(row("1", last=f"Alder{each}"), row(f"n{each}", f"CR-{each}")))
            other = office.push(ecr(row("1", last=f"Other{each}"), row(f"gone{each}", f"CR-9{each}")))
            with office.state.database.writing(records_of(office.agency.id)) as conn:
                undo(conn, other.id, now())

    known: dict[str, dict[str, str]] = {}
    for rows in beside(office, office.export(), [uploads]):
        for each in rows:
            known[each["id"]] = each
    left = {each["reference"]: each["last_name"] for each in known.values() if each["record_state"] == "active"}
    with office.state.database.reading() as conn:
        true = {each["reference"]: each["last_name"] for each in inbox.records(conn, "clients", office.agency.id)}
    assert left == true
    assert true["1"] == f"Alder{FILES - 1}"
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
