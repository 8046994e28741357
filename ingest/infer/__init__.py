"""A template proposed for a sample: how it is written, and which of its columns become which fields.

see      how the file is written; header or none; its columns, and what their cells look like
propose  each field gets the column whose name and cells speak for it most
write    a template's text, with a reason behind each line and a TODO where a person must decide
"""

from pathlib import Path

from ingest.infer.draft import Draft, write_draft
from ingest.infer.proposal import propose
from ingest.infer.sight import see_sample
from ingest.limits import Limits

__all__ = ["Draft", "infer_template"]


def infer_template(path: Path, name: str, limits: Limits, year: int) -> Draft:
    """Propose the template `name` for the file at `path`; `year` is this year.

    Raises IngestError for a file that cannot be read as rows and columns.
    """
    return write_draft(propose(see_sample(path, limits)), name, path.name, year)
