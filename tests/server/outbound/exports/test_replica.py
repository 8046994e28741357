"""Whoever takes over file by file has in the end what the agency has: nothing that happens to records goes untold."""

import random
from contextlib import suppress

import pytest

from ingest import inbox
from ingest.answer import Upload
from ingest.errors import IngestError
from server.outbound.exports.store import Export
from tests.ingest.court import ecr, row
from tests.server.outbound.exports.conftest import Office
from tests.server.outbound.exports.test_race import tell

OTHERS = {"client", "last_name", "first_name", "case", "parties"}
"""What is told of a record and belongs to another one, by dataset that has it as its own."""
DATASETS = ("clients", "contacts", "cases", "events", "parties")

Replica = dict[str, dict[str, str]]


def some_rows(choice: random.Random) -> bytes:
    rows = [
        row(
            str(person),
            f"CR-{choice.randint(1, 3)}",
            date=choice.choice(["04/16/2026", "04/17/2026"]),
            status=choice.choice(["Scheduled", "Cancelled"]),
            last=choice.choice(["Alder", "Birch"]),
            role=choice.choice(["Defendant", "Witness"]),
            phone=choice.choice(["", "404-555-0101", "404-555-0102"]),
        )
        for person in choice.sample(range(1, 6), choice.randint(1, 4))
    ]
    return ecr(*rows)


def own(dataset: str, record: dict[str, str]) -> dict[str, str]:
    names = OTHERS - {"last_name", "first_name"} if dataset == "clients" else OTHERS
    return {name: value for name, value in record.items() if name not in names}


@pytest.mark.sqlite_only
@pytest.mark.parametrize("seed", range(3))
def test_files_taken_over_one_by_one_give_what_there_is(office: Office, seed: int) -> None:
    choice = random.Random(seed)
    exports = {dataset: office.export(dataset) for dataset in DATASETS}
    replicas: dict[str, Replica] = {dataset: {} for dataset in DATASETS}
    uploads: list[Upload] = []
    for step in range(12):
        what = choice.choice(["push", "whole", "undo", "tell", "tell"])
        if what in ("push", "whole"):
            folder = "/upload/whole" if what == "whole" else "/upload"
            uploads.append(office.push(some_rows(choice), f"{folder}/{step}.txt"))
        elif what == "undo" and uploads:
            with suppress(IngestError):  # a duplicate, or one that later ones have built on
                office.undo(uploads.pop())
        else:
            take_over(office, exports, replicas, step)
    for step, folder in ((90, "/upload/whole"), (95, "/upload")):
        take_over(office, exports, replicas, step)
        upload = office.push(some_rows(choice), f"{folder}/last.txt")
        take_over(office, exports, replicas, step + 1)
        office.undo(upload)
    take_over(office, exports, replicas, 99)
    for dataset, export in exports.items():
        rows = tell(office, export, 100, whole=True)
        whole = {each["id"]: own(dataset, each) for each in rows if each["record_state"] != "removed"}
        assert {id_: own(dataset, each) for id_, each in replicas[dataset].items()} == whole


def take_over(office: Office, exports: dict[str, Export], replicas: dict[str, Replica], number: int) -> None:
    for dataset, export in exports.items():
        for each in tell(office, export, number):
            if each["record_state"] == "removed":
                assert replicas[dataset].pop(each["id"])
            else:
                replicas[dataset][each["id"]] = each


def test_the_datasets_are_all_kinds_of_records() -> None:
    assert {*DATASETS, "payments"} == set(inbox.TOLD)
