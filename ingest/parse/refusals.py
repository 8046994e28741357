"""What is said of a file whose records cannot be told, or are too many or too long."""

from ingest.errors import IngestError
from ingest.limits import Limits


def too_many(limits: Limits) -> IngestError:
    """A file of more lines than are taken."""
    return IngestError(
        "too_many_rows",
        f"The file has more than {limits.records:,} lines.",
        "Look at the export; if they are all meant, send the file in parts.",
    )


def too_long(line: int, limits: Limits) -> IngestError:
    """A file with a record of more bytes than are taken, that begins on this line (from 1)."""
    return IngestError(
        "line_too_long",
        f"Line {line:,} is longer than {limits.record:,} bytes.",
        "Each row must be on a line of its own.",
    )


def unclosed(line: int) -> IngestError:
    """A file with a quote that opens on this line (from 1) and is never closed."""
    return IngestError(
        "unclosed_quote",
        f"A quote that opens on line {line:,} is never closed as it should be.",
        "Close it, double a quote that is meant as such, or set quoting = false in the template if quotes are data.",
    )
