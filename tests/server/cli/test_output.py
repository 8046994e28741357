"""What commands print."""

import csv
import io
import json
import sys
from datetime import UTC, datetime

import pytest

from server.cli.output import print_csv, print_list, print_one, print_text, say

ROWS = [{"id": "1", "name": "Gwinnett", "enabled": True, "at": datetime(2026, 3, 16, 6, tzinfo=UTC)}]


def test_a_list_is_a_json_list(capsys: pytest.CaptureFixture[str]) -> None:
    print_list(ROWS, True, ("id",), "none")
    assert json.loads(capsys.readouterr().out) == [{**ROWS[0], "at": "2026-03-16T06:00:00.000000Z"}]
    print_list([], True, ("id",), "none")
    assert json.loads(capsys.readouterr().out) == []


def test_a_table_is_as_wide_as_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([{"id": "x" * 300, "name": "y" * 300, "note": ""}], False, ("id", "name", "note"), "none")
    shown = capsys.readouterr().out
    assert "x" * 300 + "  " + "y" * 300 in shown
    assert "NOTE" not in shown, "a column without a value is left out"


def test_nothing_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([], False, ("id",), "No agency yet.")
    assert capsys.readouterr().out == "No agency yet.\n"


def test_one_thing_is_shown_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_one(ROWS[0], False)
    assert capsys.readouterr().out.splitlines()[1] == "name     Gwinnett"


def test_cells_that_a_spreadsheet_would_execute_are_neutralised(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(("name",), [{"name": "=1+1"}, {"name": "+14045550101"}, {"name": "a,b"}])
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [["name"], ["'=1+1"], ["'+14045550101"], ["a,b"]]


def test_a_name_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([{"path": "/upload/\x1b[2Jx\r\n.txt"}], False, ("path",), "none")
    assert capsys.readouterr().out.splitlines()[1] == "/upload/?[2Jx??.txt"


def test_a_line_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("File: \x1b[2Jx\r\x9b1m\u202e.txt\n\nTaken.")
    assert capsys.readouterr().out == "File: ?[2Jx??1m?.txt\n\nTaken.\n"


@pytest.mark.parametrize(("terminal", "shown"), [(False, "'\x9b1m\xa0'"), (True, "'?1m?'")])
def test_a_text_for_a_file_is_changed_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    print_text("[columns]\n\t'\x9b1m\xa0' = 1\n")
    assert capsys.readouterr().out == f"[columns]\n\t{shown} = 1\n"
