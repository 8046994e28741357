"""The tables can be made on PostgreSQL too."""

import pytest
from sqlalchemy import create_mock_engine

from ingest.tables import metadata


@pytest.mark.parametrize("url", ["postgresql+psycopg://", "sqlite://"])
def test_the_schema_compiles(url: str) -> None:
    made: list[str] = []
    engine = create_mock_engine(url, lambda sql, *_, **__: made.append(str(sql.compile(dialect=engine.dialect))))
    metadata.create_all(engine, checkfirst=False)
    tables = {"arrivals", "templates", "profiles", "uploads", "row_errors", "clients", "contacts", "cases"}
    more = {"case_parties", "events", "payments", "skip_index", "changes", "holders", "moved_events", "shapes"}
    more |= {"sequences", "removed"}
    assert tables | more == set(metadata.tables)
    assert any("UNIQUE INDEX uq_events_identity" in sql and "coalesce(client_id, 0)" in sql for sql in made)
