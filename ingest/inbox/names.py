"""The names that people give to templates and profiles: they stand in lists, in receipts and in an index."""

from ingest.errors import IngestError

LONGEST_NAME = 200


def refuse_odd_name(name: str, what: str) -> None:
    """Raise IngestError `invalid` for a name of a template or profile (`what`) that is no line of text, or too long."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise IngestError(
            "invalid",
            f"This name of a {what} cannot be used.",
            f"Give one line of at most {LONGEST_NAME} printable characters.",
        )
