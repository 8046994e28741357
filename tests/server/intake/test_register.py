"""Registering several files at once: as if each were told alone, and one that is bad harms no other."""

from dataclasses import replace

import pytest

from ingest import inbox
from ingest.arrival import ArrivalState
from server.agencies import Agency, add_agency
from server.clock import new_id, now
from server.db import open_database
from server.intake.entry import Entry
from server.intake.register import TASK, Registrar
from server.intake.spool import Manifest
from server.intake.taken import Footprint, find_taken
from server.logs import open_log
from server.queue import LocalQueue
from server.state import State


@pytest.fixture
def registrar(state: State) -> Registrar:
    with state.database.writing() as conn:
        for number, slug in enumerate(("gwinnett", "fulton")):
            add_agency(conn, Agency(f"a-{number}", slug, slug, "America/New_York", False, True, now()))
    return Registrar(state.database, state.queue, open_log("error"))


def manifest(name: str, agency: str = "gwinnett", ino: int | None = None) -> Manifest:
    at = now()
    made = Manifest(new_id(), agency, f"/upload/{name}", 5, "sftp", "session", "client", at, at, at)
    return replace(made, dev=1, ino=ino, mtime_ns=7) if ino else made


def states(state: State, manifests: list[Manifest]) -> list[ArrivalState | None]:
    with state.database.reading() as conn:
        found = [inbox.find_arrival(conn, given.id) for given in manifests]
    return [arrival.state if arrival else None for arrival in found]


def claim_all(state: State) -> list[str]:
    claimed = []
    while job := state.queue.claim("worker", 60):
        claimed.append(job.subject)
        state.queue.finish(job)
    return claimed


def test_many_files_are_registered_once_and_their_jobs_keep_their_order(state: State, registrar: Registrar) -> None:
    given = [manifest(f"{number}.csv", ino=number + 1) for number in range(50)]
    registrar.received(given)
    registrar.received(given[:10])
    assert states(state, given) == [ArrivalState.UNMATCHED] * 50
    assert claim_all(state) == [one.id for one in given]
    with state.database.reading() as conn:
        assert find_taken(conn, "a-0", Footprint(1, 50, 5, 7)) == (Footprint(1, 50, 5, 7), given[-1].id)


def test_told_together_or_alone_an_arrival_is_the_same(state: State, registrar: Registrar) -> None:
    alone, together = manifest("a.csv"), [manifest("a.csv"), manifest("a.csv")]
    registrar.register(alone)
    returned = registrar.register_all(together)
    with state.database.reading() as conn:
        first, *others = [inbox.find_arrival(conn, given.id) for given in (alone, *together)]
    assert first
    assert others == returned
    for other, given in zip(others, together, strict=True):
        assert other == replace(first, id=given.id, received_at=given.closed_at)


def test_agencies_are_kept_apart_and_unknown_ones_left_out(state: State, registrar: Registrar) -> None:
    given = [manifest("a", ino=1), manifest("b", "nobody", ino=2), manifest("c", "fulton", ino=1)]
    registrar.received(given)
    assert states(state, given) == [ArrivalState.UNMATCHED, None, ArrivalState.UNMATCHED]
    with state.database.reading() as conn:
        assert find_taken(conn, "a-0", Footprint(1, 1, 5, 7)) == (Footprint(1, 1, 5, 7), given[0].id)
        assert find_taken(conn, "a-1", Footprint(1, 1, 5, 7)) == (Footprint(1, 1, 5, 7), given[2].id)


def test_one_bad_file_harms_no_other(state: State, registrar: Registrar) -> None:
    bad = manifest("\udcff.csv")  # no text that a database takes
    given = [manifest("a.csv"), bad, manifest("b.csv")]
    registrar.received(given)
    assert states(state, given) == [ArrivalState.UNMATCHED, None, ArrivalState.UNMATCHED]
    assert claim_all(state) == [given[0].id, given[2].id]


def test_a_partial_file_among_others_becomes_whole(state: State, registrar: Registrar) -> None:
    given = [manifest("a.csv"), manifest("b.csv")]
    torn = given[1]
    registrar.torn(Entry(torn.id, torn.agency, torn.path, "", "session", "client", 1, 1, now(), reason="lost"))
    assert states(state, given) == [None, ArrivalState.PARTIAL]
    registrar.received(given)
    assert states(state, given) == [ArrivalState.UNMATCHED, ArrivalState.UNMATCHED]


def test_the_same_inode_twice_is_the_later_file(state: State, registrar: Registrar) -> None:
    given = [manifest("a.csv", ino=3), manifest("b.csv", ino=3)]
    registrar.received(given)
    with state.database.reading() as conn:
        assert find_taken(conn, "a-0", Footprint(1, 3, 5, 7)) == (Footprint(1, 3, 5, 7), given[1].id)


def test_a_database_that_is_away_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    database = open_database("sqlite:////nowhere/at/all.db")
    registrar = Registrar(database, LocalQueue(database), open_log("warning"))
    given = manifest("a.csv")
    registrar.received([given, manifest("b.csv")])
    said = capsys.readouterr().err
    assert said.count("registration put off") == 1
    assert given.id in said


def test_jobs_that_are_there_are_not_added(state: State) -> None:
    assert state.queue.enqueue(TASK, "b", "lane")
    assert state.queue.enqueue_all(TASK, [("d", "lane"), ("b", "lane"), ("c", "lane")]) == ["d", "c"]
    assert state.queue.enqueue_all(TASK, [("c", "lane")]) == []
    assert claim_all(state) == ["b", "c", "d"]
