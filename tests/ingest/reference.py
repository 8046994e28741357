"""The engine as anybody would first write it: one row after the other, with the csv module and dicts.

Knows only the standard report, and only what is right: it is what the columnar engine is compared with. A report may
be delimited text, fixed width, or a workbook, which openpyxl reads.
"""

import csv
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl

CLIENT = {"first_name": "First Name", "last_name": "Last Name", "language": "Preferred Language"}
EVENT = {"status": "Event Status", "location": "Location Name", "judge": "Judge Name"}
NANP = re.compile(r"1?([2-9]\d{2}[2-9]\d{6})")


class Reference:
    """Records as dicts by natural key, and the row errors of the last file."""

    def __init__(
        self, zone: str, delimiter: str = "|", widths: Sequence[int] = (), encoding: str = "utf-8-sig"
    ) -> None:
        self.zone, self.delimiter, self.widths, self.encoding = ZoneInfo(zone), delimiter, widths, encoding
        self.clients: dict[str, dict[str, Any]] = {}
        self.cases: dict[str, dict[str, Any]] = {}
        self.contacts: set[tuple[str, str, str]] = set()
        self.parties: dict[tuple[str, str], dict[str, Any]] = {}
        self.events: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.errors: list[tuple[int, str, str, str]] = []

    def ingest(self, content: bytes) -> None:
        self.errors = []
        lines = self._lines(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        _, header = next(lines)
        for line, cells in lines:
            if any(cell.strip() for cell in cells):
                self._row(line, header, cells)

    def _lines(self, content: bytes) -> Iterator[tuple[int, list[str]]]:
        """Each line of the file, or row of the sheet, with its number and cells."""
        if content[:2] == b"PK":
            sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
            yield from ((n, list(map(_shown, row))) for n, row in enumerate(sheet.iter_rows(values_only=True), 1))
            return
        text = content.decode(self.encoding)
        if self.widths:
            for number, line in enumerate(text.splitlines(), 1):
                starts = [sum(self.widths[:i]) for i in range(len(self.widths))]
                yield number, [line[a : a + w].strip(" ") for a, w in zip(starts, self.widths, strict=True)]
            return
        reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter), 1
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1

    def _row(self, line: int, header: list[str], cells: list[str]) -> None:
        if len(cells) != len(header):
            self.errors.append((line, "", f"too_{'few' if len(cells) < len(header) else 'many'}_columns", "error"))
            return
        row = {name: " ".join(cell.split()) or None for name, cell in zip(header, cells, strict=True)}
        refused = self._refusals(line, row)
        if refused:
            self.errors += sorted(refused, key=lambda error: header.index(error[1]))
            return
        identity = f"#{row['Party ID']}"
        if not row["Party ID"]:
            names = [(row[name] or "").casefold() for name in ("Last Name", "First Name")]
            identity = "\x1f".join([*names, str(row["Case Number"])])
        self._apply(line, row, identity)

    def _refusals(self, line: int, row: dict[str, Any]) -> list[tuple[int, str, str, str]]:
        refused = [(line, n, "missing_required", "error") for n in ("Case Number", "Event Date") if not row[n]]
        if row["Event Date"] and _date(row["Event Date"]) is None:
            refused.append((line, "Event Date", "bad_date", "error"))
        if row["Event Time"] and _time(row["Event Time"]) is None:
            refused.append((line, "Event Time", "bad_time", "error"))
        named = row["First Name"] or row["Last Name"]
        if not refused and not row["Party ID"] and not named:
            refused.append((line, "Party ID", "no_client", "error"))
        return refused

    def _apply(self, line: int, row: dict[str, Any], identity: str) -> None:
        number = row["Case Number"]
        client = self.clients.setdefault(identity, {"reference": row["Party ID"]})
        _lay_over(client, {name: row[column] for name, column in CLIENT.items()})
        self.cases.setdefault(number, {})
        _lay_over(self.parties.setdefault((number, identity), {}), {"role": row["Party Description"]})
        self._contact(line, identity, "phone", "Phone", row["Phone"], _phone)
        self._contact(line, identity, "email", "Email", row["Email"], _email)
        day = _date(row["Event Date"])
        hour = _time(row["Event Time"]) if row["Event Time"] else None
        local = datetime.fromisoformat(f"{day}T{hour or '00:00'}").replace(tzinfo=self.zone)
        slot = f"{day}T{hour}" if hour else str(day)
        event = self.events.setdefault((identity, number, slot), {"day": day, "hour": hour})
        event["starts_at"] = local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        _lay_over(event, {name: row[column] for name, column in EVENT.items()})

    def _contact(self, line: int, identity: str, kind: str, column: str, cell: str | None, read: Any) -> None:
        if cell and read(cell) is None:
            self.errors.append((line, column, f"bad_{kind}", "warning"))
        elif cell:
            self.contacts.add((identity, kind, read(cell)))

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """As `Court.dump`, as far as it is known here."""
        return {
            "clients": sorted((k, c["reference"], *(c.get(name) for name in CLIENT)) for k, c in self.clients.items()),
            "cases": sorted((number,) for number in self.cases),
            "contacts": sorted(self.contacts),
            "case_parties": sorted((*key, party.get("role")) for key, party in self.parties.items()),
            "events": sorted(
                (*key, e["starts_at"], e["day"], e["hour"], *(e.get(name) for name in EVENT))
                for key, e in self.events.items()
            ),
        }


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M" if value.time() != time(0) else "%Y-%m-%d")
    if isinstance(value, date | time):
        return value.strftime("%Y-%m-%d" if isinstance(value, date) else "%H:%M")
    return "" if value is None else str(value)


