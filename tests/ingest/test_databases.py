"""SQLite and PostgreSQL: the same files leave the same records; on PostgreSQL no agency waits for another."""

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from ingest.answer import Upload
from ingest.databases import postgresql, sqlite
from ingest.limits import Limits
from ingest.merge import Stage, stage
from ingest.record import records_of
from ingest.sample import write_ecr
from tests import postgres
from tests.ingest.court import Court, codes, ecr, row

STYLES = """name = "styles"
skip_same_name = false
[columns]
case.number = "Case Number"
case.style = "Style"
case.file_date = "Filed"
event.date = "Date"
event.notes = "Notes"
client.last_name = "Last"
client.first_name = "First"
""".replace("skip_same_name = false\n", "")
KEPT = (
    "SELECT identity, template FROM clients ORDER BY 1",
    "SELECT number, template FROM cases ORDER BY 1",
    "SELECT slot, template FROM events ORDER BY 1, 2",
    "SELECT position, row_number, column_name, value, code, message, severity, raw FROM row_errors "
    "ORDER BY upload_id, position",
    "SELECT template, part, rows, data FROM skip_index ORDER BY template, part",
    "SELECT name, size, sha256, state, detail FROM arrivals ORDER BY id",
    "SELECT file, status, template, rows, skipped, error_rows, warning_rows, counts, header, delimiter, notes "
    "FROM uploads ORDER BY id",
)


@pytest.fixture
def pair(tmp_path: Path, postgres_server: postgres.Server) -> Iterator[tuple[Court, Court]]:
    """The same court on either database."""
    name = postgres_server.create()
    courts = Court(tmp_path / "one"), Court(tmp_path / "two", postgres_server.url(name))
    for court in courts:
        court.limits = Limits(chunk=300)
        court.profile()
    yield courts
    for court in courts:
        court.close()
    postgres_server.drop(name)


def kept(court: Court) -> list[list[tuple[Any, ...]]]:
    """Everything else that a file leaves behind."""
    with court.database.reading() as conn:
        return [[tuple(found) for found in conn.execute(text(sql))] for sql in KEPT]


def push(pair: tuple[Court, Court], content: bytes | str, path: str = "/upload/ecr.txt") -> Upload:
    one, other = [court.push(content, path) for court in pair]
    assert one.counts == other.counts
    assert codes(pair[0].errors(one)) == codes(pair[1].errors(other))
    assert pair[0].dump() == pair[1].dump()
    assert kept(pair[0]) == kept(pair[1])
    return one


def test_the_same_files_leave_the_same_records(pair: tuple[Court, Court], tmp_path: Path) -> None:
    for court in pair:
        court.template(STYLES, "/styles")
    for day in (1, 2, 3):
        write_ecr(tmp_path / "report", 2500, 5, day, bad=0.05)
        push(pair, (tmp_path / "report").read_bytes())
    numbers = pair[0].dump()["cases"]
    lines = [f"{case[0]},State v. {i},03/{i % 28 + 1:02}/2026,03/16/2026,," for i, case in enumerate(numbers[::3])]
    header = "Case Number,Style,Filed,Date,Notes,Last,First"
    push(pair, "\n".join([header, *(f"{line},P{i}" for i, line in enumerate(lines))]), "/styles/a.csv")
    again = push(pair, (tmp_path / "report").read_bytes(), "/upload/again.txt")
    assert again.skipped == 0, "the other template has touched its records"


def test_what_is_odd_is_kept_alike(pair: tuple[Court, Court]) -> None:
    for court in pair:
        court.template(STYLES, "/styles")
    header = "Case Number,Style,Filed,Date,Notes,Last,First\n"
    rows = (
        'CR-1,"a\n\\.\nb",,03/16/2026,"tab\there",Müller,"Zoë ""Z"""',
        'CR-2,"x\n\\.\ny",,02/30/2026,,Pine,\\N',
        "CR-3,NUL\0,,03/16/2026,,Pine,Bo",
        "CR-4,\\.,,03/16/2026,\\N,𝔘nicode,😀",
        f"{'9' * 501},S,,03/16/2026,,Pine,Bo",
        f"{'é' * 500},S,,03/16/2026,,{'𝔘' * 3000},{'x' * 7999}",
    )
    upload = push(pair, header + "\n".join(rows), "/styles/odd.csv")
    assert (upload.rows, upload.error_rows) == (6, 3)
    assert {error.code for error in pair[0].errors(upload)} == {"bad_date", "nul_byte", "number_too_long"}


def test_what_is_carried_by_a_thread_is_kept_alike(
    pair: tuple[Court, Court], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "MANY", 1)
    for day in (1, 2):
        write_ecr(tmp_path / "report", 1000, 7, day, bad=0.05)
        push(pair, (tmp_path / "report").read_bytes())


def test_many_records_are_joined_alike(
    pair: tuple[Court, Court], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stage, "holds_many", lambda *_: True)
    for day in (1, 2):
        write_ecr(tmp_path / "report", 1000, 9, day, bad=0.05)
        push(pair, (tmp_path / "report").read_bytes())


