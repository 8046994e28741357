"""Drops the answer to a file into its agency's `/download/receipts`, each file whole or not at all.

The folder belongs to the agency, which may rename or delete in it at any moment; so it is opened without following a
link, and files are written under a dot-name and renamed.
"""

import json
import os
import secrets
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ingest.answer import RECEIPT_ERRORS, Moved, RowError, Upload, answer_name, error_blocks, receipt, receipt_text
from ingest.arrival import Arrival
from server.errors import AppError, Code
from server.placing import placed

FOLDER = "receipts"


def drop_receipt(
    home: Path, upload: Upload, errors: Iterable[RowError], moved: Sequence[Moved] = (), zone: str = "UTC"
) -> None:
    """Write the receipt, and the error file if any row failed. Raises `AppError` unavailable or conflict.

    What is true no more is deleted: a notice that nothing was taken from the file, and the error file of an upload that
    is undone, of which no row is to come back. `errors` are all of the upload's, in row order; they are read once and
    never held at the same time. `zone` is the agency's.
    """
    shown: list[RowError] = []
    passing = _keeping(errors, shown)
    with _folder(home) as folder:
        if upload.error_file:
            _write(folder, upload.error_file, error_blocks(upload, passing))
        deque(passing, maxlen=0)  # what no error file has read
        _write(folder, upload.receipt_text_file, [receipt_text(upload, shown, moved, zone).encode()])
        _write(folder, upload.receipt_file, [_json(receipt(upload, shown, moved))])
        untrue = [] if upload.error_file else [answer_name(upload.file, upload.id, "errors.csv")]
        for name in (*_notices(upload.file, upload.arrival_id), *untrue):
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)


def _keeping(errors: Iterable[RowError], shown: list[RowError]) -> Iterator[RowError]:
    """The errors as they come; `shown` grows to as many of each severity as a receipt shows."""
    seen: Counter[str] = Counter()
    for error in errors:
        seen[error.severity] += 1
        if seen[error.severity] <= RECEIPT_ERRORS:
            shown.append(error)
        yield error


def drop_notice(home: Path, arrival: Arrival, at: datetime) -> None:
    """Tell the agency what became of a file that no upload was made of (nothing takes it, or its name is blocked)."""
    notice = {"file": arrival.path, "arrival": arrival.id, "status": arrival.state, "message": arrival.detail}
    text = f"File:      {arrival.path}\nResult:    Nothing was taken from this file.\n\n{arrival.detail}\n"
    text_file, file = _notices(arrival.name, arrival.id)
    with _folder(home) as folder:
        _write(folder, text_file, [text.encode()])
        _write(folder, file, [_json({**notice, "at": at.isoformat()})])


def _notices(file: str, arrival_id: str) -> tuple[str, str]:
    return answer_name(file, arrival_id, "receipt.txt"), answer_name(file, arrival_id, "receipt.json")


def _json(document: object) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


@contextmanager
def _folder(home: Path) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        download = os.open(home / "download", flags)
        try:
            with suppress(FileExistsError):
                os.mkdir(FOLDER, 0o755, dir_fd=download)
            folder = os.open(FOLDER, flags, dir_fd=download)
        finally:
            os.close(download)
    except NotADirectoryError as error:
        raise AppError(
            Code.CONFLICT,
            f"/download/{FOLDER} is not a folder.",
            "Rename that file; the receipts follow by themselves.",
        ) from error
    except OSError as error:
        raise AppError(Code.UNAVAILABLE, f"The receipts folder cannot be opened ({error.strerror}).") from error
    try:
        yield folder
    finally:
        os.close(folder)


def _write(folder: int, name: str, blocks: Iterable[bytes]) -> None:
    # The end of the name holds the id; whole, a long one would not leave room for more. Two may write at once.
    beside = f".{name[-60:]}.{secrets.token_hex(4)}.tmp"
    try:
        with placed(folder, beside, name) as file:
            file.writelines(blocks)
    except OSError as error:
        raise AppError(
            Code.UNAVAILABLE, f"A receipt cannot be written ({error.strerror}).", "Check free space; it is tried again."
        ) from error
