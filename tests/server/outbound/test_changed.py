"""What became of hearings since the last time, on both databases."""

from datetime import date, time

import pytest

from server.clock import now
from tests.ingest.court import ecr, row
from tests.server.outbound.house import EAST, GWINNETT, WEST, House, picked

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
