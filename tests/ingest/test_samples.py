"""The layouts of real courts, with invented people: every record and every answer, as they lie beside the sample.

After a change that is meant: `python -m tests.ingest.test_samples` writes them anew; read the difference.
"""

import csv
import json
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest import inbox
from ingest.answer import left_out, wrong
from ingest.check.faults import VALUE_SHOWN
from ingest.record import write_instant
from tests.ingest.conftest import CourtAt
from tests.ingest.court import Court
from tests.ingest.tables import as_xlsx

SAMPLES = Path(__file__).parent.parent / "samples"
NAMES = sorted(path.parent.name for path in SAMPLES.glob("*/expected.json"))


def sent(sample: Path) -> tuple[str, bytes]:
    """What the court sends, and under which name. A workbook lies there as `.xlsx.csv`, for people to read."""
    [file] = [path for path in sample.iterdir() if path.name not in ("template.toml", "expected.json")]
    if not file.name.endswith(".xlsx.csv"):
        return file.name, file.read_bytes()
    with file.open(newline="", encoding="utf-8") as source, tempfile.TemporaryDirectory() as folder:
        as_xlsx(Path(folder) / "book", {"Calendar": [list(map(_typed, row)) for row in csv.reader(source)]}, True)
        return file.name.removesuffix(".csv"), (Path(folder) / "book").read_bytes()


def _typed(cell: str) -> Any:
    """What typing makes of a cell: a date, a time, a number or a text; a text whatever it is behind an apostrophe."""
    if cell.startswith("'"):
        return cell[1:]
    for form, kind in (("%m/%d/%Y", datetime.date), ("%H:%M", datetime.time)):
        with suppress(ValueError):
            return kind(datetime.strptime(cell, form))
    return int(cell) if cell.isdigit() else cell or None


def outcome(court: Court, sample: Path) -> dict[str, Any]:
    """What becomes of a sample, without what is empty."""
    name, content = sent(sample)
    court.template((sample / "template.toml").read_text(encoding="utf-8"), "/x")
    upload = court.push(content, f"/x/{name}")
    errors = court.errors(upload)
    with court.database.reading() as conn:
        records = {
            kind: [
                {k: _plain(v) for k, v in row.items() if v is not None and k != "id"}
                for row in inbox.records(conn, kind, "agency")
            ]
            for kind in inbox.COLUMNS
        }
    return {
        "status": upload.status,
        "rows": upload.rows,
        "errors": [[e.row, e.column, e.value[:VALUE_SHOWN], e.code, e.severity] for e in wrong(errors)],
        "excluded": [[e.row, e.message] for e in left_out(errors)],
        **{kind: sorted(rows, key=json.dumps) for kind, rows in records.items() if rows},
        "parties": [list(row[:3]) for row in court.dump()["case_parties"]],
    }


def _plain(value: Any) -> Any:
    return write_instant(value) if isinstance(value, datetime) else value


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_becomes_what_lies_beside_it(bare_court_at: CourtAt, tmp_path: Path, name: str) -> None:
    court = bare_court_at(tmp_path)
    expected = json.loads((SAMPLES / name / "expected.json").read_text(encoding="utf-8"))
    assert outcome(court, SAMPLES / name) == expected
    file, content = sent(SAMPLES / name)
    before = court.dump()
    again = court.push(content, f"/x/again-{file}")
    assert court.dump() == before
    assert {kind: (count.created, count.updated) for kind, count in again.counts.items()} == dict.fromkeys(
        again.counts, (0, 0)
    )


def _write() -> None:
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            court = Court(Path(folder))
            told = json.dumps(outcome(court, SAMPLES / name), indent=1, ensure_ascii=False)
            (SAMPLES / name / "expected.json").write_text(told + "\n", encoding="utf-8")
            court.close()


if __name__ == "__main__":
    _write()
