"""kill -9 between any two steps of a cycle: each file is brought once, and deleted only when it is safe here."""

from datetime import timedelta
from typing import Any

import pytest

from server.intake.register import Registrar
from server.state import open_state
from server.sync import cycle, places, pull
from tests.acceptance.court import ecr, ecr_row
from tests.server.dying import after, die, killed_in
from tests.server.sync.conftest import Folder, Town

FILE = ecr(*(ecr_row(number) for number in range(2_000)))
"""More than one piece of a download."""


BRINGING: dict[str, tuple[Any, str, Any]] = {
    "before it is begun": (pull, "begin", die),
    "after it is begun": (cycle, "begin_file", after(pull.begin_file)),
    "while it is fetched": (Folder, "during", property(lambda _: die, lambda *_: None)),
    "when it is fetched": (cycle, "accept_file", die),
    "when it is in the spool": (Registrar, "register", die),
    "when it is registered": (pull, "finish_file", die),
    "when it is noted": (cycle, "accept_file", after(pull.accept_file)),
}
REMOVING: dict[str, tuple[Any, str, Any]] = {
    "before it is deleted": (Folder, "remove", die),
    "when it is deleted": (cycle, "mark", die),
}


def die_at(town: Town, step: tuple[Any, str, Any]) -> None:
    """Have a process of its own go through a cycle, and die at that step."""

    def go() -> None:
        setattr(*step)
        places.LEASE = timedelta(milliseconds=1)  # else the place would be the dead one's for a while
        with open_state(town.state.settings) as state:
            town.state = state
            town.sync()

    assert killed_in(go)


def has_come_once(town: Town) -> bool:
    town.process()
    [arrival] = town.arrivals()
    return (arrival.state, arrival.path, arrival.size) == ("processed", "county:/ecr.txt", len(FILE))


@pytest.mark.parametrize("step", BRINGING)
def test_who_is_killed_while_a_file_is_brought_brings_it_once(town: Town, step: str) -> None:
    file = town.folders["county"].put("/ecr.txt", FILE)
    town.profile("court", "nightly", delete_after=True)
    die_at(town, BRINGING[step])
    assert file.exists()
    town.sync()
    assert has_come_once(town)
    town.sync()
    assert not file.exists()
    assert has_come_once(town)
    assert not list(town.state.settings.sync.iterdir())


@pytest.mark.parametrize("step", REMOVING)
def test_who_is_killed_while_a_file_is_deleted_deletes_it_and_no_other(town: Town, step: str) -> None:
    county = town.folders["county"]
    file = county.put("/ecr.txt", FILE)
    town.profile("court", "nightly", delete_after=True)
    town.sync()
    assert has_come_once(town)
    die_at(town, REMOVING[step])
    [run] = town.sync()
    assert (run.error, file.exists(), has_come_once(town)) == (None, False, True)
    county.put("/ecr.txt", ecr(ecr_row(1)), 5.0)
    town.sync()
    assert [arrival.size for arrival in town.arrivals()] == [len(FILE), len(ecr(ecr_row(1)))]
    assert file.exists(), "it has not been processed yet"
