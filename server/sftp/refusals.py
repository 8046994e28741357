"""How a refusal is said: an SFTP status (draft-ietf-secsh-filexfer-02 section 7) and a sentence a person can act on.

Version 3 of the protocol has few codes, so the sentence carries the meaning; WinSCP and others show it. No sentence
names a path of this machine or repeats the text of an exception.
"""

import errno
from collections.abc import Callable

from asyncssh import SFTPError, SFTPFailure, SFTPNoSuchFile, SFTPPermissionDenied

from server.logs import Log

NO_SPACE = "The server's disk is full, so the file was not kept whole. Send it again later, or tell the operator."
BUSY = "The server is too busy: it has too many files open just now. Try again in a minute."
LINKS = "Links are not allowed here. Send the file itself."
INTERNAL = "Internal error; the operator finds it in the server's log."

_SENTENCES: dict[int, tuple[Callable[[str], SFTPError], str]] = {
    errno.ENOENT: (SFTPNoSuchFile, "There is no such file or directory."),
    errno.ENOTDIR: (SFTPNoSuchFile, "A part of this path is not a directory."),
    errno.ELOOP: (SFTPNoSuchFile, "A part of this path is not a directory."),
    errno.EXDEV: (SFTPFailure, "The server keeps this directory on another disk; tell the operator."),
    errno.EEXIST: (SFTPFailure, "That name is taken already. Choose another name or delete the file first."),
    errno.ENOTEMPTY: (SFTPFailure, "The directory is not empty. Delete what is in it first."),
    errno.EISDIR: (SFTPFailure, "That is a directory, not a file."),
    errno.ENAMETOOLONG: (SFTPFailure, "That name is too long. A name may have 255 bytes."),
    errno.ENOSPC: (SFTPFailure, NO_SPACE),
    errno.EDQUOT: (SFTPFailure, NO_SPACE),
    errno.EFBIG: (SFTPFailure, "The file is larger than this server can keep."),
    errno.EINVAL: (SFTPFailure, "That cannot be done with this file or directory."),
    errno.EACCES: (SFTPPermissionDenied, "The server may not do this; tell the operator."),
    errno.EPERM: (SFTPPermissionDenied, "The server may not do this; tell the operator."),
    errno.EROFS: (SFTPPermissionDenied, "The server's disk is read-only just now; tell the operator."),
    errno.EMFILE: (SFTPFailure, BUSY),
    errno.ENFILE: (SFTPFailure, BUSY),
}
# What the operator has to do something about.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
_OPERATORS = (*_FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV)


def refusal(error: OSError) -> SFTPError:
    """The answer to a request that the operating system refused."""
    kind, sentence = _SENTENCES.get(
        error.errno or 0, (SFTPFailure, "The server's disk refused this; tell the operator.")
    )
    return kind(sentence)


class answered:  # noqa: N801  it is used as a function
    """Let nothing but an `SFTPError` out of the block: what is our bug goes to the log, not to the client.

    A class, since there is one for every request, and a generator costs three times as much.
    """

    __slots__ = ("_log", "_operation")

    def __init__(self, log: Log, operation: str) -> None:
        self._log = log
        self._operation = operation

    def __enter__(self) -> None:
        """Nothing has happened yet."""

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        """Raises the answer instead of what the block has raised."""
        if error is None or isinstance(error, SFTPError) or not isinstance(error, Exception):
            return
        if isinstance(error, OSError):
            if error.errno not in _SENTENCES or error.errno in _OPERATORS:
                code = errno.errorcode.get(error.errno or 0, "?")
                self._log.error("ERROR", operation=self._operation, errno=code)
            raise refusal(error) from error
        self._log.exception("ERROR", operation=self._operation)
        raise SFTPFailure(INTERNAL) from error
