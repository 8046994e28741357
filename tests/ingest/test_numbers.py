"""References and case numbers that are none, or not what the court wrote: nobody becomes somebody else by them."""

from pathlib import Path

import pytest

from tests.ingest.court import Court, codes, ecr, row
from tests.ingest.tables import as_xlsx
from tests.ingest.test_mapping import HEAD, load, select

CLIENTS = "SELECT identity FROM clients ORDER BY 1"


@pytest.mark.parametrize("nothing", ["-", "--", "0", "000000", "UNKNOWN", "na", "NIL", "TBD", "[null]", "."])
def test_two_people_of_whom_the_court_has_no_reference_stay_two(court: Court, nothing: str) -> None:
    upload = court.push(ecr(row(nothing, "C-1", first="Ana"), row(nothing, "C-2", first="Bob")))
    assert (upload.status, upload.counts["clients"].created) == ("processed", 2)
    assert [event[:2] for event in court.dump()["events"]] == [
        ("alder\x1fana\x1fC-1", "C-1"),
        ("alder\x1fbob\x1fC-2", "C-2"),
    ]


@pytest.mark.parametrize("broken", ["#N/A", "#REF!", "#name?"])
def test_a_formulas_error_is_neither_a_reference_nor_none(court: Court, broken: str) -> None:
    upload = court.push(ecr(row(broken, "C-1"), row("2", broken), row("3", "C-3", judge=broken), row("4", "C-4")))
    assert codes(court.errors(upload)) == [
        (2, "Party ID", "key_broken", "error"),
        (3, "Case Number", "broken", "error"),
        (4, "Judge Name", "broken", "warning"),
    ]
    assert select(court, CLIENTS) == [("#3",), ("#4",)]
    assert select(court, "SELECT coalesce(judge, '') FROM events ORDER BY 1") == [("",), ("Alvarez, M.",)]


