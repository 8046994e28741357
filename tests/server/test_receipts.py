"""Answers are dropped whole, under names that fit, into a folder that its agency may do anything with."""

import json
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.answer import RowError, Upload
from ingest.arrival import Arrival, ArrivalState
from server.errors import AppError, Code
from server.receipts import drop_notice, drop_receipt

AT = datetime(2026, 3, 16, 6, tzinfo=UTC)
ID = "019f0000-0000-7000-8000-000000000000"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "download").mkdir()
    return tmp_path


def upload(file: str = "ecr.txt", error_rows: int = 0) -> Upload:
    return Upload(
        *(ID, "arrival", "agency", file, 300, "0" * 64, "partially_processed", "odyssey-ecr", 0, AT, AT),
        rows=2,
        error_rows=error_rows,
        header=("Party ID", "Event Date"),
        delimiter="|",
    )


def names(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "download" / "receipts").iterdir())


def test_a_good_file_gets_two_receipts(home: Path) -> None:
    drop_receipt(home, upload(), [], zone="America/New_York")
    assert names(home) == [f"ecr.txt.{ID}.receipt.json", f"ecr.txt.{ID}.receipt.txt"]
    text = (home / "download" / "receipts" / f"ecr.txt.{ID}.receipt.txt").read_text()
    assert "Processed: 2026-03-16 02:00:00 EDT\n" in text
    receipt = json.loads((home / "download" / "receipts" / f"ecr.txt.{ID}.receipt.json").read_text())
    assert receipt["rows"] == 2


def test_a_file_with_bad_rows_gets_an_error_file(home: Path) -> None:
    errors = [RowError(3, "Event Date", "02/30/2026", "bad_date", "No such date.", raw="17|02/30/2026")]
    drop_receipt(home, upload(error_rows=1), errors)
    content = (home / "download" / "receipts" / f"ecr.txt.{ID}.errors.csv").read_text(encoding="utf-8-sig")
    assert content.splitlines()[1].startswith("3,Event Date: No such date.,17,'02/30/2026")


def test_an_undo_takes_the_error_file_away(home: Path) -> None:
    errors = [RowError(3, "Event Date", "02/30/2026", "bad_date", "No such date.", raw="17|02/30/2026")]
    drop_receipt(home, upload(error_rows=1), errors)
    drop_receipt(home, replace(upload(error_rows=1), undone_at=AT), errors)
    assert names(home) == [f"ecr.txt.{ID}.receipt.json", f"ecr.txt.{ID}.receipt.txt"]


def test_errors_of_very_many_rows_are_written_as_they_come(home: Path) -> None:
    errors = (RowError(row, "Event Date", "x", "bad_date", "No such date.", raw="x" * 200) for row in range(2, 50_002))
    tracemalloc.start()
    try:
        drop_receipt(home, upload(error_rows=50_000), errors)
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()
    folder = home / "download" / "receipts"
    lines = (folder / f"ecr.txt.{ID}.errors.csv").read_text(encoding="utf-8-sig").splitlines()
    assert (len(lines), lines[-1].split(",")[0]) == (50_001, "50001")
    receipt = json.loads((folder / f"ecr.txt.{ID}.receipt.json").read_text())
    assert [error["row"] for error in receipt["errors"]] == list(range(2, 102))


def test_rows_left_out_are_shown_although_errors_fill_the_receipt(home: Path) -> None:
    errors = [RowError(row, "Event Date", "x", "bad_date", "No such date.", raw="x") for row in range(2, 302)]
    errors += [RowError(row, "", "", "excluded", "Vacated.", "excluded") for row in range(302, 502)]
    for bad in (300, 0):
        drop_receipt(home, upload(error_rows=bad), errors[300 - bad :])
        receipt = json.loads((home / "download" / "receipts" / f"ecr.txt.{ID}.receipt.json").read_text())
        assert len(receipt["errors"]) == min(bad, 100)
        assert [each["row"] for each in receipt["excluded"]] == list(range(302, 402))


def test_an_answer_that_breaks_off_leaves_nothing_under_its_name(home: Path) -> None:
    def errors() -> Iterator[RowError]:
        yield from (RowError(row, "", "x", "bad_date", "No such date.", raw="x") for row in range(2, 502))
        raise AppError(Code.UNAVAILABLE, "The database is away.")

    with pytest.raises(AppError, match="away"):
        drop_receipt(home, upload(error_rows=1), errors())
    assert names(home) == []
    drop_receipt(home, upload(error_rows=1), [RowError(2, "", "x", "bad_date", "No such date.", raw="x")])
    assert [name.rpartition(".")[2] for name in names(home)] == ["csv", "json", "txt"]


def test_two_that_write_one_answer_at_once_harm_neither(home: Path) -> None:
    errors = [RowError(2, "", "x", "bad_date", "No such date.", raw="x")]

    def while_another_writes() -> Iterator[RowError]:
        yield errors[0]
        drop_receipt(home, upload(error_rows=1), errors)

    drop_receipt(home, upload(error_rows=1), errors)
    whole = {name: (home / "download" / "receipts" / name).read_bytes() for name in names(home)}
    drop_receipt(home, upload(error_rows=1), while_another_writes())
    assert {name: (home / "download" / "receipts" / name).read_bytes() for name in names(home)} == whole


def test_a_receipt_takes_the_place_of_the_notice_that_nothing_was_taken(home: Path) -> None:
    arrival = Arrival(
        *("arrival", "agency", "/upload/ecr.txt", "ecr.txt", 300, None, "sftp"),
        *(ArrivalState.UNMATCHED, None, None, AT, None, "No profile takes it."),
    )
    drop_notice(home, arrival, AT)
    assert names(home) == ["ecr.txt.arrival.receipt.json", "ecr.txt.arrival.receipt.txt"]
    drop_receipt(home, upload(), [])
    assert names(home) == [f"ecr.txt.{ID}.receipt.json", f"ecr.txt.{ID}.receipt.txt"]


def test_dropping_again_changes_nothing(home: Path) -> None:
    drop_receipt(home, upload(), [])
    before = names(home)
    drop_receipt(home, upload(), [])
    assert names(home) == before


@pytest.mark.parametrize("file", ["x" * 255, "é" * 127, "名" * 85])
def test_a_long_name_is_shortened_to_what_a_file_system_takes(home: Path, file: str) -> None:
    drop_receipt(home, upload(file), [])
    assert all(len(os.fsencode(name)) <= 255 for name in names(home))
    assert all(ID in name for name in names(home))


def test_a_link_in_the_place_of_the_folder_is_not_followed(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (home / "download" / "receipts").symlink_to(elsewhere)
    with pytest.raises(AppError):
        drop_receipt(home, upload(), [])
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_told(home: Path) -> None:
    (home / "download" / "receipts").touch()
    with pytest.raises(AppError, match="not a folder"):
        drop_receipt(home, upload(), [])


def test_a_notice_says_why_nothing_was_taken(home: Path) -> None:
    arrival = Arrival(
        *(ID, "agency", "/upload/x.txt", "x.txt", 3, None, "sftp", ArrivalState.UNMATCHED, None, None, AT, None),
        "No profile reads the directory /upload.",
    )
    drop_notice(home, arrival, AT)
    text = (home / "download" / "receipts" / f"x.txt.{ID}.receipt.txt").read_text()
    assert "No profile reads the directory /upload." in text
