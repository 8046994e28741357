"""What is no text and no table: named to its sender, with what to send instead."""

from ingest.errors import IngestError

_AS_TEXT = "Save it as XLSX, CSV or pipe-delimited text and send that."
_MAGIC = (
    (b"PK\x03\x04", "nested", "an archive inside an archive", "Send one archive with the file itself in it."),
    (b"\x1f\x8b", "nested", "an archive inside an archive", "Send one archive with the file itself in it."),
    (b"\xd0\xcf\x11\xe0", "xls", "an old Excel workbook (XLS)", _AS_TEXT),
    (b"\x09\x08\x10\x00\x00\x06", "xls", "an old Excel workbook (XLS)", _AS_TEXT),
    (b"%PDF", "pdf", "a PDF document", "Export the report as CSV or pipe-delimited text and send that."),
    (b"{\\rtf", "rtf", "a Word document", "Save it as plain text and send that."),
    (b"7z\xbc\xaf\x27\x1c", "archive", "a 7-Zip archive", "Send the file itself, or put it into a ZIP archive."),
    (b"Rar!", "archive", "a RAR archive", "Send the file itself, or put it into a ZIP archive."),
    (b"BZh", "archive", "a bzip2 archive", "Send the file itself, or put it into a ZIP archive."),
    (b"\xfd7zXZ\0", "archive", "an XZ archive", "Send the file itself, or put it into a ZIP archive."),
    (b"\x28\xb5\x2f\xfd", "archive", "a Zstandard archive", "Send the file itself, or put it into a ZIP archive."),
    (b"PAR1", "parquet", "a Parquet file", _AS_TEXT),
)
_MARKUP = ((b"<!doctype html", "html"), (b"<html", "html"), (b"<?xml", "xml"), (b"<table", "html"))
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1a\0")
_SAMPLE = 64 * 1024


def refuse_foreign(head: bytes) -> None:
    """Raise IngestError if a file that begins with `head` is a known kind that is no delimited text, or binary."""
    for magic, code, what, hint in _MAGIC:
        if head.startswith(magic):
            raise IngestError(code, f"The file is {what}.", hint)
    if head[257:262] == b"ustar":
        raise IngestError(
            "archive", "The file is a tar archive.", "Send the file itself, or put it into a ZIP archive."
        )
    start = head[:_SAMPLE].lstrip(b"\xef\xbb\xbf \t\r\n")[:20].lower()
    for beginning, code in _MARKUP:
        if start.startswith(beginning):
            hint = "A report saved as .xls is often a web page: open it, save it as XLSX or CSV and send that."
            raise IngestError(code, f"The file is {code.upper()}, not a table.", hint)
    if _is_binary(head[:_SAMPLE]):
        raise IngestError("binary", "The file is not text.", "Export it as CSV or pipe-delimited text and send that.")


def _is_binary(sample: bytes) -> bool:
    strange = sum(sample.count(code) for code in range(32) if code not in _TEXT_CONTROLS)
    if sample.count(0x1F) > strange // 2:  # a delimiter of old, and nothing else
        strange -= sample.count(0x1F)
    return (strange + sample.count(0)) * 20 > len(sample) > 0 and (strange > 2 or sample.count(0) > 2)
