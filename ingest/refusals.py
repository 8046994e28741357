"""Why a file as a whole is not taken, once it is known what it holds."""

from collections import Counter

from ingest.answer import ROWS_REFUSED
from ingest.check import WORDS
from ingest.errors import IngestError
from ingest.template import Template


def refuse_large(size: int, template: Template) -> None:
    """`size` is in bytes. Raises IngestError."""
    if template.size is not None and size > template.size:
        raise IngestError(
            "too_large",
            f"The file has more than {template.size:,} bytes, which is all that the template {template.name} takes.",
            "Send it in parts, or raise size in [limits] of the template.",
        )


def refuse_many(rows: int, template: Template) -> None:
    """`rows` are those under the header. Raises IngestError."""
    if template.rows is not None and rows > template.rows:
        raise IngestError(
            "too_many_rows",
            f"The file has {rows:,} rows; the template {template.name} takes {template.rows:,}.",
            "Send it in parts, or raise rows in [limits] of the template.",
        )


def refuse_part(answered: bool, template: Template) -> None:
    """Corrected rows alone will not do where the template takes all rows or none. Raises IngestError."""
    if answered and template.all_or_nothing:
        raise IngestError(
            "part_of_a_file",
            "This is our list of wrong rows, and the template takes all rows of a file or none.",
            "Correct the rows in the file that they are from and send all of it again.",
        )


def rows_refused(bad: int, rows: int) -> IngestError:
    """Why a file with bad rows changes nothing, where its template takes all rows or none."""
    return IngestError(
        ROWS_REFUSED,
        f"{bad:,} of {rows:,} rows cannot be taken, and the template takes all rows of a file or none.",
        "Correct them in the file and send all of it again.",
    )


def no_good_rows(codes: Counter[str]) -> IngestError:
    """Why a file of which no row could be taken has failed: `codes` are those of its errors."""
    causes = ", ".join(f"{WORDS[code]} ({count:,})" for code, count in codes.most_common(3))
    return IngestError(
        "no_good_rows",
        f"Not one row of the file could be taken: {causes}." if causes else "The file has no rows.",
        "Look at the first of them; the template may not fit the file."
        if causes
        else "Look at the export: it found nothing to send.",
    )
