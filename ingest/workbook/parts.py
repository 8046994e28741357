"""What a workbook is made of, looked at before calamine sees it.

Its parts are XML in a ZIP archive (ECMA-376, parts 1 and 2). None may declare a document type, by which a few bytes of
XML unfold to gigabytes; none may unfold further than the limits say; and the sheet may hold no formula whose result
nobody has computed, for such a cell would be read as empty.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree import ElementTree

from ingest.archive import open_archive, open_member, unfold
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.workbook.formulas import Formulas, find_formulas, uncomputed

READY = b"ready to read a workbook\n"
"""What the process that reads a workbook says when it has started."""

_BOOK, _RELATIONS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_SMALL = 8 * 1024 * 1024  # a list of sheets, with room to spare
_OUTSIDE = re.compile(rb"<!DOCTYPE|<!ENTITY")


@dataclass(frozen=True)
class Inspected:
    """The sheet to read, the visible sheets in their order, what the formulas of it gave, and whether the workbook
    counts its days from 1904 on."""

    name: str
    sheets: tuple[str, ...]
    formulas: Formulas
    from_1904: bool


def inspect(source: BinaryIO, wanted: str | int | None, limits: Limits) -> Inspected:
    """Choose the sheet (by its name, by its number among all, or the first that people see) and look at all it needs.

    Raises IngestError.
    """
    with open_archive(source, limits) as archive:
        _refuse_far(archive, limits)
        sheets = _sheets(archive, limits)
        name, part = _choose(sheets, wanted)
        shared = [each for each in archive.namelist() if each.startswith("xl/") and each.endswith((".xml", ".rels"))]
        for each in shared:
            if not each.startswith("xl/worksheets/") and each != part:
                for _ in _blocks(archive, each, limits):
                    pass
        formulas = find_formulas(_blocks(archive, part, limits) if part in archive.namelist() else ())
        book = _tree(archive, _BOOK, limits)
    if formulas.all_zero and _says(book, "calcPr", "fullCalcOnLoad"):
        raise uncomputed()  # programs that compute none write 0 for each, and leave the rest to Excel
    visible = tuple(name for name, _, visible in sheets if visible)
    return Inspected(name, visible, formulas, _says(book, "workbookPr", "date1904"))


def _says(book: ElementTree.Element, part: str, what: str) -> bool:
    """Whether the workbook says so of itself."""
    return any(_local(each.tag) == part and each.get(what) in ("1", "true") for each in book)


def _refuse_far(archive: zipfile.ZipFile, limits: Limits) -> None:
    size = sum(member.file_size for member in archive.infolist())
    if size > limits.unpacked:
        raise IngestError(
            "unfolds_too_far", f"The workbook unfolds to more than {limits.unpacked:,} bytes.", "Send it in parts."
        )


def _sheets(archive: zipfile.ZipFile, limits: Limits) -> list[tuple[str, str, bool]]:
    """Name, part and visibility of each worksheet."""
    targets = {}
    for relation in _tree(archive, _RELATIONS, limits).iter():
        if _local(relation.tag) == "Relationship" and relation.get("Type", "").endswith("/worksheet"):
            targets[relation.get("Id")] = posixpath.normpath(posixpath.join("/xl", relation.get("Target", "")))[1:]
    sheets = []
    for sheet in _tree(archive, _BOOK, limits).iter():
        identity = next((value for key, value in sheet.attrib.items() if _local(key) == "id" and key != "id"), None)
        if _local(sheet.tag) == "sheet" and identity in targets:
            visible = sheet.get("state", "visible") == "visible"
            sheets.append((sheet.get("name", ""), targets[identity], visible))
    if not sheets:
        raise damaged()
    return sheets


def _choose(sheets: list[tuple[str, str, bool]], wanted: str | int | None) -> tuple[str, str]:
    names = [name for name, _, _ in sheets]
    if wanted is None:
        place = next((place for place, (_, _, visible) in enumerate(sheets) if visible), 0)
    elif isinstance(wanted, int) and wanted <= len(sheets):
        place = wanted - 1
    elif wanted in names:
        place = names.index(str(wanted))
    else:
        raise IngestError(
            "no_such_sheet",
            f"The workbook has no sheet {wanted!r}. It has: {', '.join(map(repr, names[:20]))}.",
            "Name the sheet as the workbook does, or set another in the template.",
        )
    return sheets[place][0], sheets[place][1]


def _tree(archive: zipfile.ZipFile, part: str, limits: Limits) -> ElementTree.Element:
    """A part as a tree; it has no document type, so nothing in it unfolds."""
    text = b""
    for block in _blocks(archive, part, limits):
        text += block
        if len(text) > _SMALL:
            raise damaged()
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - see above
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise damaged() from error


def _blocks(archive: zipfile.ZipFile, part: str, limits: Limits) -> Iterator[bytes]:
    """The text of a part, block by block, looked at for what no workbook has."""
    try:
        member = archive.getinfo(part)
    except KeyError as error:
        raise damaged() from error
    with open_member(archive, member) as inner:
        tail = b""
        try:
            for block in unfold(inner, member.compress_size, limits):
                seen = tail + block
                if _OUTSIDE.search(seen) or b"\0" in block:
                    raise IngestError(
                        "xml_bomb",
                        "The workbook holds XML that no spreadsheet program writes (a document type, or UTF-16).",
                        "Open it in Excel, save it again as XLSX and send that.",
                    )
                tail = seen[-16:]
                yield block
        except (EOFError, zipfile.BadZipFile, zlib.error, OSError, ValueError) as error:
            raise damaged() from error


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def damaged() -> IngestError:
    """What a workbook that cannot be read gets."""
    return IngestError(
        "damaged_workbook", "The workbook is damaged.", "Open it in Excel, save it again as XLSX and send that."
    )


def encrypted() -> IngestError:
    """What a workbook with a password gets."""
    return IngestError(
        "encrypted_workbook",
        "The workbook is protected by a password.",
        "Save it without one (File, Info, Protect Workbook) and send that: SFTP encrypts it.",
    )