def test_what_fails_on_its_way_fails_the_run(pair: tuple[Court, Court], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MANY", 1)

    def lose(*_: object, **__: object) -> None:
        raise OSError("gone")

    court = pair[1]
    with monkeypatch.context() as patched:
        patched.setattr(postgresql, "_copy", lose)
        with pytest.raises(OSError, match="gone"):
            court.push(ecr(row()))
    assert not any(court.dump().values())
    assert court.push(ecr(row())).status == "processed"


def test_only_the_tables_of_a_run_are_looked_over(pair: tuple[Court, Court]) -> None:
    asked: list[str] = []
    court = pair[1]
    event.listen(court.database.engine, "before_cursor_execute", lambda _c, _u, sql, *_: asked.append(sql))
    court.push(ecr(row()))
    court.push(ecr(row()), "/upload/again.txt")
    looked_over = [sql for sql in asked if sql.startswith("ANALYZE")]
    assert len(looked_over) == 1, "the second time there was nothing to look over"
    assert all(name.startswith("stage_") for name in re.findall(r"(\w+) \(", looked_over[0]))


def test_an_index_that_stays_as_it_was_is_not_written_again(pair: tuple[Court, Court], tmp_path: Path) -> None:
    write_ecr(tmp_path / "report", 700, 5, 1, bad=0.05)
    content = (tmp_path / "report").read_bytes()
    push(pair, content)
    written: list[str] = []
    for court in pair:
        event.listen(court.database.engine, "before_cursor_execute", lambda _c, _u, sql, *_: written.append(sql))
    for name in ("again", "and again"):
        again = push(pair, content, f"/upload/{name}.txt")
        assert again.skipped > 600
        for court in pair:
            with court.database.reading() as conn:
                found = {row.upload_id for row in conn.execute(text("SELECT upload_id FROM skip_index"))}
            assert found == {court.uploads[-1]}
    assert not [sql for sql in written if sql.startswith(("INSERT INTO skip_index", "DELETE FROM skip_index"))]


def test_long_natural_keys_stay_apart(pair: tuple[Court, Court]) -> None:
    reference = "7" * 2000
    push(pair, ecr(row(reference + "1"), row(reference + "2"), row(reference + "1", "CR-2")))
    assert len(pair[0].dump()["clients"]) == 2


cells = st.text(alphabet='ab"|,\\.\n\t Zéß😀N', max_size=12)
lines = st.lists(
    st.builds(
        row,
        reference=st.sampled_from(["1", "2", ""]) | cells,
        case=st.sampled_from(["CR-1", "CR-2", ""]),
        date=st.sampled_from(["03/16/2026", "03/17/2026", "02/30/2026"]),
        status=st.sampled_from(["Scheduled", ""]) | cells,
        first=st.sampled_from(["Avery", ""]) | cells,
        phone=st.sampled_from(["", "404-555-0101", "555"]),
        judge=cells,
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(lines, min_size=1, max_size=3))
def test_any_files_leave_the_same_records(pair: tuple[Court, Court], files: list[list[str]]) -> None:
    for rows in files:
        push(pair, ecr(*rows))


@pytest.fixture
def neighbours(tmp_path: Path, postgres_server: postgres.Server) -> Iterator[tuple[Court, Court]]:
    """Two agencies on one PostgreSQL."""
    name = postgres_server.create()
    url = postgres_server.url(name)
    courts = tuple(Court(tmp_path / agency, url, agency=agency) for agency in ("one", "two"))
    for court in courts:
        court.profile()
    yield courts[0], courts[1]
    for court in courts:
        court.close()
    postgres_server.drop(name)


def test_a_merge_does_not_wait_for_another_agencys(neighbours: tuple[Court, Court]) -> None:
    one, other = neighbours
    done: list[Upload] = []

    def overtake(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO events") and not done:
            done.append(other.push(ecr(row("2", "CR-1"))))

    event.listen(one.database.engine, "before_cursor_execute", overtake)
    assert one.push(ecr(row())).status == "processed"
    assert [upload.status for upload in done] == ["processed"]
    assert [upload.counts["clients"].created for upload in done] == [1]
    with one.database.reading() as conn:
        assert conn.execute(text("SELECT count(*) FROM cases")).scalar_one() == 2, "each has its own CR-1"


def test_a_merge_waits_for_whoever_changes_its_agencys_records(neighbours: tuple[Court, Court]) -> None:
    court = neighbours[0]
    ended = threading.Event()

    def push() -> None:
        court.push(ecr(row()))
        ended.set()

    thread = threading.Thread(target=push)
    with court.database.writing(records_of("one")):
        thread.start()
        assert not ended.wait(1)
    thread.join(30)
    assert ended.is_set()


def test_many_agencies_at_once(neighbours: tuple[Court, Court]) -> None:
    people = [row(str(i), f"CR-{i}") for i in range(300)]

    def push(court: Court) -> None:
        for night in range(4):
            court.push(ecr(*people[night:]), f"/upload/{night}.txt")

    threads = [threading.Thread(target=push, args=(court,)) for court in neighbours]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with neighbours[0].database.reading() as conn:
        counts = conn.execute(text("SELECT agency_id, count(*) FROM clients GROUP BY 1 ORDER BY 1")).all()
        settled = conn.execute(text("SELECT count(*) FROM uploads WHERE status = 'processed'")).scalar_one()
    assert [tuple(count) for count in counts] == [("one", 300), ("two", 300)]
    assert settled == 8


def test_what_a_long_run_wrote_is_soon_in_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MANY", 1)
    court = Court(tmp_path)
    court.profile()
    with closing(connect(tmp_path / "dropslot.db")) as other:
        other.execute("SELECT count(*) FROM events").fetchone()  # the last one to be closed would do it
        court.push(ecr(*(row(str(i), f"CR-{i}") for i in range(50))))
        court.close()
        shutil.copyfile(tmp_path / "dropslot.db", tmp_path / "alone.db")  # without its log
    with closing(connect(tmp_path / "alone.db")) as alone:
        assert alone.execute("SELECT count(*) FROM events").fetchone() == (50,)
