"""How much an agency's uploads may hold, as an operator says it."""

from sqlalchemy import Connection

from server.agencies import Agency, set_quota
from server.errors import AppError, Code
from server.intake.usage import Meter, Quota
from server.settings import Settings
from server.sizes import read_size, say_size

LONGEST = 20  # digits: nobody has more files
NONE = "none"


def change_quota(conn: Connection, settings: Settings, agency: Agency, size: str | None, files: str | None) -> Agency:
    """Set the agency's quota as it is written (`10GiB`, `20000`, `none`), and leave what is not.

    Raises `AppError` invalid for what is no size or number.
    """
    if not Quota(agency.quota_bytes, agency.quota_files):
        # Without a quota nobody has counted, so what was counted for an earlier one is wrong by now.
        Meter(settings.run, agency.slug, settings.home(agency.slug) / "upload").forget()
    most_bytes = agency.quota_bytes if size is None else _read_bytes(size)
    most_files = agency.quota_files if files is None else _read_files(files)
    return set_quota(conn, agency.slug, most_bytes, most_files)


def describe_quota(agency: Agency) -> str:
    """What the agency's `/upload` may hold, in words."""
    size = [] if agency.quota_bytes is None else [say_size(agency.quota_bytes)]
    files = [] if agency.quota_files is None else [f"{agency.quota_files} files"]
    return " and ".join(size + files) or "any amount"


def _read_bytes(text: str) -> int | None:
    if text.lower() == NONE:
        return None
    try:
        return read_size(text)
    except ValueError as error:
        raise AppError(Code.INVALID, str(error), "For no limit: --quota-bytes none") from error


def _read_files(text: str) -> int | None:
    if text.lower() == NONE:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST):
        raise AppError(Code.INVALID, f"'{text}' is no number of files.", "For no limit: --quota-files none")
    return int(text)
