"""Whatever a court sends: one clear sentence, no traceback, and the next file goes through."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from tests.acceptance.court import ECR_COLUMNS, Court, ecr, ecr_row
from tests.ingest.tables import as_xlsx, packed


def xlsx() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return packed.getvalue()


BAD_FILES = {
    "empty": (b"", "empty"),
    "header only": (ecr(), "header"),
    "binary": (bytes(range(256)) * 64, "text"),
    "empty workbook": (xlsx(), "Excel"),
    "old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "XLSX"),
    "bomb": (gzip.compress(bytes(80 << 20)), "unfold"),
    "unclosed quote": (ecr(ecr_row(1), ecr_row(2).replace("Avery", '"Avery'), ecr_row(3)), "quote"),
    "long line": (ECR_COLUMNS.encode() + b"\r\n" + b"x" * 10_000_000, "line"),
    "missing column": (ecr(ecr_row(1)).replace(b"Party ID", b"PartyID"), "Party ID"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_is_answered_in_a_sentence(court: Court, what: str) -> None:
    content, word = BAD_FILES[what]
    court.push("bad.txt", content)
    court.push("good.txt", ecr(ecr_row(1)))
    court.settled(2)
    uploads = {upload["file"]: upload for upload in court.uploads()}
    assert uploads["good.txt"]["status"] == "processed", "one bad file stops nobody"
    assert uploads["bad.txt"]["status"] == "failed"
    receipt = json.loads((court.receipts / f"bad.txt.{uploads['bad.txt']['id']}.receipt.json").read_text())
    assert word.lower() in json.dumps(receipt["error"]).lower()
    text = (court.receipts / f"bad.txt.{uploads['bad.txt']['id']}.receipt.txt").read_text()
    assert receipt["error"]["message"] in " ".join(text.split())
    assert "Traceback" not in text + court.dropslot.log()


BAD_ROWS = {
    "too few columns": (ecr_row(2).rsplit("|", 2)[0], "too_few_columns"),
    "too many columns": (ecr_row(2) + "|x|y", "too_many_columns"),
    "a date that is none": (ecr_row(2, date="02/30/2026"), "bad_date"),
    "a NUL byte": (ecr_row(2).replace("Avery", "Av\0ery"), "nul_byte"),
    "no case number": (ecr_row(2).rsplit("|", 1)[0] + "|", "missing_required"),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_bad_row_is_answered_and_the_good_ones_go_in(court: Court, what: str) -> None:
    row, code = BAD_ROWS[what]
    court.push("ecr.txt", ecr(ecr_row(1), row, ecr_row(3)))
    [upload] = court.settled()
    assert upload["status"] == "partially_processed"
    shown = court.dropslot.json("upload", "show", upload["id"])
    [error] = shown["errors"]
    assert error["code"] == code
    assert error["row"] == 3
    assert error["message"].endswith((".", "?"))
    assert len(court.records("events")) == 2


def test_a_windows_1252_file_with_commas_keeps_its_accents(court: Court) -> None:
    text = ecr(ecr_row(1).replace("Avery", "José").replace("Alvarez, M.", "Nuñez")).decode().replace("|", ",")
    court.push("ecr.csv", text.encode("cp1252"))
    court.settled()
    [client] = court.records("clients")
    assert client["first_name"] == "José"


def test_what_a_spreadsheet_would_execute_is_neutralised(court: Court) -> None:
    court.push("ecr.txt", ecr(ecr_row(2, date="02/30/2026").replace("Avery", '=HYPERLINK("http://x","y")')))
    [upload] = court.settled()
    errors = (court.receipts / f"ecr.txt.{upload['id']}.errors.csv").read_text(encoding="utf-8-sig")
    assert ",=HYPERLINK" not in errors
    assert ',"=HYPERLINK' not in errors
    assert "'=HYPERLINK" in errors


def test_a_workbook_in_an_archive_is_taken_and_leaves_nothing_behind(court: Court, tmp_path: Path) -> None:
    rows = [line.split("|") for line in ecr(ecr_row(1), ecr_row(2, date="02/30/2026")).decode().splitlines()]
    as_xlsx(tmp_path / "ecr.xlsx", {"ECR": [["Printed today"], *rows]}, shared=True)
    court.push("ecr.zip", packed((tmp_path / "ecr.xlsx").read_bytes(), "zip", "ecr.xlsx"))
    [upload] = court.settled()
    assert upload["status"] == "partially_processed"
    [error] = court.dropslot.json("upload", "show", upload["id"])["errors"]
    assert (error["row"], error["code"]) == (4, "bad_date")
    [errors] = [path for path in court.receipts.iterdir() if path.name.endswith(".errors.csv")]
    court.push("again.csv", errors.read_bytes().replace(b"02/30/2026", b"03/30/2026"))
    uploads = court.settled(2)
    assert {upload["status"] for upload in uploads} == {"partially_processed", "processed"}
    assert len(court.records("events")) == 2
