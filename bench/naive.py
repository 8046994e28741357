"""The script a court's IT person would write for the same file: pandas, a loop over the rows, one upsert per row.

Nothing is done badly on purpose: natural keys instead of look-ups, one connection, one commit at the end, the same
results for good rows. What it lacks is what such a script lacks. Most of its time goes into dates when they are read
as a pandas user would read them (`by_pandas`); `by_strptime` is for the author who knows the formats and looks them up.
"""

import csv
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import phonenumbers

SCHEMA = """
CREATE TABLE IF NOT EXISTS clients (party_id TEXT PRIMARY KEY, first_name TEXT, last_name TEXT, language TEXT);
CREATE TABLE IF NOT EXISTS contacts (
    party_id TEXT REFERENCES clients, kind TEXT, value TEXT, PRIMARY KEY (party_id, kind, value));
CREATE TABLE IF NOT EXISTS cases (case_number TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS case_clients (
    case_number TEXT REFERENCES cases, party_id TEXT REFERENCES clients, role TEXT,
    PRIMARY KEY (case_number, party_id));
CREATE TABLE IF NOT EXISTS events (
    case_number TEXT REFERENCES cases, party_id TEXT REFERENCES clients, starts TEXT, status TEXT, location TEXT,
    judge TEXT, PRIMARY KEY (case_number, party_id, starts));
"""
CLIENT = """INSERT INTO clients VALUES (?, ?, ?, ?) ON CONFLICT (party_id) DO UPDATE SET
    first_name = excluded.first_name, last_name = excluded.last_name, language = excluded.language"""
CONTACT = "INSERT INTO contacts VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
CASE = "INSERT INTO cases VALUES (?) ON CONFLICT DO NOTHING"
CASE_CLIENT = """INSERT INTO case_clients VALUES (?, ?, ?) ON CONFLICT (case_number, party_id) DO UPDATE SET
    role = excluded.role"""
EVENT = """INSERT INTO events VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (case_number, party_id, starts) DO UPDATE SET
    status = excluded.status, location = excluded.location, judge = excluded.judge"""
FORMATS = ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


Instant = Callable[[str, str], str]


def load(source: Path, database: Path, zone: str, instant: Instant) -> dict[str, int]:
    """Put the flat file into the database; how many rows were good, and how many were not."""
    frame = pd.read_csv(
        source, sep=_delimiter(source), dtype=str, keep_default_na=False, encoding="utf-8-sig", on_bad_lines="skip"
    )
    good = bad = 0
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SCHEMA)
        for _, row in frame.iterrows():
            try:
                _upsert(connection, row, instant(_moment(row), zone))
                good += 1
            except ValueError:
                bad += 1
        connection.commit()
    return {"rows": good, "bad": bad}


def by_pandas(text: str, zone: str) -> str:
    """The moment in UTC, from local time in whatever form."""
    return pd.to_datetime(text).tz_localize(zone).tz_convert("UTC").isoformat()


def by_strptime(text: str, zone: str) -> str:
    """The moment in UTC, from local time in one of `FORMATS`."""
    for form in FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).isoformat()
        except ValueError:
            continue
    raise ValueError("no date")


def _upsert(connection: sqlite3.Connection, row: "pd.Series[str]", starts: str) -> None:
    names = (row["First Name"].strip(), row["Last Name"].strip(), row["Preferred Language"].strip())
    party, case = row["Party ID"].strip() or f"{names[0]} {names[1]}".strip(), row["Case Number"].strip()
    if not party or not case:
        raise ValueError("party or case is missing")
    phone, email = _phone(row["Phone"]), _email(row["Email"])
    connection.execute(CLIENT, (party, *names))
    if phone:
        connection.execute(CONTACT, (party, "phone", phone))
    if email:
        connection.execute(CONTACT, (party, "email", email))
    connection.execute(CASE, (case,))
    connection.execute(CASE_CLIENT, (case, party, row["Party Description"].strip()))
    details = (row["Event Status"].strip(), row["Location Name"].strip(), row["Judge Name"].strip())
    connection.execute(EVENT, (case, party, starts, *details))


def _moment(row: "pd.Series[str]") -> str:
    if "Event Date" in row:
        return f"{row['Event Date']} {row['Event Time']}".strip()
    return row["Event Date and Time"].strip()


def _phone(text: str) -> str:
    """The number as E.164, or nothing: a hearing is not dropped because of a mistyped number."""
    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        return ""
    valid = phonenumbers.is_possible_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if valid else ""


def _email(text: str) -> str:
    email = text.strip().lower()
    return email if EMAIL.fullmatch(email) else ""


def _delimiter(source: Path) -> str:
    with source.open(encoding="utf-8-sig") as file:
        return csv.Sniffer().sniff(file.readline(), ",|").delimiter
