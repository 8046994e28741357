"""Templates: what they may say, and what is answered when they say something else."""

import pytest

from ingest.answer import Counts
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.mapping import map_columns
from ingest.template import builtin_templates, load_template, with_files
from tests.ingest.court import HEADER, Court

GOOD = 'name = "t"\n[columns]\ncase.number = "Case"\nclient.reference = ["ID", "Id"]\n'


def test_builtin_templates_can_be_loaded_and_bear_their_name() -> None:
    assert {name: load_template(text).name for name, text in builtin_templates().items()} == {
        "odyssey-ecr": "odyssey-ecr"
    }


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("name = ", "template_syntax", "TOML"),
        ("[columns]\n", "template_name", "name"),
        ('name = " * "\n[columns]\n', "template_name", "line 1"),
        (GOOD + "[fiel]\n", "template_key", "Did you mean file?"),
        (GOOD + '[file]\nencodng = "utf-8"', "template_key", "Did you mean encoding?"),
        (GOOD + 'client.frist_name = "x"', "template_field", "Did you mean client.first_name?"),
        (GOOD + "client.dob = 0", "template_column", "position"),
        (GOOD + "client.dob = true", "template_column", "position"),
        (GOOD + "client.dob = []", "template_column", "position"),
        (GOOD + '[file]\ndelimiter = "x"', "template_value", "auto"),
        (GOOD + '[file]\nheader = "no"', "template_value", "true or false"),
        (GOOD + "[file]\nheader = false", "template_header", "positions"),
        (GOOD + '[formats]\ndate = ["%m/%d"]', "template_format", "year, month and day"),
        (GOOD + '[formats]\ntime = ["%I:%M"]', "template_format", "%p"),
        (GOOD + '[formats]\ntime = ["%q"]', "template_format", "read back"),
        (GOOD + '[formats]\ntime = ["%I:%M %p", "%H:%M %p"]', "template_format", "With AM/PM the hour is %I"),
        (GOOD + '[formats]\ndate = ["%m/%d/%Y %H:%M %p"]', "template_format", "With AM/PM the hour is %I"),
        (
            GOOD + 'event.datetime = { column = "x", formats = "%m/%d/%Y", times = "%H:%M %p" }',
            "template_format",
            "With AM/PM the hour is %I",
        ),
        (GOOD + '[constants]\ncase.number = "1"', "template_constant", "case.number"),
        ('name = "t"\nrequired = ["event.date"]\n[columns]\ncase.number = 1', "template_required", "event.date"),
        ('name = "t"\nrequired = "x"\n[columns]\ncase.number = 1', "template_value", "list"),
        ('name = "t"\n[columns]\nclient.first_name = 1', "template_identity", "client.reference"),
        ('name = "t"\n[columns]\ncase.number = 1\ncontact.phone = 2', "template_identity", "contact"),
        ('name = "t"\n[columns]\ncase.number = 1\nevent.time = 2', "template_date", "event.date"),
        ('name = "t"', "template_empty", "columns"),
        (GOOD + '[constants]\nclient.reference = "1"', "template_constant", "client.reference"),
        (GOOD + '[constants]\nevent.reference = "1"', "template_constant", "event.reference"),
        (GOOD + 'client.group = 3\n[constants]\nclient.group = "x"', "template_constant", "both a constant and"),
        (GOOD + "[file]\ndelimiter = [1]", "template_value", "auto"),
        (GOOD + "[file]\nencoding = {}", "template_value", "utf-8"),
        (GOOD + '[formats]\ndate = ["MM/DD/YYYY"]', "template_format", "%m/%d/%Y"),
        (GOOD + '[formats]\ndate = ["%m/%d/%Y %Y"]', "template_format", "read back"),
        (GOOD + 'event.datetime = "d"\n[formats]\ndate = ["%m/%d/%Y %H:%M"]', "template_format", "overlap"),
        (GOOD + 'event.datetime = "d"\n[formats]\ntime = ["%c"]', "template_format", "overlap"),
        (GOOD + 'case.number = "Case"', "template_syntax", "twice"),
        ("x = " + "[" * 5000, "template_syntax", "TOML"),
        ("[" + ".".join("a" * 3000) + "]", "template_syntax", "without end"),
        (GOOD + '"client.dob" = "Born"', "template_field", "Write it without: client.dob"),
        ('name = "t"\ncolumns = 3', "template_key", "[columns]"),
        (GOOD + "client.dob = 0", "template_column", "See line 5 "),
        (GOOD + 'case.style = { colum = "x" }', "template_key", "Did you mean column? See line 5 "),
        (GOOD + 'case.style = { first = "x" }', "template_column", "list of two columns"),
        (GOOD + 'case.style = { column = "x", first = ["a", "b"] }', "template_column", "exactly one"),
        (GOOD + 'case.style = { column = "x", case = "Upper" }', "template_value", '"upper"'),
        (GOOD + 'case.style = { column = "x", take = 0 }', "template_value", "the first piece"),
        (GOOD + 'case.style = { column = "x", pivot = 30 }', "template_format", "no date"),
        (GOOD + 'client.dob = { column = "x", pivot = 300 }', "template_value", "0 to 99"),
        (GOOD + 'client.dob = { column = "x", formats = "%m/%d" }', "template_format", "year, month and day"),
        (GOOD + 'case.style = { column = "x", values = { A = "1", a = "2" } }', "template_value", "twice"),
        (GOOD + 'case.style = { column = "x", lookup = "l" }', "template_lookup", "--lookup l=FILE.csv See line 5 "),
        (GOOD + '[lookups.l]\ncsv = "a,b"\ncode = "c"', "template_lookup", "no single column 'c'"),
        (GOOD + "[lookups]\nl = 3", "template_lookup", "must be a table"),
        (GOOD + '[lookups]\nl = "places.csv"', "template_lookup", "dropslot template add"),
        (GOOD + '[lookups.l]\nfile = "places.CSV"', "template_lookup", "dropslot template add"),
        (GOOD + '[lookups.l]\ncsv = "a,b"', "template_lookup", "no codes"),
        (
            GOOD + '[lookups.l]\ncsv = "a,b\\n1,x\\n\\n ,\\n2"',
            "template_lookup",
            "line 5 of the CSV",
        ),
        (GOOD + '[lookups.l]\ncsv = "a,b\\n,x"', "template_lookup", "the text 'x' and no code"),
        (GOOD + '[lookups.l]\ncsv = "a,b,c\\n ,,c"', "template_lookup", "has neither"),
        (
            GOOD + '[lookups.l]\ncsv = "a,b\\n1,x\\n1,x\\n1,y"',
            "template_lookup",
            "Line 4 of",
        ),
        (GOOD + '[custom]\nparty.x = "y"', "template_field", "client, case, event, payment"),
        (GOOD + '[match]\nclient = "shoe"', "template_match", "cannot be by shoe"),
        (GOOD + '[match]\ncase = "location"', "template_match", "always known by its number"),
        (GOOD + '[match]\nclient = "name + dob"', "template_match", "does not map"),
        (GOOD + '[[exclude]]\nfield = "case.status"\nis = "x"', "template_exclude", "no column is mapped"),
        (GOOD + '[[exclude]]\ncolumn = "x"', "template_exclude", "exactly one test"),
        (
            GOOD + '[[exclude]]\ncolumn = "x"\nblank = true\n[[exclude]]\ncolumn = "x"\nmatches = "("',
            "template_pattern",
            "line 10 ",
        ),
        (GOOD + '[[exclude]]\ncolumn = "x"\nmatches = "(a)\\\\1"', "template_pattern", "no backreferences"),
        (GOOD + '[[exclude]]\ncolumn = "x"\npast = true', "template_exclude", "event.date"),
        (GOOD + "[[party]]\nhearing = true", "template_party", "nobody"),
        (
            GOOD + '[[party]]\ncolumns.client.reference = "x"\ncolumns.event.date = "y"',
            "template_party",
            "cannot have event.date",
        ),
        (
            GOOD + '[[party]]\ncolumns.client.refrence = "x"',
            "template_field",
            "Did you mean client.reference? See line 6 ",
        ),
        (GOOD + 'contact.phone_2_type = "x"', "template_identity", "Map contact.phone_2."),
        (GOOD + "[limits]\nrows = 0", "template_value", "from 1 on"),
        (GOOD + '[limits]\nsize = "much"', "template_value", "50 MB"),
        (GOOD + '[clock]\ntwice = "both"', "template_value", '"second"'),
    ],
)
def test_a_template_that_cannot_be_used_is_told(text: str, code: str, says: str) -> None:
    with pytest.raises(IngestError) as caught:
        load_template(text)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_the_first_of_several_headers_counts() -> None:
    plan = map_columns(load_template(GOOD), ["Id", "Case"], Limits())
    assert dict(plan.columns) == {"case.number": 1, "client.reference": 0}


