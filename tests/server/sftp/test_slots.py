"""Slots hold over processes, and end with them."""

import errno
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.sftp.slots import FILES, Slots
from tests.server.sftp.conftest import wait_until

HOLDER = """
import sys
from pathlib import Path
from server.sftp.slots import Slots
slots = Slots(Path(sys.argv[1]))
held = [slots.take("court", 5) for _ in range(4)]
print(sum(slot is not None for slot in held), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[Slots]:
    made = Slots(tmp_path / "slots")
    yield made
    made.close()


def test_a_name_has_so_many_and_no_more(slots: Slots) -> None:
    taken = [slots.take("court", 3) for _ in range(4)]
    assert [slot is not None for slot in taken] == [True, True, True, False]
    assert slots.take("other", 3)
    assert taken[1]
    taken[1].release()
    taken[1].release()
    assert slots.take("court", 3)
    assert slots.take("court", 3) is None


def test_two_doors_on_one_directory_count_together(slots: Slots, tmp_path: Path) -> None:
    others = Slots(tmp_path / "slots")
    mine = [slots.take("court", 5) for _ in range(3)]
    theirs = [others.take("court", 5) for _ in range(3)]
    assert [slot is not None for slot in (*mine, *theirs)] == [True] * 5 + [False]
    others.close()
    assert slots.take("court", 5)
    assert slots.take("court", 5)
    assert slots.take("court", 5) is None


def test_a_process_that_is_killed_frees_what_it_held(slots: Slots, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "slots")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        try:
            assert holder.stdout.readline() == b"4\n"
            assert slots.take("court", 5)
            assert slots.take("court", 5) is None
        finally:
            holder.kill()
    wait_until(lambda: slots.take("court", 5) is not None, "the slots of the dead to be free")


def test_however_many_names_there_are_nothing_grows(slots: Slots, tmp_path: Path) -> None:
    for number in range(5000):
        slot = slots.take(f"address 2001:db8:{number:x}::/64", 100)
        assert slot
        slot.release()
    files = list((tmp_path / "slots").iterdir())
    assert len(files) == FILES
    assert sum(file.stat().st_size for file in files) == 0


def test_without_locks_each_process_counts_for_itself(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    taken = [slots.take("court", 2) for _ in range(3)]
    assert [slot is not None for slot in taken] == [True, True, False]
