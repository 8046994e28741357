"""Each slot is run once, whoever claims it, dies over it, or comes late."""

from datetime import UTC, datetime, timedelta

from server.schedule.claims import LEASE, claim, finish, forget, release
from server.state import State

AT = datetime(2026, 3, 2, 11, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_slot_is_claimed_by_one_node_and_finished_once(state: State) -> None:
    with state.database.writing() as conn:
        assert claim(conn, "export 1", "monday", "a", AT)
        assert not claim(conn, "export 1", "monday", "b", AT + SECOND)
        assert claim(conn, "export 1", "tuesday", "b", AT)
        assert claim(conn, "export 2", "monday", "b", AT)
        assert finish(conn, "export 1", "monday", AT + SECOND)
        assert not finish(conn, "export 1", "monday", AT + SECOND)
        for owner in ("a", "b"):
            assert not claim(conn, "export 1", "monday", owner, AT + 2 * LEASE)


def test_whoever_dies_is_followed_by_another_one_or_by_itself(state: State) -> None:
    with state.database.writing() as conn:
        assert claim(conn, "export 1", "monday", "a", AT)
        assert claim(conn, "export 1", "monday", "a", AT + SECOND)
        assert not claim(conn, "export 1", "monday", "b", AT + LEASE)
        assert claim(conn, "export 1", "monday", "b", AT + LEASE + 2 * SECOND)
        assert not claim(conn, "export 1", "monday", "a", AT + LEASE + 3 * SECOND)


def test_a_claim_of_a_clock_that_was_set_back_holds_up_nobody(state: State) -> None:
    with state.database.writing() as conn:
        assert claim(conn, "export 1", "monday", "a", AT + timedelta(days=30))
        assert claim(conn, "export 1", "monday", "b", AT)
        assert not claim(conn, "export 1", "monday", "c", AT + SECOND)


def test_the_slower_of_two_that_run_a_slot_keeps_nothing(state: State) -> None:
    with state.database.writing() as conn:
        claim(conn, "export 1", "monday", "a", AT)
        claim(conn, "export 1", "monday", "b", AT + 2 * LEASE)
        assert finish(conn, "export 1", "monday", AT + 2 * LEASE)  # a, at last
        assert not finish(conn, "export 1", "monday", AT + 3 * LEASE)  # b


def test_what_has_failed_can_be_claimed_at_once_and_what_has_run_cannot(state: State) -> None:
    with state.database.writing() as conn:
        claim(conn, "export 1", "monday", "a", AT)
        release(conn, "export 1", "monday", "b")
        assert not claim(conn, "export 1", "monday", "b", AT)
        release(conn, "export 1", "monday", "a")
        assert claim(conn, "export 1", "monday", "b", AT)
        assert finish(conn, "export 1", "monday", AT)
        release(conn, "export 1", "monday", "b")
        assert not claim(conn, "export 1", "monday", "b", AT + 2 * LEASE)


def test_slots_of_long_ago_are_forgotten(state: State) -> None:
    with state.database.writing() as conn:
        for slot in ("old", "new", "open"):
            claim(conn, "export 1", slot, "a", AT)
        finish(conn, "export 1", "old", AT)
        finish(conn, "export 1", "new", AT + LEASE)
        assert forget(conn, AT + SECOND) == 1
        later = AT + 2 * LEASE
        assert [claim(conn, "export 1", slot, "b", later) for slot in ("old", "new", "open")] == [True, False, True]
