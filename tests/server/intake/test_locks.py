"""Locks that threads and processes share: one holder at a time, none left behind, no file for each of them."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.intake.locks import EXCLUSIVE, MOST_KEPT, SHARED, BusyError, LockFile, Locks

ONE, OTHER = 7, (1 << 62) + 7


def is_free(file: Path, number: int, how: int = EXCLUSIVE) -> bool:
    """Whether another process could have it."""
    try:
        with Locks(LockFile(str(file)), [(number, how)], wait=False):
            return True
    except BusyError:
        return False


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "locks"


def test_what_is_held_is_nobody_elses(file: Path) -> None:
    mine = LockFile(str(file))
    with Locks(mine, [(ONE, EXCLUSIVE)], wait=True):
        assert not is_free(file, ONE)
        assert is_free(file, OTHER)
        with pytest.raises(BusyError), Locks(mine, [(ONE, SHARED)], wait=False):
            pass
    assert is_free(file, ONE)
    assert file.stat().st_size == 0


def test_many_share_what_one_would_have_alone(file: Path) -> None:
    mine = LockFile(str(file))
    with Locks(mine, [(ONE, SHARED)], wait=True), Locks(mine, [(ONE, SHARED)], wait=False):
        assert is_free(file, ONE, SHARED)
        assert not is_free(file, ONE)


def test_who_gets_one_and_not_the_next_holds_none(file: Path) -> None:
    mine = LockFile(str(file))
    with Locks(mine, [(OTHER, EXCLUSIVE)], wait=True):
        with pytest.raises(BusyError), Locks(mine, [(ONE, EXCLUSIVE), (OTHER, EXCLUSIVE)], wait=False):
            pass
        assert is_free(file, ONE)


def test_a_process_that_is_killed_leaves_none(file: Path) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with Locks(LockFile(str(file)), [(ONE, EXCLUSIVE)], wait=True):
            os.write(tell, b".")
            signal.pause()
    os.read(told, 1)
    assert not is_free(file, ONE)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert is_free(file, ONE)


def test_descriptors_are_kept_and_not_hoarded(file: Path) -> None:
    mine = LockFile(str(file))
    fds = [mine.take([(number, EXCLUSIVE)], wait=True) for number in range(MOST_KEPT + 4)]
    for fd in fds:
        mine.free(fd)
    closed = [fd for fd in fds if not Path(f"/proc/self/fd/{fd}").exists()]
    assert len(closed) == 4
    assert mine.take([(ONE, EXCLUSIVE)], wait=True) in fds


def test_threads_that_wait_go_one_after_the_other(file: Path) -> None:
    mine, inside = LockFile(str(file)), []

    def enter(number: int) -> int:
        with Locks(mine, [(ONE, EXCLUSIVE)], wait=True):
            inside.append(number)
            held = len(inside)
            inside.remove(number)
            return held

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(enter, range(200))) == {1}
