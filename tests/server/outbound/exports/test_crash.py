"""kill -9 between any two steps of a run: one file for each slot, nothing lost and nothing told twice."""

import os
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from server.outbound.exports import place, rounds, run
from server.outbound.exports.rounds import ExportRounds
from server.state import open_state
from tests.ingest.court import ecr, row
from tests.server.dying import after, die, killed_in
from tests.server.outbound.exports.conftest import Office


def half(_path: object, _form: object, columns: object, rows: Any) -> NoReturn:
    """Begin the file, then die."""
    next(iter(rows))
    die()


STEPS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "after the claim": (run, "_make", die),
    "while the file is made": (run, "write_table", half),
    "before the file is durable": (run, "hash_file", die),
    "before the run is kept": (run, "_keep", die),
    "in the transaction that keeps it": (run, "keep_export", after(run.keep_export)),
    "after the run is kept": (run, "_keep", after(run._keep)),
    "before the file is copied": (place, "_copy", die),
    "before the copy has its name": (place, "_give_name", die),
    "after the copy has its name": (place, "_give_name", after(place._give_name)),
    "before it is told": (run, "mark_run", die),
    "after it is told": (rounds, "deliver", after(rounds.deliver)),
}


def die_at(office: Office, step: str) -> None:
    """Have a process of its own walk a round, and die at that step."""

    def walk() -> None:
        module, name, dying = STEPS[step]
        setattr(module, name, dying)
        with open_state(office.state.settings) as state:
            ExportRounds(state, office.rounds._log).round(office.at)

    assert killed_in(walk), step


@pytest.mark.parametrize("step", STEPS)
def test_each_slot_has_one_file_and_each_record_is_told_once(office: Office, step: str) -> None:
    office.push(ecr(row("1")))
    export = office.export()
    office.at += office.at.replace(day=3) - office.at
    die_at(office, step)
    assert len(office.files()) <= 1 if office.folder.exists() else True
    office.push(ecr(row("1"), row("2", "CR-2")))
    office.restart()
    office.go(seconds=5)
    office.go(seconds=5)
    assert len(office.files()) == 1
    office.go(days=1)
    assert len(office.runs(export)) == len(office.files()) == 2
    told = [each["reference"] for name in office.files() for each in office.rows(name)]
    assert sorted(told) == ["1", "2"]
    assert [name for name in os.listdir(office.folder) if name.startswith(".")] == []
