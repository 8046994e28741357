"""A template with everything, against the same by hand, with skipping and without, in chunks of any size."""

from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ingest.limits import Limits
from tests.ingest.conftest import CourtAt
from tests.ingest.court import BEGIN, ZONE, Court
from tests.ingest.reference import RICH, RICH_DUMPS, RICH_HEADER, RichReference

SMALL = Limits(chunk=3, block=512)
TODAY = BEGIN.astimezone(ZoneInfo(ZONE)).date()

CELLS: dict[str, list[str]] = {
    "id": ["1", "2", "2", ""],
    "name": ["DOE, JANE ANN", "Doe Jane", "DOE, JOHN, Jr", "Pine", ""],
    "cell": ["404-555-0101", "(404) 555-0101", "404-555-0102", "", "x"],
    "home": ["404-555-0103", "404-555-0101", ""],
    "kind": ["CELL", "HOME", ""],
    "work": ["404-555-0101", ""],
    "no": ["C1", "C1", "C2", ""],
    "loc": ["1A", "ada", "Boise", ""],
    "status": ["CANCELLED", "?", "", "closed", "open", "held"],
    "date": ["03/16/2026", "03/02/2026", "03/03/2026", "03/04/2026", "02/30/2026", ""],
    "time": ["9:00 AM", "9:00 AM", "", "25:00"],
    "n1": ["a", ""],
    "n2": ["b", ""],
    "amount": ["12", "7.5", "", "x"],
    "what": ["Fine", "FINE", ""],
    "bond": ["cash", "Surety", ""],
    "pet": ["cat", "dog", ""],
    "aid": ["2", "9", ""],
    "aname": ["ELM, ANA", "Ana Elm", "", ""],
    "aphone": ["404-555-0102", "", ""],
}
lines = st.lists(st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()}), max_size=7)


@pytest.fixture
def rich_court_at(bare_court_at: CourtAt) -> CourtAt:
    """Makes a court in a folder that sends files with everything."""

    def make(folder: Path, empty: str = "leave", **options: Any) -> Court:
        court = bare_court_at(folder, **options)
        court.template(f'empty = "{empty}"\n{RICH}', "/rich")
        return court

    return make


def write(rows: list[dict[str, str]]) -> str:
    return "".join("|".join(cells) + "\n" for cells in (RICH_HEADER, *([row[n] for n in RICH_HEADER] for row in rows)))


def dump(court: Court) -> dict[str, list[tuple[Any, ...]]]:
    with court.database.reading() as conn:
        as_json = "custom" if conn.dialect.name == "sqlite" else "CAST(custom AS jsonb)"
        texts = {table: sql.replace("custom ->>", f"{as_json} ->>") for table, sql in RICH_DUMPS.items()}
        return {table: [tuple(row) for row in conn.execute(text(sql))] for table, sql in texts.items()}


FILLER = [dict.fromkeys(RICH_HEADER, "") | {"id": str(i), "no": f"F{i}", "pet": "fish"} for i in range(100, 112)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("empty", ["leave", "clear"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=lines,
    changes=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), lines), max_size=3),
    data=st.data(),
    limits=st.sampled_from([SMALL, Limits()]),
)
def test_it_does_what_a_loop_over_the_rows_does_and_skips_exactly(
    rich_court_at: CourtAt,
    tmp_path_factory: pytest.TempPathFactory,
    empty: str,
    first: list[Any],
    changes: list[Any],
    data: st.DataObject,
    limits: Limits,
) -> None:
    folder = tmp_path_factory.mktemp("rules")
    skipping = rich_court_at(folder / "a", limits=limits, empty=empty)
    plain = rich_court_at(folder / "b", skipping=False, empty=empty)
    reference = RichReference(ZONE, empty == "clear")
    files = [first]
    for place, gone, added in changes:
        files.append(files[-1][:place] + added[:2] + files[-1][place + gone :])
        files.append(data.draw(st.permutations(files[-1])))
    for number, rows in enumerate(files):
        content = write([*FILLER, *rows])
        one, other = (court.push(content, f"/rich/{number}.txt") for court in (skipping, plain))
        reference.ingest([*FILLER, *rows], str(date.fromordinal(TODAY.toordinal() + number + 1)))
        assert dump(plain) == reference.dump()
        assert sorted({e.row for e in plain.errors(other) if e.severity == "error"}) == reference.bad
        assert [e.row for e in plain.errors(other) if e.severity == "excluded"] == reference.excluded
        assert (one.counts, one.excluded, one.error_rows) == (other.counts, other.excluded, other.error_rows)
        assert skipping.dump() == plain.dump()
        assert dump(skipping) == dump(plain)
    skipping.close()
    plain.close()


def test_the_same_file_twice_changes_nothing_and_is_skipped(rich_court_at: CourtAt, tmp_path: Path) -> None:
    court = rich_court_at(tmp_path)
    rows = [
        dict.fromkeys(RICH_HEADER, "") | {"id": str(i), "no": f"F{i}", "aid": "9", "amount": "5"} for i in range(1, 31)
    ]
    rows += [rows[0] | {"status": "closed"}, rows[1] | {"date": "02/02/2026"}]
    court.push(write(rows), "/rich/a.txt")
    before = dump(court)
    upload = court.push(write(rows), "/rich/b.txt")
    assert (upload.skipped, upload.excluded, len(court.errors(upload))) == (30, 2, 0)
    assert dump(court) == before
    assert upload.counts["payments"].unchanged == 30


def test_a_hearing_is_left_out_on_the_day_after_it(rich_court_at: CourtAt, tmp_path: Path) -> None:
    court = rich_court_at(tmp_path)
    filler = write(FILLER)
    row = FILLER[0] | {"id": "5", "date": "03/03/2026"}
    told = [court.push(filler + write([row]).split("\n", 1)[1], f"/rich/{day}.txt") for day in range(3)]
    assert [(upload.skipped, upload.excluded) for upload in told] == [(0, 0), (13, 0), (12, 1)]


def test_a_contact_read_again_for_its_case_alone_is_left_as_it_was(rich_court_at: CourtAt, tmp_path: Path) -> None:
    court = rich_court_at(tmp_path)
    phone = {"id": "1", "cell": "404-555-0101"}
    rows = [FILLER[0] | phone | {"no": "C1", "kind": "CELL"}, FILLER[0] | phone | {"no": "C2", "kind": "HOME"}]
    for number, added in enumerate(([], [FILLER[0] | {"id": "2", "no": "C1"}])):
        court.push(write([*FILLER, *rows, *added]), f"/rich/{number}.txt")
    assert dump(court)["contacts"] == [("#1", "+14045550101", "HOME")]
