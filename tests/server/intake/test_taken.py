"""A file is known by its inode, and forgotten when two sweeps have missed it."""

from server.intake.taken import Footprint, count_known, find_all_taken, find_taken, known_files, miss, take
from server.state import State

FILE = Footprint(dev=1, ino=2, size=300, mtime_ns=4_000)


def test_a_taken_file_is_known_whatever_its_size_and_time_say_now(state: State) -> None:
    with state.database.writing() as conn:
        take(conn, "agency", FILE, "arrival")
        touched = Footprint(1, 2, 301, 5_000)
        assert find_taken(conn, "agency", touched) == (FILE, "arrival")
        assert find_taken(conn, "another", FILE) is None
        take(conn, "agency", touched, "arrival-2")
        assert find_taken(conn, "agency", FILE) == (touched, "arrival-2")
        assert list(known_files(conn, "agency", 10)) == [[(1, 2)]]
        assert count_known(conn, "agency") == 1
        assert find_all_taken(conn, "agency", [(1, 2), (1, 3), (2, 2)]) == {(1, 2): (touched, "arrival-2")}


def test_a_file_is_forgotten_when_it_was_missed_twice(state: State) -> None:
    with state.database.writing() as conn:
        take(conn, "agency", FILE, "arrival")
        miss(conn, "agency", 1, 2)
        assert find_taken(conn, "agency", FILE) is not None
        miss(conn, "agency", 1, 2)
        assert find_taken(conn, "agency", FILE) is None
