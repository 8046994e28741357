"""What became of hearings since the last time, on both databases."""

from datetime import date, time

import pytest

from ingest import inbox
from server.clock import now
from tests.ingest.court import ecr, row
from tests.server.outbound.house import EAST, EMPTY, GWINNETT, MARICOPA, WEST, House, picked

TOLD = ("change", "client", "date", "time", "old_date", "old_time", "changes")


@pytest.fixture(scope="module")
def played(house: House) -> House:
    """A first file, and one that changes most of it."""
    first = [row(f"g{n}", f"G-{n}", "03/16/2026") for n in range(1, 7)]
    house.push(GWINNETT, ecr(*first))
    house.last = house.number(GWINNETT)
    house.push(
        GWINNETT,
        ecr(
            row("g1", "G-1", "04/20/2026", "1:30 PM"),
            row("g2", "G-2", "03/16/2026", status="Cancelled"),
            row("g3", "G-3", "03/16/2026", status="Continued", judge="Zamora"),
            row("g5", "G-5", "03/16/2026"),
            row("g6", "G-6", "03/16/2026", location="Courtroom 2B"),
            row("g7", "G-7", "03/17/2026", ""),
        ),
    )
    return house


def test_each_change_is_told_once(played: House) -> None:
    at_nine, day = time(9), date(2026, 3, 16)
    found = played.rows(GWINNETT, "changed-events", after=played.last)
    assert sorted(picked(found, *TOLD), key=lambda told: str(told[1])) == [
        ("moved", "g1", date(2026, 4, 20), time(13, 30), day, at_nine, ""),
        ("cancelled", "g2", day, at_nine, None, None, "status: Scheduled -> Cancelled"),
        ("changed", "g3", day, at_nine, None, None, "status: Scheduled -> Continued; judge: Alvarez, M. -> Zamora"),
        ("withdrawn", "g4", day, at_nine, None, None, ""),
        ("changed", "g6", day, at_nine, None, None, "location: Courtroom 1A -> Courtroom 2B"),
        ("new", "g7", date(2026, 3, 17), None, None, None, ""),
    ]
    some = played.rows(GWINNETT, "changed-events", "change=moved", "change=new", after=played.last)
    assert {told["client"] for told in some} == {"g1", "g7"}


def test_it_is_filtered_and_sorted(played: House) -> None:
    def clients(*filters: str, sort: str = "") -> list[object]:
        found = played.rows(GWINNETT, "changed-events", *filters, sort=sort, after=played.last)
        return [told["client"] for told in found]

    assert clients("location=courtroom 2b") == ["g6"]
    assert clients("judge=Zamora", "judge=Nobody", "change=changed") == ["g3"]
    assert clients("status=Cancelled", "change=moved") == []
    assert clients(sort="case") == ["g1", "g2", "g3", "g4", "g6", "g7"]
    assert clients(sort="-case") == ["g7", "g6", "g4", "g3", "g2", "g1"]
    assert (clients(sort="date")[-2:], clients(sort="-date")[:2]) == (["g7", "g1"], ["g1", "g7"])
    assert clients(sort="-changed") == clients()[::-1]
    assert len(clients(sort="location")) == len(clients(sort="name")) == 6


def test_nothing_is_told_twice_and_nothing_before_the_first_time_but_what_is_young(played: House) -> None:
    assert played.rows(GWINNETT, "changed-events", after=played.number(GWINNETT)) == []
    told = played.rows(GWINNETT, "changed-events", at=now())
    assert [found["change"] for found in told].count("new") == 7  # the eighth came instead of another
    assert played.rows(GWINNETT, "changed-events", at=now().replace(year=2099)) == []


def test_what_is_undone_is_put_back_and_what_is_deleted_is_told(house: House) -> None:
    house.push(EAST, ecr(row("e1", "E-1"), row("e2", "E-2")))
    upload = house.push(EAST, ecr(row("e1", "E-1", status="Cancelled"), row("e3", "E-3")))
    last = house.number(EAST)
    house.undo(EAST, upload)
    found = house.rows(EAST, "changed-events", after=last)
    assert sorted(picked(found, "change", "client", "status", "changes"), key=str) == [
        ("put back", "e1", "Scheduled", "status: Cancelled -> Scheduled"),
        ("put back", "e2", "Scheduled", ""),
        ("removed", None, None, None),
    ]
    assert house.rows(EAST, "changed-events", after=last - 1) == [], "nobody had been told of it"


