"""Cells become values, or nothing; never a guess."""

import re
from datetime import date
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import coerce
from ingest.guard import as_sent
from ingest.template import TIME_FORMATS

DATES = ("%m/%d/%Y", "%Y-%m-%d")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("03/16/2026", "2026-03-16"),
        ("3/6/2026", "2026-03-06"),
        ("2026-03-16", "2026-03-16"),
        ("02/30/2026", None),
        ("13/01/2026", None),
        ("2026-1", None),
        ("03/16/26", None),
        ("03/16/0026", None),
        ("03/16/2026 9:00 AM", None),
        ("not 5/8/2018", None),
    ],
)
def test_dates(text: str, value: str | None) -> None:
    assert coerce.read_dates([text], DATES) == [value]


MANY = [f"x{number}" for number in range(1_000)]


@pytest.mark.parametrize(
    "text", ["03/16/2026", "3/6/2026", "02/30/2026", "2026-1", "03/16/0026", "today", "nan", "03/16/2026 9:00:60 AM"]
)
def test_dates_among_many_texts_are_read_as_alone(text: str) -> None:
    assert coerce.read_dates([text, *MANY], DATES)[:1] == coerce.read_dates([text], DATES)
    for alone, among in zip(
        coerce.read_moments([text], DATES, TIME_FORMATS),
        coerce.read_moments([text, *MANY], DATES, TIME_FORMATS),
        strict=True,
    ):
        assert among[:1] == alone


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
def test_every_date_is_read_in_every_format(day: date) -> None:
    assert coerce.read_dates([day.strftime(form) for form in DATES], DATES) == [day.isoformat()] * 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9:00 AM", "09:00"),
        ("12:00 am", "00:00"),
        ("1:30 pm", "13:30"),
        ("14:00", "14:00"),
        ("8:15:30", "08:15:30"),
        ("9:00AM", "09:00"),
        ("25:99", None),
        ("13:00 PM", None),
        ("noon", None),
    ],
)
def test_times(text: str, value: str | None) -> None:
    assert coerce.read_times([text], TIME_FORMATS) == [value]


@pytest.mark.parametrize(
    ("text", "day", "time"),
    [
        ("03/16/2026 9:00 am", "2026-03-16", "09:00"),
        ("2026-03-17 15:30:00", "2026-03-17", "15:30"),
        ("2026-03-17T15:30", "2026-03-17", "15:30"),
        ("03/16/2026", "2026-03-16", None),
        ("02/30/2026 9:00 AM", None, None),
        ("03/16/2026 25:00", None, None),
    ],
)
def test_moments(text: str, day: str | None, time: str | None) -> None:
    assert coerce.read_moments([text], DATES, TIME_FORMATS) == ([day], [time])


@pytest.mark.parametrize(
    ("day", "time", "instant"),
    [
        ("2026-01-15", "09:00", "2026-01-15T14:00:00.000000Z"),
        ("2026-07-15", "09:00", "2026-07-15T13:00:00.000000Z"),
        ("2026-03-08", "02:30", "2026-03-08T07:30:00.000000Z"),  # never comes: an hour later, 3:30 EDT
        ("2026-11-01", "01:30", "2026-11-01T05:30:00.000000Z"),  # comes twice: the first, EDT
        ("2026-01-15", None, "2026-01-15T05:00:00.000000Z"),
    ],
)
def test_instants(day: str, time: str | None, instant: str) -> None:
    assert coerce.instants([day], [time], "America/New_York") == [instant]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(404) 555-0101", "+14045550101"),
        ("404.555.0101", "+14045550101"),
        ("4045550101", "+14045550101"),
        ("1-404-555-0101", "+14045550101"),
        ("+1 404 555 0101", "+14045550101"),
        ("404-555-0101 ext. 12", "+14045550101"),
        ("+44 20 7946 0018", "+442079460018"),
        ("555-0101", None),
        ("104-555-0101", None),
        ("UNKNOWN", None),
        ("+1 404 155 0101", None),
        ("9" * 500, None),
        ("404-555-0101 (cell)", "+14045550101"),
        ("404-555-0101 - Home phone.", "+14045550101"),
        ("Cell: (404) 555-0101", "+14045550101"),
        ("H 404-555-0101", "+14045550101"),
        ("404-555-0101 w", "+14045550101"),
        ("404-555-0101 ext", "+14045550101"),
        ("tel:+14045550101", "+14045550101"),
        ("404-555-0110 DO NOT CALL", None),
        ("404-555-0110 wrong number", None),
        ("404-555-0110 disconnected", None),
        ("404-555-0107 MOM", None),
        ("404-555-0107 (attorney)", None),
        ("MOM 404-555-0107", None),
        ("do not call: 404-555-0107", None),
        ("404-555-0101 NO TEXTS", None),
        (f"404-555-0101{' ' * 100}do not call", None),
        ("404-555-0101 mamá", None),
        ("9999999999", None),
        ("222-222-2222", None),
        ("+1 (888) 888-8888 cell", None),
        ("222-222-2223", "+12222222223"),
    ],
)
def test_phones(text: str, value: str | None) -> None:
    assert coerce.read_phones([text], "US") == [value]