def test_date_and_time_come_in_one_column_or_in_two(court: Court) -> None:
    combined = HEADER.replace("Event Date|Event Time", "Event Date and Time")
    assert court.push(f"{combined}\n1|A|B|||||03/16/2026 9:00 AM||||CR-1\n", "/upload/1.txt").status == "processed"
    assert court.push(f"{HEADER}\n2|A|B|||||03/16/2026|9:00 AM||||CR-1\n", "/upload/2.txt").status == "processed"
    assert {event[4] for event in court.dump()["events"]} == {"2026-03-16T13:00:00.000000Z"}


def test_a_combined_column_with_a_date_alone_leaves_the_time_to_its_own_column(court: Court) -> None:
    both = HEADER.replace("Event Date|", "Event Date and Time|")
    court.push(f"{both}\n1|A|B|||||03/16/2026|9:00 AM||||CR-1\n2|A|B|||||03/16/2026 8:00 AM|9:00 AM||||CR-1\n")
    assert [event[6] for event in court.dump()["events"]] == ["09:00", "08:00"]


def test_a_required_date_without_any_column_is_told(court: Court) -> None:
    court.template(
        'name = "m"\nrequired = ["event.date"]\noptional = ["event.datetime"]\n'
        '[columns]\ncase.number = "n"\nevent.datetime = "d"',
        "/m",
    )
    error = court.push("n,x\nCR-1,y\n", "/m/a.csv").error
    assert error is not None
    assert (error.code, "'d'" in error.message) == ("missing_column", True)


