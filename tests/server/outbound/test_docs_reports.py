"""docs/reports.md tells of every report what the catalogue tells."""

from pathlib import Path

import pytest

from server.outbound.reports.catalogue import CATALOGUE
from server.outbound.reports.changed import CANCELLED
from server.outbound.reports.reach import REFUSED

DOCS = (Path(__file__).parents[3] / "docs" / "reports.md").read_text()


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_all_columns_and_filters_are_documented(name: str) -> None:
    report = CATALOGUE[name]
    told = DOCS.split(f"\n### {name}\n")[1].split("\n### ")[0]
    assert report.sentence in told
    rows = [line for line in told.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{column.name}` | {column.meaning} |" for column in report.columns]
    for filter_, each in report.filters.items():
        assert f"- `{filter_}`: {each.meaning}" in told
    if report.days:
        assert f"`days`: {report.days.meaning}; {report.days.default} if nothing is said" in told
    for sort in report.sorts:
        assert f"`{sort}`" in told


def test_the_words_that_count_are_documented() -> None:
    told = " ".join(DOCS.split())
    assert ", ".join(REFUSED) in told
    assert all(f"*{word}*" in told for word in CANCELLED)