@pytest.mark.parametrize(
    ("text", "oddity"),
    [
        ("404-555-0102 / 404-555-0103", "several"),
        ("404-555-0102 404-555-0103", "several"),
        ("404-555-0102 or 555-0103", "several"),
        ("4045550102;4045550103", "several"),
        ("404-555-0107 MOM", "words"),
        ("404.555", ""),
        ("NONE", ""),
        ("404-555", ""),
        ("9" * 500, ""),
    ],
)
def test_what_is_no_phone_number_says_why(text: str, oddity: str) -> None:
    assert coerce.read_phones([text], "US") == [None]
    assert coerce.phone_oddities([text], "US") == [oddity]


@pytest.mark.parametrize(("text", "oddity"), [("a@x.com;b@x.com", "several"), ("a@@x.com", ""), ("none", "")])
def test_what_is_no_address_says_why(text: str, oddity: str) -> None:
    assert coerce.read_emails([text]) == [None]
    assert coerce.email_oddities([text]) == [oddity]


def test_phones_of_another_region() -> None:
    assert coerce.read_phones(["020 7946 0018", "+1 404 555 0101"], "GB") == ["+442079460018", "+14045550101"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Avery.Alder@Example.com", "avery.alder@example.com"),
        ("o'birch+court@sub.example.com", "o'birch+court@sub.example.com"),
        ("nobody", None),
        ("nobody@", None),
        ("a@b", None),
        ("a b@example.com", None),
        ("a@-example.com", None),
        ("a@example.com; b@example.com", None),
        ("x" * 250 + "@example.com", None),
    ],
)
def test_emails(text: str, value: str | None) -> None:
    assert coerce.read_emails([text]) == [value]