def test_a_file_without_a_header_does_not_have_its_people_quoted(court: Court) -> None:
    error = court.push("1|Avery|Alder|||||03/16/2026|||||CR-1\n").error
    assert error is not None
    assert "Avery" not in str(error)
    assert "does not look like a header (13 columns)" in error.message


def test_names_of_columns_are_quoted_as_far_as_a_sentence_bears(court: Court) -> None:
    error = court.push("Party ID|" + "|".join(f"{i}{'x' * 100}" for i in range(100)) + "\n1\n").error
    assert error is not None
    assert len(error.message) < 3000
    assert error.message.endswith("and 71 more.")


def test_extra_columns_are_told_and_do_no_harm(court: Court) -> None:
    upload = court.push(f"{HEADER}|Bail\n1|A|B|||||03/16/2026|||||CR-1|x\n")
    assert upload.status == "processed"
    assert upload.notes == ("Columns that the template does not read: 'Bail'.",)


ANCHORAGE = """
name = "anchorage"
required = ["event.date"]
[file]
header = false
[formats]
date = "%m/%d/%Y"
time = "%I:%M %p"
[columns]
event.date = 1
client.last_name = 2
client.first_name = 3
event.location = 5
event.time = 6
case.number = 7
event.type = 9
[constants]
client.group = "Court"
"""


def test_positions_make_headerless_files_usable(court: Court) -> None:
    court.template(ANCHORAGE, "/anchorage")
    content = (
        '09/13/2018,"Myers","John",,"Courthouse", 8:30 am,"AAB1",,"Infraction",\n'
        '06/23/2018,"Hamill","Susie",,"Courtroom 2, Courthouse",10:00 am,"AAB2",,"Infraction",\n'
        '06/23/2018,"Hamill"\n'
    )
    upload = court.push(content, "/anchorage/a.csv")
    assert (upload.status, upload.rows, upload.error_rows) == ("partially_processed", 3, 1)
    assert [client[10] for client in court.dump()["clients"]] == ["Court", "Court"]
    assert [event[2] for event in court.dump()["events"]] == [
        "2018-06-23T10:00|infraction",
        "2018-09-13T08:30|infraction",
    ]


