"""What comes in a `.zip` or `.gz`: the one file inside it, unfolded in a stream and never further than it may be.

A few kilobytes can unfold to terabytes, so both the size and its ratio to the packed size are bounded while it is
read, whatever the archive says of itself; and the list of what is in an archive is measured before it is read.
"""

import errno
import gzip
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

from ingest.errors import IngestError
from ingest.limits import Limits

GZIP, ZIP = b"\x1f\x8b", b"PK"
_BLOCK = 1 << 20
_END, _END64 = b"PK\x05\x06", b"PK\x06\x06"  # PKWARE APPNOTE 4.3.16 and 4.3.14
_NO_FILES = ("__MACOSX/", "META-INF/")
_DOCUMENTS = (
    ("xl/workbook.bin", "xlsb", "a binary Excel workbook (XLSB)"),
    ("word/document.xml", "docx", "a Word document"),
    ("ppt/presentation.xml", "pptx", "a presentation"),
    ("content.xml", "ods", "an OpenDocument file"),
    ("Index/Document.iwa", "numbers", "an Apple document"),
)
_PART = re.compile(rb"PK\x03\x04.{26}(\[Content_Types\]\.xml|_rels/|docProps/|xl/|word/|ppt/)", re.DOTALL)  # 4.3.7
_NO_WORKBOOK = {b"word/", b"ppt/"}
_OWN_PARTS = ("xl/", "xl\\")
_DAMAGED = (
    *(EOFError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, struct.error, NotImplementedError),
    *(RuntimeError, ValueError, OverflowError),  # zipfile's other ways to say the same
)


def gunzip(file: BinaryIO, size: int, out: BinaryIO, limits: Limits) -> None:
    """Write to `out` what the gzip `file` of `size` bytes holds. Raises IngestError."""
    with _telling(), cast(IO[bytes], gzip.GzipFile(fileobj=file)) as inner:
        for block in unfold(inner, size, limits):
            out.write(block)


def unzip(archive: zipfile.ZipFile, out: BinaryIO, limits: Limits) -> None:
    """Write to `out` the one file that the archive holds. Raises IngestError."""
    member = _only_file(archive)
    with _telling(), open_member(archive, member) as inner:
        for block in unfold(inner, member.compress_size, limits):
            out.write(block)


def unfold(inner: IO[bytes], packed: int, limits: Limits) -> Iterator[bytes]:
    """The blocks of what is `packed` bytes long in its archive. Raises IngestError when they become too many."""
    most = min(limits.unpacked, max(limits.unpacked_freely, packed * limits.ratio))
    total = 0
    while block := inner.read(_BLOCK):
        total += len(block)
        if total > most:
            raise IngestError(
                "unfolds_too_far",
                f"The {packed:,} bytes of the archive unfold to more than {most:,}.",
                "Send the file in parts, or as it is.",
            )
        yield block


def open_archive(file: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """The ZIP archive, or workbook, that begins with `ZIP`. Raises IngestError: cut off, damaged, or full of names."""
    if _directory_size(file) > limits.directory:
        raise IngestError(
            "too_many_files", "The archive holds too many files.", "Send one archive with one file in it."
        )
    try:
        with _telling():
            archive = zipfile.ZipFile(file)
    except IngestError as error:
        if _begins_as_workbook(file):
            raise _damaged_workbook() from error
        raise
    _refuse_joined(archive)
    return archive


def _refuse_joined(archive: zipfile.ZipFile) -> None:
    """Only the last of several archives in one file can be seen; what stands in front of it would be lost untold."""
    if min((member.header_offset for member in archive.infolist()), default=archive.start_dir):
        archive.close()
        raise IngestError(
            "joined_archives",
            "Something stands in front of the archive in this file, such as another archive.",
            "Send each archive as a file of its own.",
        )


def _begins_as_workbook(file: BinaryIO) -> bool:
    """Whether what is left of it are parts of a workbook: the list of them, at the end of a file, may be gone."""
    file.seek(0)
    head = file.read(_BLOCK)
    return _PART.match(head) is not None and _NO_WORKBOOK.isdisjoint(_PART.findall(head))


def is_workbook(archive: zipfile.ZipFile) -> bool:
    """Whether it is an Excel workbook (XLSX, XLSM). Raises IngestError for another office document."""
    names = set(archive.namelist())
    for name, code, what in _DOCUMENTS:
        if name in names:
            raise IngestError(
                code, f"The file is {what}.", "Save it as XLSX, CSV or pipe-delimited text and send that."
            )
    if any(name.lower().endswith("xl/workbook.xml") for name in names):
        return True
    if "[Content_Types].xml" in names and any(name.lower().startswith(_OWN_PARTS) for name in names):
        raise IngestError(
            "unusual_workbook",
            "The file is an Excel workbook, but its parts have other names than Excel gives them.",
            "Open it in Excel, save it again as XLSX and send that.",
        )
    return False


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """A stream of what `member` holds. Raises IngestError if it is encrypted or packed in a rare way."""
    if member.flag_bits & 0x1:
        raise IngestError(
            "encrypted_archive", "The archive is protected by a password.", "Send it without one: SFTP encrypts it."
        )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise IngestError(
            "rare_compression",
            "The archive is packed in a way that few programs can read.",
            "Pack it as an ordinary ZIP archive (deflate).",
        )
    return archive.open(member)


def _only_file(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not member.filename.startswith(_NO_FILES)
        and not member.filename.rpartition("/")[2].startswith(".")
    ]
    if len(files) != 1:
        raise IngestError(
            "many_files" if files else "empty_file",
            f"The archive holds {len(files):,} files." if files else "The archive holds no file.",
            "Send one archive with one file in it for each file.",
        )
    return files[0]


def _directory_size(file: BinaryIO) -> int:
    """How many bytes the archive's list of its files claims to have."""
    size = file.seek(0, 2)
    file.seek(max(0, size - (1 << 16) - 22 - 76))
    tail = file.read()
    end, end64 = tail.rfind(_END), tail.rfind(_END64)
    sizes = [0]
    if 0 <= end <= len(tail) - 22:
        sizes.append(struct.unpack_from("<L", tail, end + 12)[0] % 0xFFFFFFFF)
    if 0 <= end64 <= len(tail) - 56:
        sizes.append(struct.unpack_from("<Q", tail, end64 + 40)[0])
    return max(sizes)


@contextmanager
def _telling() -> Iterator[None]:
    """What Python's readers raise for archives that are cut off or damaged, as IngestError."""
    try:
        yield
    except _DAMAGED as error:
        raise _damaged() from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a place in front of the file's beginning
            raise _damaged() from error
        raise


def _damaged() -> IngestError:
    return IngestError(
        "damaged_archive", "The archive is cut off or damaged.", "Pack the file again, and send it again."
    )


def _damaged_workbook() -> IngestError:
    return IngestError(
        "damaged_workbook", "The workbook is cut off or damaged.", "Save it again in Excel, and send it again."
    )
