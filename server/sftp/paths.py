"""Paths as an agency writes them: what they mean, and which ones are refused. Pure; the disk is `jail`'s."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from asyncssh import SFTPFailure, SFTPPermissionDenied

UPLOAD = "upload"
DOWNLOAD = "download"
EXPORTS = "exports"
AREAS = (DOWNLOAD, UPLOAD)
"""What every agency has."""
KNOWN_AREAS = (DOWNLOAD, EXPORTS, UPLOAD)
"""The same and what an agency has only if it was made for it: its exports."""

NAME_BYTES = 255
PATH_BYTES = 4096
DEPTH = 32


@dataclass(frozen=True)
class AgencyPath:
    """A normal path below the agency's `/`: no empty part, no `.`, no `..`."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        return "/" + "/".join(self.parts)

    @property
    def name(self) -> str:
        """The last part; empty for `/`."""
        return self.parts[-1] if self.parts else ""

    @property
    def area(self) -> str:
        """The first part: one of `KNOWN_AREAS` for all that exists, empty for `/`."""
        return self.parts[0] if self.parts else ""

    @property
    def is_root(self) -> bool:
        """Whether this is `/`."""
        return not self.parts

    @property
    def is_inside(self) -> bool:
        """Whether this is below one of `KNOWN_AREAS`, and not one of them."""
        return len(self.parts) > 1 and self.area in KNOWN_AREAS

    @property
    def is_area(self) -> bool:
        """Whether this is one of `KNOWN_AREAS`."""
        return len(self.parts) == 1 and self.area in KNOWN_AREAS


@lru_cache(256)
def read_path(raw: bytes) -> AgencyPath:
    """Read a path from a request; relative ones begin at `/`.

    `..` goes up in the text and stops at `/`: since nobody can make links here, text and disk agree.
    Raises `SFTPFailure` for what can be no path.
    """
    if b"\0" in raw:
        raise SFTPFailure("A path cannot contain a NUL byte.")
    if len(raw) > PATH_BYTES:
        raise SFTPFailure(f"That path is too long. A path may have {PATH_BYTES} bytes.")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise SFTPFailure("File names must be UTF-8. Set your client's character set to UTF-8.") from None
    return AgencyPath(_normalise(text))


def _normalise(text: str) -> tuple[str, ...]:
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    if len(parts) > DEPTH:
        raise SFTPFailure(f"That path is too deep. Directories may be nested {DEPTH} deep.")
    if any(len(part.encode()) > NAME_BYTES for part in parts):
        raise SFTPFailure(f"That name is too long. A name may have {NAME_BYTES} bytes.")
    return tuple(parts)


def check_new_name(path: AgencyPath) -> None:
    """Refuse a name that nobody should create: control characters break listings, logs and receipts."""
    if not path.name.isprintable() and any(unicodedata.category(character) == "Cc" for character in path.name):
        raise SFTPFailure("A file name cannot contain control characters such as line breaks. Rename the file.")


def check_may_create(path: AgencyPath, what: str) -> None:
    """Refuse creating a file ("file") or directory ("directory") where none may be.

    Files come in below `/upload` only; `/download` and `/exports` are what the server has for the agency.
    """
    if not path.is_inside:
        raise SFTPPermissionDenied("Only /upload and /download exist here. Upload into /upload.")
    if path.area != UPLOAD and what == "file":
        raise SFTPPermissionDenied(f"/{path.area} holds what the server has for you. Upload into /upload.")
    check_new_name(path)


def check_may_remove(path: AgencyPath) -> None:
    """Refuse deleting or renaming `/`, `/upload`, `/download` and `/exports` themselves."""
    if path.area == EXPORTS and path.is_area:
        raise SFTPPermissionDenied("/exports is fixed: it cannot be renamed or deleted.")
    if not path.is_inside:
        raise SFTPPermissionDenied("/upload and /download are fixed: they cannot be renamed or deleted.")


def check_may_rename(old: AgencyPath, new: AgencyPath) -> None:
    """Refuse renames that leave their area, or that put a directory into itself."""
    check_may_remove(old)
    if not new.is_inside:
        raise SFTPPermissionDenied("Only /upload and /download exist here. Rename within /upload.")
    if old.area != new.area:
        areas = " and ".join(f"/{area}" for area in sorted({old.area, new.area}, reverse=True))
        raise SFTPPermissionDenied(f"Files cannot be moved between {areas}. Send the file instead.")
    if new.parts[: len(old.parts)] == old.parts and new != old:
        raise SFTPFailure("A directory cannot be moved into itself.")
    check_new_name(new)