def test_a_hearing_that_comes_back_is_restored(house: House) -> None:
    one, two = row("w1", "W-1"), row("w2", "W-2")
    for rows in ((one, two), (two,), (one, two)):
        house.push(WEST, ecr(*rows))
    last = house.number(WEST)
    assert picked(house.rows(WEST, "changed-events", after=last - 1), "change", "client") == [("restored", "w1")]
    assert picked(house.rows(WEST, "changed-events", after=last - 2), "change", "client") == [
        ("withdrawn", "w1"),
        ("restored", "w1"),
    ]


def test_one_that_an_undo_takes_off_again_is_withdrawn_and_one_that_it_brings_back_is_put_back(house: House) -> None:
    one, two = row("v1", "V-1"), row("v2", "V-2")
    uploads = [house.push(WEST, ecr(*rows)) for rows in ((one, two), (two,), (one, two))]
    for upload, change, status in ((uploads[2], "withdrawn", "withdrawn"), (uploads[1], "put back", "active")):
        last = house.number(WEST)
        house.undo(WEST, upload)
        found = house.rows(WEST, "changed-events", after=last)
        assert picked(found, "change", "client", "changes") == [(change, "v1", "")]
        assert states(house, WEST)["v1"] == status


def states(house: House, slug: str) -> dict[str, str]:
    with house.state.database.reading() as conn:
        found = inbox.records_since(conn, "events", house.agencies[slug].id, None)
        return {each["client"]: each["record_state"] for each in found}


@pytest.mark.parametrize("next_", [EMPTY, MARICOPA])
def test_one_that_is_removed_is_told_before_the_one_that_gets_its_number(house: House, next_: str) -> None:
    """As SQLite gives it, to a hearing of the same court or of another one."""
    house.push(EMPTY, ecr(row("n1", "N-1")))
    wrong = house.push(EMPTY, ecr(row("n1", "N-1"), row("n2", "N-2")))
    last = house.number(EMPTY)
    (told,) = house.rows(EMPTY, "changed-events", after=last - 1)
    house.undo(EMPTY, wrong)
    house.push(next_, ecr(row("n1", "N-1"), row("n3", "N-3")))
    found = picked(house.rows(EMPTY, "changed-events", after=last), "change", "client")
    assert found == [("removed", None), ("new", "n3")][: 2 if next_ == EMPTY else 1]
    (gone, *new) = house.rows(EMPTY, "changed-events", after=last)
    assert gone["id"] == told["id"]
    if new and house.state.database.engine.dialect.name == "sqlite":
        assert new[0]["id"] == gone["id"]
    house.push(EMPTY, ecr(row("n1", "N-1")))


def test_a_filter_tells_of_what_leaves_it(house: House) -> None:
    def court(**second: str) -> bytes:
        return ecr(row("f1", "F-1", location="Courtroom 1A"), row("f2", "F-2", **second))

    def told(*filters: str) -> list[tuple[object, ...]]:
        return picked(house.rows(EAST, "changed-events", *filters, after=last), "change", "client", "location")

    in_1a = ("location=Courtroom 1A",)
    house.push(EAST, court(location="Courtroom 1A"))
    last = house.number(EAST)
    house.push(EAST, court(location="Courtroom 2B"))
    assert told(*in_1a) == told("location=Courtroom 2B") == [("changed", "f2", "Courtroom 2B")]
    assert told("location=Courtroom 3C") == told(*in_1a, "judge=Zamora") == told(*in_1a, "change=moved") == []
    last = house.number(EAST)
    house.push(EAST, court(location="Courtroom 3C", judge="Zamora"))
    assert told("location=Courtroom 2B", "judge=Alvarez, M.") == [("changed", "f2", "Courtroom 3C")]
    assert told("location=Courtroom 2B", "judge=Zamora") == [], "it never was both"
    last = house.number(EAST)
    house.push(EAST, ecr(row("f1", "F-1", date="04/20/2026", location="Courtroom 4D")))
    assert told(*in_1a) == [("moved", "f1", "Courtroom 4D")]


def test_a_filter_tells_of_what_is_removed_since_nobody_knows_where_it_was(house: House) -> None:
    upload = house.push(EAST, ecr(row("r1", "R-1", location="Courtroom 1A")))
    last = house.number(EAST)
    house.undo(EAST, upload)
    for filters, changes in (
        (["location=Courtroom 1A", "change=removed"], ["removed"]),
        (["location=Courtroom 1A", "status=None"], ["removed"]),
        (["location=Courtroom 1A", "change=new"], []),
    ):
        found = house.rows(EAST, "changed-events", *filters, after=last)
        assert [told["change"] for told in found] == changes
