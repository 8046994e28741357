"""References and case numbers that are none, or not what the court wrote: nobody becomes somebody else by them."""

import pytest

from tests.ingest.court import Court, codes, ecr, row
from tests.ingest.test_mapping import HEAD, load, select

CLIENTS = "SELECT identity FROM clients ORDER BY 1"


@pytest.mark.parametrize("nothing", ["-", "--", "0", "000000", "UNKNOWN", "na", "#N/A", "TBD", "[null]", "."])
def test_two_people_of_whom_the_court_has_no_reference_stay_two(court: Court, nothing: str) -> None:
    upload = court.push(ecr(row(nothing, "C-1", first="Ana"), row(nothing, "C-2", first="Bob")))
    assert (upload.status, upload.counts["clients"].created) == ("processed", 2)
    assert [event[:2] for event in court.dump()["events"]] == [
        ("alder\x1fana\x1fC-1", "C-1"),
        ("alder\x1fbob\x1fC-2", "C-2"),
    ]


def test_a_word_for_no_case_number_is_no_case(court: Court) -> None:
    upload = court.push(ecr(row("1", "UNKNOWN"), row("2", "-"), row("3", "00")))
    assert [code for _, _, code, _ in codes(court.errors(upload))] == ["missing_required"] * 3
    assert not court.dump()["cases"]


@pytest.mark.parametrize("number", ["NA-1", "0-1", "00012", "NONE1", "X", "Q-0"])
def test_what_only_looks_a_little_so_is_a_reference(court: Court, number: str) -> None:
    load(court, HEAD, f"id,no\n{number},C1\n")
    assert select(court, CLIENTS) == [(f"#{number}",)]


def test_a_piece_of_a_number_may_be_zeros(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = { join = ["year", "no"], with = "-" }\n'
    load(court, toml, "id,year,no\n1,00,17\n2,26,000\n3,NA,5\n")
    assert select(court, "SELECT number FROM cases ORDER BY 1") == [("00-17",), ("26-000",), ("NA-5",)]


def test_the_first_reference_that_is_one_counts(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.reference = { first = ["sid", "id"] }\ncase.number = "no"\n'
    load(court, toml, "sid,id,no\n-,7,C1\nUNKNOWN,8,C2\n9,10,C3\n")
    assert select(court, CLIENTS) == [("#7",), ("#8",), ("#9",)]
