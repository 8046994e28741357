"""A synthetic Electronic Custom Report: invented people, real habits.

One row per party, hearing and contact; parties with several hearings, cases with several parties, the same phone in
several spellings, rows that say the same twice, some people without a Party ID, and about one row in a hundred wrong
in one of the ways that courts' files are. Phone numbers are of the 555-01xx kind that nobody has.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picks = NDArray[Any]

HEADER = (
    *("Party ID", "First Name", "Last Name", "Party Description", "Preferred Language", "Phone", "Email"),
    *("Event Date", "Event Time", "Event Status", "Location Name", "Judge Name", "Case Number"),
)
FAULTS = ("date", "time", "case", "short", "long", "phone", "email", "nobody")
"""The kinds of bad rows, equally frequent."""

_FIRST = (
    *("Avery", "Blake", "Casey", "Devon", "Emery", "Finley", "Greer", "Harper", "Indigo", "Jamie", "Kendall"),
    *("Logan", "Morgan", "Noel", "Oakley", "Parker", "Quinn", "Riley", "Sage", "Taylor", "Umber", "Vesper"),
    *("Winter", "Xen", "Yael", "Zion", "José", "Renée", "Zoë", "Björn"),
)
_LAST = (
    *("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gum", "Hazel", "Ironwood", "Juniper", "Katsura"),
    *("Larch", "Maple", "Nutmeg", "O'Birch", "Pine", "Quince", "Redwood", "Spruce", "Tamarack", "Ulmus"),
    *("Viburnum", "Willow", "Yew", "Zelkova", "Nuñez-Oak", "Ash", "Beech", "Cypress", "Linden"),
)
_ROLES = ("Defendant", "Defendant", "Defendant", "Witness", "Plaintiff", "Attorney", "Victim")
_LANGUAGES = ("English", "English", "English", "English", "Spanish", "Vietnamese", "")
_STATUSES = ("Scheduled", "Scheduled", "Scheduled", "Scheduled", "Continued", "Cancelled")
_LOCATIONS = tuple(f"County Court, Courtroom {number}{wing}" for number in range(1, 5) for wing in "ABC")
_JUDGES = ("Alvarez, M.", "Brooks, T.", "Chen, L.", "Diaz, R.", "Evans, P.", "Farouk, S.", "Grant, O.", "Hale, J.")
_TIMES = ("8:30 AM", "9:00 AM", "9:30 AM", "10:15 AM", "11:00 AM", "1:30 PM", "2:00 PM", "2:45 PM", "3:30 PM")
_PHONES = ("({}) {}-{}", "{}.{}.{}", "{}-{}-{}", "+1 {} {} {}", "{}{}{}", "1-{}-{}-{}")


@dataclass(frozen=True)
class Sample:
    """What was written: rows under the header, and how many of them are bad."""

    rows: int
    bad: int


@dataclass(frozen=True)
class _World:
    """Who has which hearing; arrays with one element per row (of both days)."""

    client: Picks
    case: Picks
    day: Picks
    time: Picks
    status: Picks
    place: Picks
    judge: Picks
    spelling: Picks
    fault: Picks


def write_ecr(
    path: Path,
    rows: int,
    seed: int,
    day: int = 1,
    bad: float = 0.01,
    start: date = date(2026, 3, 2),
    delimiter: str = "|",
) -> Sample:
    """Write a report of `rows` rows to `path`; the same arguments give the same bytes.

    Day 2 is the report of the next night: of its rows 95 % are as on day 1, in the same order; the others are new,
    or have another status or hour, and as many as are new are gone. `bad` is the share of bad rows, `start` the first
    day of hearings. UTF-8, CR LF, quotes only where a cell holds the delimiter.
    """
    chance = np.random.default_rng(seed)
    total = rows + max(rows // 40, 1)  # rows of either day
    world = _invent(total, bad, chance)
    label = chance.permutation(total)
    present = label < rows if day == 1 else label >= total - rows
    if day != 1:
        world = _overnight(world, label % 40 == 7)
    chosen = np.flatnonzero(present)
    with path.open("wb") as file:
        file.write((delimiter.join(HEADER) + "\r\n").encode())
        for begin in range(0, rows, 100_000):
            lines = _lines(world, chosen[begin : begin + 100_000], start, delimiter)
            file.write(("\r\n".join(lines) + "\r\n").encode())
    return Sample(rows, int((world.fault[chosen] >= 0).sum()))


def _invent(total: int, bad: float, chance: np.random.Generator) -> _World:
    """In the proportions of a real report: 1000 rows, 440 people, 440 cases, 550 of one on the other, 800 hearings."""
    people, links, hearings = max(total * 44 // 100, 1), max(total * 55 // 100, 1), max(total * 80 // 100, 1)
    link_case = np.where(np.arange(links) < people, np.arange(links), chance.integers(0, people, links))
    link = np.where(np.arange(hearings) < links, np.arange(hearings), chance.integers(0, links, hearings))
    day, time = chance.integers(0, 60, hearings), chance.integers(0, len(_TIMES) + 1, hearings)
    order = np.lexsort((link_case[link], time, day))
    extra = np.sort(chance.integers(0, hearings, total - hearings))
    row = np.sort(np.concatenate([np.arange(hearings), extra]))
    hearing = order[row]
    faults = np.where(chance.random(total) < bad, chance.integers(0, len(FAULTS), total), -1)
    return _World(
        client=link[hearing] % people,
        case=link_case[link[hearing]],
        day=day[hearing],
        time=time[hearing],
        status=chance.integers(0, len(_STATUSES), hearings)[hearing],
        place=chance.integers(0, len(_LOCATIONS), hearings)[hearing],
        judge=chance.integers(0, len(_JUDGES), hearings)[hearing],
        spelling=chance.integers(0, len(_PHONES), total),
        fault=faults,
    )


def _overnight(world: _World, changed: Picks) -> _World:
    """Some hearings got another status, some another hour."""
    moved = changed & (world.client % 2 == 0)
    status = np.where(changed & ~moved, (world.status + 1 + (world.status < 4) * 3) % len(_STATUSES), world.status)
    time = np.where(moved, (world.time + 1) % len(_TIMES), world.time)
    return _World(**{**vars(world), "status": status, "time": time})


def _lines(world: _World, rows: Picks, start: date, delimiter: str) -> list[str]:
    days = [_day(start, number) for number in range(60)]
    times = [*_TIMES, ""]
    picked = {name: getattr(world, name)[rows].tolist() for name in vars(world)}
    lines = []
    for client, case, day, time, status, place, judge, spelling, fault in zip(*picked.values(), strict=True):
        cells = [
            *_person(client, case, spelling),
            days[day],
            times[time],
            _STATUSES[status],
            _LOCATIONS[place],
            _JUDGES[judge],
            f"CR-2026-{case:06d}",
        ]
        if fault >= 0:
            cells = _spoil(cells, FAULTS[fault])
        lines.append(
            delimiter.join(_quoted(cell, delimiter) for cell in cells) if delimiter == "," else delimiter.join(cells)
        )
    return lines


def _quoted(cell: str, delimiter: str) -> str:
    return f'"{cell}"' if delimiter in cell else cell


def _day(start: date, number: int) -> str:
    """The number-th weekday from `start` on."""
    return f"{start + timedelta(days=number // 5 * 7 + number % 5):%m/%d/%Y}"


def _person(client: int, case: int, spelling: int) -> list[str]:
    mixed = client * 2654435761 % 4294967296  # Knuth's multiplicative hash: the same person is the same everywhere
    first, last = _FIRST[mixed % len(_FIRST)], _LAST[mixed // 64 % len(_LAST)]
    area = f"{2 + mixed % 8}{mixed // 8 % 10}{(mixed // 80) % 10}"
    phone = _PHONES[spelling].format(area, "555", f"01{mixed // 800 % 100:02d}") if mixed % 10 < 8 else ""
    email = f"party{client}@example.com" if mixed % 100 >= 35 and (spelling % 2 or not phone) else ""
    reference = "" if mixed % 97 == 0 else str(1000000 + client)
    role = _ROLES[(mixed + case) % len(_ROLES)]
    return [reference, first, last, role, _LANGUAGES[mixed // 7 % len(_LANGUAGES)], phone, email]


def _spoil(cells: list[str], fault: str) -> list[str]:
    spoilt = {
        "date": (7, "02/30/2026"),
        "time": (8, "25:99"),
        "case": (12, ""),
        "phone": (5, "555-01"),
        "email": (6, "nobody@"),
    }
    if fault in spoilt:
        place, text = spoilt[fault]
        return [*cells[:place], text, *cells[place + 1 :]]
    return {"short": cells[:6], "long": [*cells[:3], "", *cells[3:]]}.get(fault, ["", "", "", *cells[3:]])
