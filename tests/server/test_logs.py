"""The log of one process: what nobody can read any more is lost, and nothing else."""

import io
import json
import logging

import pytest

from server.logs import open_log


class FullDisk(io.StringIO):
    """Standard error on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    open_log("info", stream).info("OPEN", path="/upload/a.csv")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["path"], line["level"]) == ("OPEN", "/upload/a.csv", "info")


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    open_log("info", FullDisk()).info("OPEN")
    closed = io.StringIO()
    log = open_log("info", closed)
    closed.close()
    log.info("CLOSE")


def test_nor_does_what_a_library_says_to_a_log_that_is_closed(capfd: pytest.CaptureFixture[str]) -> None:
    closed = io.StringIO()
    open_log("info", closed)
    closed.close()
    logging.getLogger("paramiko").error("nobody hears it")
    assert "Logging error" not in capfd.readouterr().err
