"""Reports of many rows: fetched as they are written, on both databases, and found by an index."""

import tracemalloc
from pathlib import Path

import pytest
from sqlalchemy import text

from server.clock import now
from server.outbound.reports.run import run_report
from server.outbound.reports.wanted import want
from server.outbound.write import Form
from tests.server.outbound.house import GWINNETT, House

MANY = 20_000
SERIES = {
    "sqlite": f"(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {MANY}) SELECT n FROM g) g",
    "postgresql": f"generate_series(1, {MANY}) g(n)",
}
TOUCHED = "'t', 'u', 'u'"


@pytest.fixture(scope="module")
def crowded(house: House) -> House:
    """An agency with many people, each with a hearing to come."""
    series = SERIES[house.state.database.engine.dialect.name]
    agency = f"'{house.agencies[GWINNETT].id}'"
    day = (now()).date().isoformat()
    inserts = (
        "INSERT INTO clients (id, agency_id, identity, last_name, address, template, created_upload, updated_upload) "
        f"SELECT n, {agency}, '#' || n, 'Name ' || (n * 7919 % 20011), 'An address ' || n, {TOUCHED} FROM {series}",
        "INSERT INTO events (id, agency_id, client_id, slot, starts_at, local_date, zone, type, template, "
        f"created_upload, updated_upload) SELECT n, {agency}, n, 's', '{day}T23:00:00.000000Z', '{day}', 'UTC', "
        f"'Hearing ' || n, {TOUCHED} FROM {series}",
    )
    with house.state.database.writing() as conn:
        for sql in inserts:
            conn.execute(text(sql))
    return house


@pytest.mark.parametrize("name", ["clients", "unreachable-clients", "events"])
def test_memory_does_not_grow_with_what_a_query_finds(crowded: House, tmp_path: Path, name: str) -> None:
    """All rows at once would take more than 8 MB; a plan without an index would not end in time."""
    wanted = want(name, None, [], "")
    ask = wanted.ask(crowded.agencies[GWINNETT], now())
    tracemalloc.start()
    try:
        ran = run_report(crowded.state.database, wanted.report, ask, tmp_path / "out", Form.CSV)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ran.rows == MANY
    assert peak < 3_000_000
