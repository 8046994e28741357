"""From a file as it came to one that can be split: out of its archive, out of its workbook, out of UTF-16.

What is plain text already is read where it lies. Everything else is written down in a file without a name beside it,
which is gone as soon as it is closed, whatever dies; memory holds no more than a block.
"""

import codecs
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from ingest.archive import gunzip, is_workbook, open_archive, unzip
from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.limits import Limits
from ingest.parse import UNIT, answered_by
from ingest.workbook import Sheet, encrypted, fill_down, read_workbook

_GZIP = b"\x1f\x8b\x08"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # the stream of that name, MS-OFFCRYPTO 2.3.4.4
_BLOCK = 1 << 20
_HEAD = 4096

Working = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Source:
    """A file to be split, open. `sheet` is set where it was a sheet; `form` is the template's, with what is certain
    now: the text's encoding, and a delimiter that is ASCII. `working` gives another file to write to."""

    file: BinaryIO
    form: FileFormat
    working: Working
    sheet: Sheet | None = None

    def filled(self, line: int, limits: Limits) -> "Source":
        """With the value of merged cells in each of their rows, where they are merged from this row of the sheet on.
        Those above are headings, which `Top` knows how to read. Raises IngestError."""
        ranges = [each for each in self.sheet.down if each[0] >= line - 1] if self.sheet else []
        if self.sheet is None or not ranges:
            return self
        out = self.working()
        filled = fill_down(self.file, out, ranges, limits)
        return replace(self, file=out, sheet=replace(self.sheet, filled=filled))


@contextmanager
def open_source(path: Path, form: FileFormat, limits: Limits) -> Iterator[Source]:
    """The file at `path`, ready to be split. Raises IngestError for what cannot be."""
    with ExitStack() as opened:

        def working() -> BinaryIO:
            return cast(BinaryIO, opened.enter_context(tempfile.TemporaryFile(dir=path.parent)))

        file = _unpacked(opened.enter_context(path.open("rb")), path.stat().st_size, working, limits)
        head = _head(file)
        _refuse_old(file, head)
        if head.startswith(_ZIP) and _holds_workbook(file, limits):
            yield _from_workbook(file, working, form, limits)
        else:
            yield _from_text(file, head, working, form)


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    return head


def _unpacked(file: BinaryIO, size: int, working: Working, limits: Limits) -> BinaryIO:
    """The file itself, or what is in it if it is an archive."""
    head = _head(file)
    if head.startswith(_GZIP):
        inner = working()
        gunzip(file, size, inner, limits)
        return inner
    if head.startswith(_ZIP) and not _holds_workbook(file, limits):
        inner = working()
        with open_archive(file, limits) as archive:
            unzip(archive, inner, limits)
        return inner
    return file


def _holds_workbook(file: BinaryIO, limits: Limits) -> bool:
    file.seek(0)
    with open_archive(file, limits) as archive:
        return is_workbook(archive)


def _refuse_old(file: BinaryIO, head: bytes) -> None:
    """A workbook with a password looks like an old one from outside (MS-CFB): tell them apart by what is in it."""
    if head.startswith(_OLE) and len(head) >= 512:
        sector = 1 << min(int.from_bytes(head[30:32], "little"), 16)
        file.seek((int.from_bytes(head[48:52], "little") + 1) * sector)
        if _ENCRYPTED in file.read(4 * _HEAD):
            raise encrypted()


def _from_workbook(file: BinaryIO, working: Working, form: FileFormat, limits: Limits) -> Source:
    if form.kind in ("delimited", "fixed"):
        raise IngestError(
            "wrong_kind",
            "The file is an Excel workbook, and the template reads text.",
            'Send text, or set kind = "auto" in the template.',
        )
    out = working()
    sheet = read_workbook(file, out, form.sheet, limits)
    return Source(out, replace(form, encoding="utf-8"), working, sheet)


def _from_text(file: BinaryIO, head: bytes, working: Working, form: FileFormat) -> Source:
    codec, mark = _utf16(head, form)
    delimiter = form.delimiter if form.delimiter and not form.delimiter.isascii() and not answered_by(head) else None
    if codec:
        file.seek(mark)
        blocks: Iterator[bytes] = _recoded(file, codec)
        form = replace(form, encoding="utf-8")
    elif delimiter:
        blocks = iter(lambda: file.read(_BLOCK), b"")
    else:
        return Source(file, form, working)
    if delimiter:
        blocks = _swapped(blocks, _bytes_of(delimiter, head, form), UNIT.encode())
        form = replace(form, delimiter=UNIT)
    out = working()
    for block in blocks:
        out.write(block)
    out.seek(0)
    return Source(out, form, working)


def _utf16(head: bytes, form: FileFormat) -> tuple[str, int]:
    """The codec of UTF-16 text and the length of its byte order mark; ("", 0) for any other text."""
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le", 2
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be", 2
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if pairs > 2 and 5 * max(even, odd) >= 2 * pairs and 4 * min(even, odd) <= max(even, odd):
        return ("utf-16-le" if odd > even else "utf-16-be"), 0
    if form.encoding == "utf-16" and head.strip() and not answered_by(head):
        raise IngestError("undecodable", "The file is not UTF-16.", 'Set encoding = "auto" in the template.')
    return "", 0


def _recoded(file: BinaryIO, codec: str) -> Iterator[bytes]:
    """UTF-16 as UTF-8. Half a character (a lone surrogate) stays one, and so its row is answered."""
    decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
    try:
        while block := file.read(_BLOCK):
            yield decoder.decode(block).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise IngestError(
            "truncated", "The file ends in the middle of a character: it is cut off.", "Send it again."
        ) from error


def _bytes_of(delimiter: str, head: bytes, form: FileFormat) -> bytes:
    """The delimiter as it stands in the file: in UTF-8 where that is what the file is, else the one byte it is."""
    unicode = delimiter.encode("utf-8")
    if form.encoding in ("cp1252", "latin-1") or (form.encoding is None and unicode not in head):
        try:
            return delimiter.encode(form.encoding or "cp1252")
        except UnicodeEncodeError:
            return unicode
    return unicode


def _swapped(blocks: Iterator[bytes], old: bytes, new: bytes) -> Iterator[bytes]:
    tail = b""
    for block in blocks:
        text = (tail + block).replace(old, new)
        keep = next((size for size in range(len(old) - 1, 0, -1) if text.endswith(old[:size])), 0)
        text, tail = text[: len(text) - keep], text[len(text) - keep :]
        yield text
    yield tail
