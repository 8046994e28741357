"""Freeing what an upload holds on the disk when its file has lost its last name, and the upload runs on.

Such a file can never become whole, and its bytes are given back to the agency's quota with the name. But as long as its
handle is open, they lie on the disk: whoever began the same file again and again could hold many times the quota.
"""

import ctypes
import fcntl
import os
from functools import cache
from typing import Any

KEEP_SIZE, PUNCH_HOLE = 1, 2  # of fallocate(2)


def empty_if_lost(fd: int) -> None:
    """If the open file has no name any more and a session still receives it, free its blocks. Best effort.

    Its size stays: by that the upload's end tells what it took of the quota. A file that nobody receives may be read by
    somebody, who is to have all of it.
    """
    status, call = os.fstat(fd), _fallocate()
    if call is not None and status.st_nlink == 0 and status.st_size and is_received(fd):
        call(fd, PUNCH_HOLE | KEEP_SIZE, 0, status.st_size)


def is_received(fd: int) -> bool:
    """Whether a session receives the open file; `fd` holds no lock itself."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


@cache
def _fallocate() -> Any:
    """fallocate(2) of the C library (Linux), or None."""
    try:
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return function
