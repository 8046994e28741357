"""Renaming by directory descriptor, with or without replacing; renameat2(2) has no name in Python."""

import ctypes
import errno
import os
from functools import cache
from typing import Any

RENAME_NOREPLACE = 1


def rename(old_fd: int, old: str, new_fd: int, new: str, replace: bool) -> None:
    """Rename `old` in the directory `old_fd` to `new` in `new_fd`.

    Raises OSError; EEXIST if there is a `new` that must not be replaced.
    """
    if replace:
        os.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
        return
    call = _renameat2()
    if call is not None:
        if call(old_fd, os.fsencode(old), new_fd, os.fsencode(new), RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.ENOSYS, errno.EINVAL):
            raise OSError(code, os.strerror(code))
    _link_and_unlink(old_fd, old, new_fd, new)


def _link_and_unlink(old_fd: int, old: str, new_fd: int, new: str) -> None:
    # For file systems without RENAME_NOREPLACE (NFS, say): a link never replaces either.
    try:
        os.link(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)
    except PermissionError:  # a directory cannot be linked; looking first is the best there is
        _refuse_if_taken(new_fd, new)
        os.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
    else:
        os.unlink(old, dir_fd=old_fd)


def _refuse_if_taken(fd: int, name: str) -> None:
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    raise FileExistsError(errno.EEXIST, "taken")


@cache
def _renameat2() -> Any:
    """The C library's function (glibc 2.28, musl 1.2.4), or None."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return function