def test_texts_are_tidied() -> None:
    assert coerce.tidy(["  a \u00a0 b\t", "'+1 404", "'tis", "'=1+1"]) == ["a b", "+1 404", "'tis", "=1+1"]


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("01112026", "%m%d%Y", "2026-01-11"),
        ("1112026", "%m%d%Y", None),  # January 11 or November 1
        ("1012026", "%m%d%Y", None),
        ("3162026", "%m%d%Y", "2026-03-16"),
        ("20260316", "%Y%m%d", "2026-03-16"),
        ("3162026", "%m/%d/%Y", None),
        ("112026", "%m%d%Y", None),
        ("31626", "%m%d%y", "2026-03-16"),
        ("16Mar2026", "%d%b%Y", "2026-03-16"),
        ("3/6/2026 930", "%m/%d/%Y %H%M", "2026-03-06"),
        ("3/16/2026 10", "%m/%d/%Y %H%M", None),
        ("3162026 9:05:00 am", "%m%d%Y %I:%M:%S %p", "2026-03-16"),
        ("3162026 9:5:00 am", "%m%d%Y %I:%M:%S %p", None),
        ("202026-03-16", "20%y%m-%d", None),
        ("202603-16", "20%y%m-%d", "2026-03-16"),
    ],
)
def test_a_lost_zero_is_not_guessed(text: str, form: str, value: str | None) -> None:
    assert coerce.read_dates([text], [form]) == [value]


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("0130", "%H%M", "01:30"),
        ("130", "%H%M", None),
        ("1430", "%H%M", "14:30"),
        ("900", "%H%M", "09:00"),
        ("930", "%H%M", "09:30"),
        ("93000", "%H%M%S", "09:30"),
        ("900AM", "%I%M%p", "09:00"),
        ("9 AM", "%I%M%p", None),
        ("10AM", "%I%M%p", None),
        *((text, "%H%M", None) for text in ("10", "11", "13", "45", "0", "5")),
    ],
)
def test_a_lost_zero_of_a_time_is_not_guessed(text: str, form: str, value: str | None) -> None:
    assert coerce.read_times([text], [form]) == [value]


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("9:5 AM", "%I:%M %p", None),
        ("9:05 AM", "%I:%M %p", "09:05"),
        ("9.3", "%H.%M", None),  # what a spreadsheet leaves of 9.30
        ("9.30", "%H.%M", "09:30"),
        ("9:05:7", "%H:%M:%S", None),
        ("9:5:07", "%H:%M:%S", None),
        ("9:05:07", "%H:%M:%S", "09:05:07"),
        ("9H5", "%Hh%M", None),
        ("9%5", "%H%%%M", None),
        ("9%05", "%H%%%M", "09:05"),
        ("9 5", "%H %M", None),
        ("9:5:07", "%X", None),
        ("9:05:07", "%X", "09:05:07"),
        ("5 after 9", "%M after %H", None),
        ("05 after 9", "%M after %H", "09:05"),
        ("9:500", "%H:%M%S", None),
        ("AM5 9", "%p%M %I", None),
    ],
)
def test_minutes_and_seconds_have_two_digits(text: str, form: str, value: str | None) -> None:
    assert coerce.read_times([text], [form]) == [value]
    assert coerce.read_times([text, *MANY], [form])[0] == value


@pytest.mark.parametrize(
    ("text", "form", "time"), [("3.6.2026 9.3", "%H.%M", None), ("3.6.2026 9.30", "%H.%M", "09:30")]
)
def test_minutes_behind_a_date_have_two_digits(text: str, form: str, time: str | None) -> None:
    assert coerce.read_moments([text], ("%m.%d.%Y",), (form,))[1] == [time]


@pytest.mark.parametrize("text", ["today", "now", "NOW", "nan", "NaT", "None"])
def test_a_word_is_no_date_and_no_time(text: str) -> None:
    assert coerce.read_dates([text], DATES) == [None]
    assert coerce.read_times([text], TIME_FORMATS) == [None]
    assert coerce.read_moments([text], DATES, TIME_FORMATS) == ([None], [None])


@pytest.mark.parametrize("text", ["9:05:60", "9:05:61", "24:00", "23:60"])
def test_a_minute_has_sixty_seconds(text: str) -> None:
    assert coerce.read_times([text], TIME_FORMATS) == [None]


def test_a_directive_that_pandas_does_not_know_is_read_all_the_same() -> None:
    assert coerce.read_dates(["2026-W12-1", "x"], ["%G-W%V-%u"]) == ["2026-03-16", None]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("555-2101 MOM", None),
        ("5552345 Jim", None),
        ("404-555-HELP", None),
        ("1-800-FLOWERS", None),
        ("tel:5552345;phone-context=+1404", None),
        ("CELL 404-555-0101", "+14045550101"),
        ("404-555-0101 x12", "+14045550101"),
        ("404-555-0101 (ext 12)", "+14045550101"),
        ("404-555-0101 #12", "+14045550101"),
        ("404-555-0101 (cell)", "+14045550101"),
        ("(404) 555-0101 home", "+14045550101"),
    ],
)
def test_letters_are_not_dialled(text: str, value: str | None) -> None:
    assert coerce.read_phones([text], "US") == [value]


