"""Sending written data to the disk early, so that the fsync at CLOSE has little left to do.

WinSCP gives up when an answer takes 15 seconds; flushing some GiB at once can take longer than that.
"""

import ctypes
import os
from functools import cache
from typing import Any

EVERY = 32 * 1024 * 1024
SYNC_FILE_RANGE_WRITE = 2


def start_writeback(fd: int) -> None:
    """Begin to write what is dirty of `fd` to the disk, without waiting for it; closes `fd`. Best effort."""
    try:
        call = _sync_file_range()
        if call is not None:
            call(fd, 0, 0, SYNC_FILE_RANGE_WRITE)
    finally:
        os.close(fd)


@cache
def _sync_file_range() -> Any:
    """sync_file_range(2) of the C library (Linux), or None."""
    try:
        function = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function