def _lay_over(record: dict[str, Any], values: dict[str, Any]) -> None:
    record.update({name: value for name, value in values.items() if value})


def _date(cell: str) -> str | None:
    for form in ("%m/%d/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(cell, form).strftime("%Y-%m-%d")
        except ValueError:
            continue
    return None


def _time(cell: str) -> str | None:
    for form in ("%I:%M %p", "%H:%M"):
        try:
            return datetime.strptime(cell, form).strftime("%H:%M")
        except ValueError:
            continue
    return None


def _phone(cell: str) -> str | None:
    match = NANP.fullmatch(re.sub(r"[ +().-]", "", cell))
    return f"+1{match[1]}" if match else None


def _email(cell: str) -> str | None:
    return cell.lower() if re.fullmatch(r"[^@ ]+@[^@ ]+\.[a-z]+", cell.lower()) else None


RICH = """
name = "rich"
required = ["case.number"]
[columns]
client.reference = "id"
client.name = { column = "name", order = "last first" }
contact.phone = { first = ["cell", "home"] }
contact.phone_type = "kind"
contact.phone_2 = "work"
case.number = "no"
case.location = { column = "loc", lookup = "places", unknown = "keep" }
case.status = { column = "status", values = { Cancelled = "canceled", "?" = "" }, default = "open" }
event.date = "date"
event.time = "time"
event.notes = { join = ["n1", "n2"], with = "; " }
payment.amount = "amount"
payment.description = "what"
[custom]
case."Bond Type" = { column = "bond", case = "upper" }
client.pet = "pet"
[[party]]
hearing = true
columns.client.reference = "aid"
columns.client.name = "aname"
columns.contact.phone = "aphone"
constants.case.role = "Attorney"
[match]
case = "number + location"
[lookups.places]
1A = "Ada"
[[exclude]]
field = "case.status"
is = "closed"
[[exclude]]
field = "event.date"
past = true
"""
"""A template that uses what templates can do; `RichReference` does the same by hand."""

RICH_HEADER = (
    *("id", "name", "cell", "home", "kind", "work", "no", "loc", "status", "date", "time", "n1", "n2"),
    *("amount", "what", "bond", "pet", "aid", "aname", "aphone"),
)


class RichReference:
    """The records that `RICH` makes, as dicts by natural key, with the places of rows that are bad or left out."""

    def __init__(self, zone: str, clears: bool = False) -> None:
        self.zone, self.clears = ZoneInfo(zone), clears
        self.clients: dict[str, dict[str, Any]] = {}
        self.contacts: dict[tuple[str, str], dict[str, Any]] = {}
        self.cases: dict[str, dict[str, Any]] = {}
        self.parties: dict[tuple[str, str], dict[str, Any]] = {}
        self.events: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.payments: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.bad: list[int] = []
        self.excluded: list[int] = []

    def ingest(self, rows: list[dict[str, str]], today: str) -> None:
        self.bad, self.excluded = [], []
        for line, cells in enumerate(rows, 2):
            row = {name: " ".join(cell.split()) for name, cell in cells.items()}
            if any(row.values()):
                self._row(line, row, today)

    def _row(self, line: int, row: dict[str, str], today: str) -> None:
        status = {"cancelled": "canceled", "?": ""}.get(row["status"].casefold(), row["status"]) or "open"
        day, hour = _date(row["date"]), _time(row["time"])
        if status == "closed" or (day and day < today):
            self.excluded.append(line)
            return
        names = _split(row["name"], True)
        if (
            not row["no"]
            or (row["date"] and not day)
            or (row["time"] and not hour)
            or not (row["id"] or any(names[:2]))
        ):
            self.bad.append(line)
            return
        place = {"1A": "Ada"}.get(row["loc"], row["loc"])
        case = f"\x1enumber+location\x1f{row['no']}\x1f{place.casefold()}"
        self._lay_over(
            self.cases.setdefault(case, {}),
            {"number": row["no"], "location": place, "status": status, "Bond Type": row["bond"].upper()},
        )
        client = self._person(row["id"], names, case, {"pet": row["pet"]})
        self.parties.setdefault((client, case), {})
        for text, kind in ((row["cell"] or row["home"], row["kind"]), (row["work"], None)):
            self._contact(client, text, kind)
        self._hearing(client, case, day, hour, row)
        amount = round(float(row["amount"]) * 100) if re.fullmatch(r"\d+(\.\d\d?)?", row["amount"]) else None
        if amount is not None:
            key = f"\x1edue_date+description\x1f\x1f{row['what'].casefold()}"
            self.payments.setdefault((client, case, key), {})["amount"] = amount
        other = _split(row["aname"], False)
        if row["aid"] or any(other[:2]):
            attorney = self._person(row["aid"], other, case, {})
            self.parties.setdefault((attorney, case), {})["role"] = "Attorney"
            self._contact(attorney, row["aphone"], None)
            self._hearing(attorney, case, day, hour, row)

    def _person(self, reference: str, names: tuple[str, ...], case: str, more: dict[str, str]) -> str:
        last, first, middle, suffix = names
        parts = [*(name.casefold() for name in names), *case.split("\x1f")[1:]]
        identity = f"#{reference}" if reference else "\x1f".join(["\x1ename+case", *parts])
        told = {"first": first, "middle": middle, "last": last, "suffix": suffix} | more
        self._lay_over(self.clients.setdefault(identity, {}), told)
        return identity

    def _lay_over(self, record: dict[str, Any], values: dict[str, str]) -> None:
        """As `_lay_over`; where empty cells empty their fields, those that nothing is matched by are emptied."""
        _lay_over(record, values)
        if self.clears:
            record.update({name: None for name in ("pet", "type", "Bond Type", "notes") if values.get(name) == ""})

    def _contact(self, client: str, text: str, kind: str | None) -> None:
        phone = _phone(text) if text else None
        if phone:
            self._lay_over(self.contacts.setdefault((client, phone), {}), {} if kind is None else {"type": kind})

    def _hearing(self, client: str, case: str, day: str | None, hour: str | None, row: dict[str, str]) -> None:
        if day:
            event = self.events.setdefault((client, case, f"{day}T{hour}" if hour else day), {})
            self._lay_over(event, {"notes": "; ".join(text for text in (row["n1"], row["n2"]) if text)})

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """As `rich_dump` reads them from the database."""
        name = ("first", "middle", "last", "suffix", "pet")
        about = ("number", "location", "status", "Bond Type")
        return {
            "clients": sorted((k, *(c.get(n) for n in name)) for k, c in self.clients.items()),
            "contacts": sorted((*k, c.get("type")) for k, c in self.contacts.items()),
            "cases": sorted((k, *(c.get(n) for n in about)) for k, c in self.cases.items()),
            "case_parties": sorted((*k, p.get("role")) for k, p in self.parties.items()),
            "events": sorted((*k, e.get("notes")) for k, e in self.events.items()),
            "payments": sorted((*k, p["amount"]) for k, p in self.payments.items()),
        }


RICH_DUMPS = {
    "clients": "SELECT identity, first_name, middle_name, last_name, suffix, custom ->> 'pet' FROM clients ORDER BY 1",
    "contacts": "SELECT c.identity, t.value, t.type FROM contacts t JOIN clients c ON c.id = t.client_id ORDER BY 1, 2",
    "cases": "SELECT identity, number, location, status, custom ->> 'Bond Type' FROM cases ORDER BY 1",
    "case_parties": "SELECT c.identity, k.identity, t.role FROM case_parties t JOIN clients c ON c.id = t.client_id "
    "JOIN cases k ON k.id = t.case_id ORDER BY 1, 2",
    "events": "SELECT c.identity, k.identity, t.slot, t.notes FROM events t JOIN clients c ON c.id = t.client_id "
    "JOIN cases k ON k.id = t.case_id ORDER BY 1, 2, 3",
    "payments": "SELECT c.identity, k.identity, t.slot, t.amount FROM payments t JOIN clients c ON c.id = t.client_id "
    "JOIN cases k ON k.id = t.case_id ORDER BY 1, 2, 3",
}


def _split(name: str, last_first: bool) -> tuple[str, str, str, str]:
    """Last, first, middle name and suffix; no suffix is known but Jr."""
    if "," in name:
        last, _, rest = name.partition(",")
        words = rest.replace(",", " ").split()
    else:
        words = name.split()
        suffix = words.pop() if len(words) > 1 and words[-1] == "Jr" else ""
        if len(words) < 2:
            return " ".join(words), "", "", suffix
        last = words.pop(0) if last_first else words.pop()
        return last.strip(), words[0], " ".join(words[1:]), suffix
    suffix = words.pop() if words and words[-1] == "Jr" else ""
    return last.strip(), " ".join(words[:1]), " ".join(words[1:]), suffix
