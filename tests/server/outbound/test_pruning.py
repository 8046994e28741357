"""What was told is forgotten after long, but nothing that somebody is still to be told."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from ingest import tables
from server.clock import new_id
from server.outbound import pruning
from server.outbound.deliveries import Delivery, deliveries, keep_delivery, told_up_to, was_delivered
from server.outbound.exports.plan import cancel_export, pause_export
from server.outbound.exports.store import Run, add_run, list_runs
from server.outbound.pruning import prune
from tests.ingest.court import ecr, row
from tests.server.outbound.exports.conftest import Office, log, office

__all__ = ["log", "office"]


def removed(office: Office) -> int:
    with office.state.database.reading() as conn:
        return conn.execute(select(func.count()).select_from(tables.removed)).scalar_one()


def prune_at(office: Office, days: int) -> None:
    with office.state.database.writing() as conn:
        prune(conn, office.at + timedelta(days=days))


def test_removed_records_are_forgotten_once_all_were_told(office: Office) -> None:
    office.push(ecr(row("1")))
    second = office.push(ecr(row("1"), row("2", "CR-2")))
    export = office.export()
    office.go(days=1)
    with office.state.database.writing() as conn:
        pause_export(conn, office.agency, "clients")
    office.undo(second)
    prune_at(office, 399)
    assert removed(office)
    prune_at(office, 500)
    assert removed(office), "the export has not told it"
    with office.state.database.writing() as conn:
        keep_delivery(conn, told := delivery(office, conn, 99))
        cancel_export(conn, office.agency, "clients")
    assert office.again(export).watermark == 2
    with office.state.database.writing() as conn:
        keep_delivery(conn, replace(told, last=2))
    prune_at(office, 500)
    assert removed(office), "the report has not told it"
    with office.state.database.writing() as conn:
        keep_delivery(conn, delivery(office, conn, 2, "changed-events sort=name"))
    prune_at(office, 500)
    assert removed(office), "nor now that it is sorted, which it was not when it was delivered last"
    with office.state.database.writing() as conn:
        keep_delivery(conn, replace(told, last=3))
    prune_at(office, 399)
    assert removed(office)
    prune_at(office, 500)
    assert not removed(office)


def delivery(office: Office, conn: object, number: int, report: str = "changed-events") -> Delivery:
    profile = conn.execute(  # type: ignore[attr-defined]
        update(tables.profiles)
        .where(tables.profiles.c.agency_id == office.agency.id, tables.profiles.c.name == "daily")
        .values(report=report)
        .returning(tables.profiles.c.id)
    ).scalar_one()
    at = office.at + timedelta(hours=number)
    name = f"{number}.csv"
    return Delivery(
        new_id(at), office.agency.id, profile, report, "csv", "/d", "delivered", at, name, name, last=number
    )


def test_the_last_deliveries_and_runs_are_known_for_ever(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "DELIVERIES_KEPT", 3)
    monkeypatch.setattr(pruning, "RUNS_KEPT", 2)
    export = office.export()
    with office.state.database.writing() as conn:
        for number in range(1, 6):
            keep_delivery(conn, last := delivery(office, conn, number))
            at = office.at + timedelta(hours=number)
            gone = None if number == 1 else at
            where = ("/exports", f"{number}", 1, "", 1, "")
            add_run(conn, Run(new_id(at), export.id, f"{number}", at, at, 0, 0, *where, at, 0, gone))
        conn.execute(insert(deliveries).values(vars(replace(last, id="failed", state="failed", name=None))))
    prune_at(office, 399)
    assert len(office.runs(export)) == 5
    prune_at(office, 402)
    with office.state.database.reading() as conn:
        assert told_up_to(conn, last.profile_id, last.report) == 5
        known = [was_delivered(conn, last.profile_id, "/d", f"{number}.csv") for number in range(1, 6)]
        assert [run.file for run in list_runs(conn, export.id)] == ["5", "4", "1"]
    assert known == [False, False, True, True, True]
