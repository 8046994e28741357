"""A reference that seems to stand for somebody else now is told of on the receipt."""

import pytest

from ingest.answer import Upload, receipt_text
from tests.ingest.court import Court, ecr, row


def told(upload: Upload) -> list[str]:
    return [note for note in upload.notes if "first and last name" in note]


def test_another_person_under_a_known_reference_is_told(court: Court) -> None:
    court.push(ecr(row("1", first="John", last="Smith"), row("2", "CR-2")))
    upload = court.push(ecr(row("1", first="Mary", last="Jones"), row("2", "CR-2")))
    [note] = told(upload)
    assert note.startswith("1 client has another first and last name than before (reference 1).")
    assert note in receipt_text(upload, [])
    assert told(court.push(ecr(row("1", first="Mary", last="Jones"), row("2", "CR-2")), "/upload/next.txt")) == []


def test_people_who_share_a_reference_in_one_file_are_told(court: Court) -> None:
    people = [("1", "Ann", "Ash"), ("2", "Bo", "Birch"), ("1", "Cy", "Cole"), ("2", "BO", "BIRCH"), ("3", "Di", "Dow")]
    rows = [row(id_, f"CR-{number}", first=first, last=last) for number, (id_, first, last) in enumerate(people)]
    upload = court.push(ecr(*rows))
    [note] = [note for note in upload.notes if "in this file" in note]
    assert note.startswith("1 client has different first and last names in this file (reference 1).")
    assert note in receipt_text(upload, [])


def test_a_person_of_several_spellings_shares_no_reference(court: Court) -> None:
    people = [("Ann", "Ash"), ("Anna", "Ash"), ("ASH", "ANN"), ("Änn", "Ash"), ("", "Birch"), ("Bo", "")]
    rows = [row("1", f"CR-{number}", first=first, last=last) for number, (first, last) in enumerate(people)]
    upload = court.push(ecr(*rows))
    assert [note for note in upload.notes if "in this file" in note] == []


@pytest.mark.parametrize(
    ("first", "last"),
    [("John", "Jones"), ("Jon", "Smith"), ("SMITH", "JOHN"), ("JOHN", "SMITH"), ("Jöhn", "Smith-"), ("", "")],
    ids=range(6),
)
def test_other_spellings_are_no_other_person(court: Court, first: str, last: str) -> None:
    court.push(ecr(row("1", first="John", last="Smith")))
    assert told(court.push(ecr(row("1", first=first, last=last)))) == []


def test_a_name_that_was_not_known_is_no_other_one(court: Court) -> None:
    court.push(ecr(row("1", first="", last="")))
    assert told(court.push(ecr(row("1", first="John", last="Smith")))) == []


def test_many_are_counted_and_some_named(court: Court) -> None:
    court.push(ecr(*(row(str(number), f"CR-{number}", first="John", last="Smith") for number in range(1, 7))))
    [note] = told(
        court.push(ecr(*(row(str(number), f"CR-{number}", first="Mary", last="Jones") for number in range(1, 6))))
    )
    assert "5 clients have another" in note
    assert "(reference 1, 2, 3, ...)" in note


def test_who_comes_back_as_somebody_else_is_told(court: Court) -> None:
    court.template(
        'name = "all"\n[processing]\nmethod = "replace_template"\nguard = 100\n[columns]\nclient.reference = "r"\n'
        'client.first_name = "f"\nclient.last_name = "l"\ncase.number = "n"\n',
        "/all",
    )
    court.push("r,f,l,n\n1,John,Smith,C1\n2,Ann,Lee,C2\n", "/all/a.csv")
    court.push("r,f,l,n\n2,Ann,Lee,C2\n", "/all/b.csv")
    assert len(told(court.push("r,f,l,n\n1,Mary,Jones,C1\n2,Ann,Lee,C2\n", "/all/c.csv"))) == 1
