"""The log of one process: what nobody can read any more is lost, and nothing else."""

import io
import json

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