def test_what_cannot_be_seen_does_not_make_two_of_one() -> None:
    assert coerce.tidy(["\ufeffZoe\u0308\u200b", "Zoë", "\u200b", "\ufeff'=1"]) == ["Zoë", "Zoë", "", "=1"]
    assert coerce.tidy(["C-2\x1a", "\x02C-2", "C\x7f-2", "C-2\x9f", "a\x85b\x1fc"]) == [*["C-2"] * 4, "a b c"]
    assert coerce.keep_spaces(["C  2\x1a\t3\x9f", "\x1a "]) == ["C  2 3", ""]


@given(st.lists(st.text("aZ'=+é\u0301 \t\n\x1f\x00\x7f\u00a0\u200b", max_size=4), max_size=6))
def test_texts_are_tidied_whatever_stands_beside_them(texts: list[str]) -> None:
    seen = [as_sent(re.sub("[\u200b\0\x7f]", "", text)) for text in texts]
    assert coerce.tidy(texts) == [normalize("NFC", " ".join(text.split())) for text in seen]


@pytest.mark.parametrize(
    ("text", "day", "time"),
    [
        ("46097", "2026-03-16", None),
        ("46097.375", "2026-03-16", "09:00"),
        ("46097.0", "2026-03-16", None),
        ("46097.347222222222", "2026-03-16", "08:20"),
        ("46097.999999", "2026-03-17", "00:00"),
        ("60", None, None),
        ("-5", None, None),
        ("2958465.9999999", None, None),
        ("9999999.5", None, None),
        ("9" * 50, None, None),
        ("3/16/2026 9:00 AM", "2026-03-16", "09:00"),
    ],
)
def test_numbers_of_spreadsheets(text: str, day: str | None, time: str | None) -> None:
    assert coerce.read_moments([text], ("excel", *DATES), TIME_FORMATS) == ([day], [time])


def test_a_number_with_a_fraction_is_no_date() -> None:
    texts = ["46097", "46097.0", "46097.5", "2958465.9999999", "9999999", "046097", "041626"]
    assert coerce.read_dates(texts, ("excel",)) == ["2026-03-16", "2026-03-16", *[None] * 5]
    assert coerce.read_times(["0.375", "0", "1.5", "0.9999999"], ("excel",)) == ["09:00", "00:00", None, None]


@pytest.mark.parametrize(("pivot", "year"), [(None, 2045), (45, 2045), (44, 1945)])
def test_two_digit_years(pivot: int | None, year: int) -> None:
    assert coerce.read_dates(["03/16/45"], ("%m/%d/%y",), pivot) == [f"{year}-03-16"]


def test_a_leap_day_that_the_other_century_has_not_is_no_date() -> None:
    assert coerce.read_dates(["02/29/00"], ("%m/%d/%y",), 99) == ["2000-02-29"]


@pytest.mark.parametrize("text", [",", ", ,", "Jr", "Jr,", ",Jr", "II III", " a ", "\u00e9,\u00e9 b c, Sr."])
def test_any_name_is_split_into_parts(text: str) -> None:
    assert all(isinstance(part, str) for part in coerce.split_name(text, "first last"))


@given(st.text(max_size=30))
def test_nothing_makes_the_readers_fail(text: str) -> None:
    [tidied] = coerce.tidy([text])
    coerce.read_moments([tidied], ("excel", *DATES), ("excel", *TIME_FORMATS))
    coerce.read_times([tidied], ("excel",))
    for read in (coerce.read_money, coerce.read_yes_no, coerce.titled, coerce.keep_spaces):
        assert len(read([text])) == 1
    for order in ("first last", "last first"):
        assert " ".join("".join(coerce.split_name(tidied, order)).split()) is not None


def test_a_format_of_dates_with_a_time_in_it_loses_no_time() -> None:
    texts, forms = ["03/16/2026 13:30", "03/16/2026 00:00"], ["%m/%d/%Y %H:%M"]
    assert coerce.read_days(texts, forms) == [None, "2026-03-16"]
    assert coerce.read_dates(texts, forms) == ["2026-03-16"] * 2
    assert coerce.read_moments(texts, forms, ("%I:%M %p",)) == (["2026-03-16"] * 2, ["13:30", None])