def test_a_formulas_error_is_no_name_and_no_piece_of_a_number(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.last_name = "last"\ncase.number = { join = ["year", "no"], with = "-" }\n'
    upload = load(court, toml, "last,year,no\nAsh,26,1\n#N/A,26,2\nElm,26,#REF!\n")
    assert [error[2:] for error in codes(court.errors(upload))] == [("key_broken", "error")] * 2
    assert select(court, "SELECT number FROM cases") == [("26-1",)]


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


@pytest.mark.parametrize("cut", ["2.02601E+11", "2E+11", "2.02601e+11", "202.6E+9"])
def test_a_number_that_a_spreadsheet_has_cut_is_refused(court: Court, cut: str) -> None:
    upload = court.push(ecr(row("1", cut), row("2", cut), row(cut, "C-3"), row("4", "C-4")))
    assert codes(court.errors(upload)) == [
        (2, "Case Number", "key_cut_number", "error"),
        (3, "Case Number", "key_cut_number", "error"),
        (4, "Party ID", "key_cut_number", "error"),
    ]
    assert "spreadsheet" in court.errors(upload)[0].message
    assert [case[0] for case in court.dump()["cases"]] == ["C-4"]


@pytest.mark.parametrize("number", ["12E345", "1E11", "2.02601E11", "22E+4", "2026.E+11", "A2.0E+11"])
def test_a_number_with_an_e_is_one(court: Court, number: str) -> None:
    assert court.push(ecr(row(number, number))).status == "processed"
    assert [case[0] for case in court.dump()["cases"]] == [number]


def test_a_piece_that_was_cut_spoils_the_number(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = { join = ["year", "no"], with = "-" }\n'
    upload = load(court, toml, "id,year,no\n1,26,2.02601E+11\n2,26,7\n")
    assert codes(court.errors(upload)) == [(2, "year", "key_cut_number", "error")]
    assert select(court, "SELECT number FROM cases") == [("26-7",)]


def test_numbers_of_a_workbook_that_have_more_digits_than_excel_keeps_are_refused(court: Court, tmp_path: Path) -> None:
    long, whole = 202601000012345671, 202601000012345
    rows = [[long, "C1", 1.5], ["1", long + 1, 2.5], [whole, whole + 1, 1234567.89], [str(long), str(long + 1), None]]
    as_xlsx(tmp_path / "book", {"list": [["id", "no", "owed"], *rows]})
    court.template(HEAD + 'payment.amount = "owed"\n', "/upload/t")
    upload = court.push((tmp_path / "book").read_bytes(), "/upload/t/list.xlsx")
    assert codes(court.errors(upload)) == [(2, "id", "key_cut_number", "error"), (3, "no", "key_cut_number", "error")]
    assert select(court, CLIENTS) == [(f"#{whole}",), (f"#{long}",)]
    assert select(court, "SELECT number FROM cases ORDER BY 1") == [(f"{long + 1}",), (f"{whole + 1}",)]
    assert select(court, "SELECT amount FROM payments") == [(123456789,)]


def test_a_cut_number_that_nothing_is_matched_by_costs_itself_alone(court: Court) -> None:
    upload = load(court, HEAD + 'case.reference = "ref"\n', "id,no,ref\n1,C1,2.02601E+11\n")
    assert codes(court.errors(upload)) == [(2, "ref", "cut_number", "warning")]
    assert select(court, "SELECT number, reference FROM cases") == [("C1", None)]


def test_a_cut_number_in_a_snapshot_withdraws_nobody(court: Court) -> None:
    toml = f'{HEAD}event.date = "d"\n[processing]\nmethod = "replace_template"\n'
    good = "id,no,d\n7,202601000101,03/16/2027\n8,C2,03/16/2027\n"
    load(court, toml, good, good.replace("202601000101", "2.02601E+11"))
    assert select(court, "SELECT count(*) FROM events WHERE withdrawn_upload IS NULL") == [(2,)]


def test_a_number_of_which_a_program_has_made_a_fraction_is_nobody_else(court: Court) -> None:
    court.push(ecr(row("1000231", "C-1")))
    upload = court.push(ecr(row("1000231.0", "C-1"), row("2", "1.0", last="Birch")))
    assert codes(court.errors(upload)) == [
        (2, "Party ID", "key_float_number", "error"),
        (3, "Case Number", "key_float_number", "error"),
    ]
    assert [event[:2] for event in court.dump()["events"]] == [("#1000231", "C-1")]


@pytest.mark.parametrize("number", ["1000231.00", "1.01", "12.0-A", "A.0", "0012.0"])
def test_a_number_with_a_dot_is_one(court: Court, number: str) -> None:
    load(court, HEAD, f"id,no\n{number},C1\n")
    assert select(court, CLIENTS) == [(f"#{number}",)]


@pytest.mark.parametrize(
    ("rule", "reference"), [('split = ".", take = 1', "#1000231"), ('spaces = "keep"', "#1000231.0")]
)
def test_a_template_may_take_the_fraction_off_or_take_it_for_the_courts_own(
    court: Court, rule: str, reference: str
) -> None:
    toml = f'name = "t"\n[columns]\nclient.reference = {{ column = "id", {rule} }}\ncase.number = "no"\n'
    load(court, toml, "id,no\n1000231.0,C1\n")
    assert select(court, CLIENTS) == [(reference,)]


def test_words_behind_a_phone_number_cost_the_number_and_are_told(court: Court) -> None:
    phones = ("404-555-0110 DO NOT CALL", "404-555-0101 / 404-555-0102", "x", "404-555-0103 cell", "404-555-0104 MOM")
    upload = court.push(
        ecr(*(row(str(i), phone=phone) for i, phone in enumerate(phones)), row("9", email="a@x.co b@x.co"))
    )
    told = [(line, code) for line, _, code, _ in codes(court.errors(upload))]
    several = [(3, "several_phone"), (7, "several_email")]
    assert told == sorted([(2, "words_phone"), (4, "bad_phone"), (6, "words_phone"), *several])
    assert [contact[2] for contact in court.dump()["contacts"]] == ["+14045550103"]
    assert len(court.dump()["events"]) == 6