def test_a_case_without_people_and_people_without_a_case(court: Court) -> None:
    court.template('name = "cases"\n[columns]\ncase.number = "n"\ncase.style = "s"\nevent.date = "d"', "/cases")
    court.template('name = "people"\n[columns]\nclient.reference = "n"\nevent.date = "d"', "/people")
    assert court.push("n,s,d\nCR-1,State v. X,03/16/2026\n,,03/17/2026\n", "/cases/a.csv").error_rows == 1
    court.push("n,d\n7,03/16/2026\n", "/people/a.csv")
    court.push("n,d\n7,03/16/2026\n", "/people/b.csv")
    assert [event[:3] for event in court.dump()["events"]] == [(None, "CR-1", "2026-03-16"), ("#7", None, "2026-03-16")]


def test_an_event_reference_lets_a_hearing_move(court: Court) -> None:
    toml = 'name = "ref"\n[columns]\nclient.reference = "n"\nevent.reference = "e"\nevent.date = "d"\nevent.time = "t"'
    court.template(toml, "/ref")
    court.push("n,e,d,t\n7,E1,03/16/2026,9:00 AM\n", "/ref/a.csv")
    upload = court.push("n,e,d,t\n7,E1,03/18/2026,\n", "/ref/b.csv")
    assert upload.counts["events"] == Counts(updated=1, moved=1)
    assert [event[2:7] for event in court.dump()["events"]] == [
        ("#E1", "E1", "2026-03-18T04:00:00.000000Z", "2026-03-18", None)
    ]


def test_the_width_of_a_file_without_a_header_is_that_of_most_rows(court: Court) -> None:
    court.template('name = "w"\n[file]\nheader = false\n[columns]\nclient.reference = 1\ncase.number = 3', "/w")
    upload = court.push("1,x\n2,x,CR-2\n3,x,CR-3\n", "/w/a.csv")
    [error] = court.errors(upload)
    assert (error.row, error.message) == (1, "The row has fewer columns than the other rows.")
    assert len(court.dump()["cases"]) == 2


PLACES = '\ufeffcode,place\r\n1A,"Annex, upstairs"\r\n2B,Barn\r\n'


@pytest.mark.parametrize(
    "said",
    [
        '[lookups]\nl = "places.csv"\n',
        '[lookups]\nother.a = "b"\n  "l"\t=\t\'places.csv\'  # codes\n',
        '[lookups]\nl.file = "places.csv"\nl.code = "code"\nl.text = "place"',
        '[lookups.l]\ntext = "place"\nfile = "places.csv"\ncode = "code"\n[limits]\nrows = 7\n',
        "lookups.l = 'places.csv'",
    ],
    ids=["line", "remark", "dotted", "table", "top"],
)
def test_a_lookup_file_becomes_a_part_of_the_template(said: str) -> None:
    asked = []

    def read(name: str) -> str:
        asked.append(name)
        return PLACES

    good = GOOD if said.startswith("[") else f"{said}\n{GOOD}"
    text = with_files(good + said * said.startswith("["), read)
    template = load_template(text)
    assert (asked, dict(template.lookups["l"])) == (["places.csv"], {"1A": "Annex, upstairs", "2B": "Barn"})
    assert with_files(text, read) == text


@pytest.mark.parametrize(
    ("said", "content", "says"),
    [
        ('[lookups]\nl = "../places.csv"', PLACES, "names no file beside the template"),
        ('[lookups]\nl = "/etc/passwd"', PLACES, "names no file beside the template"),
        ('[lookups]\nl = ""', PLACES, "names no file beside the template"),
        ('lookups = { l = "places.csv" }', PLACES, 'on a line of its own below [lookups]: l = "places.csv"'),
        ('[lookups]\nl = "places.csv"', "code,place\n1,'''", "control characters"),
        ('[lookups]\nl = "places.csv"', "code,place\n1,\0", "control characters"),
    ],
    ids=["above", "absolute", "nothing", "inline", "quotes", "control"],
)
def test_a_lookup_file_that_cannot_be_taken_is_told(said: str, content: str, says: str) -> None:
    text = f"{said}\n{GOOD}" if said.startswith("lookups") else GOOD + said
    with pytest.raises(IngestError) as caught:
        with_files(text, lambda _: content)
    assert caught.value.code == "template_lookup"
    assert says.replace("places.csv", "locations.csv") in str(caught.value)


def test_a_template_without_lookup_files_is_left_as_it_is() -> None:
    for text in ("[broken", GOOD, GOOD + '[lookups.l]\nfile = "Filing"\n', GOOD + "[lookups]\nl = 3"):
        assert with_files(text, lambda _: "") == text
