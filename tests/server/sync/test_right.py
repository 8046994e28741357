"""Whose a file is: directories in every spelling, what is blocked, what another agency has taken already."""

import pytest
from sqlalchemy import update

from ingest.tables import profiles
from server.agencies import list_agencies
from server.clock import new_id, now
from server.errors import AppError
from server.remotes.server import Kind, Server
from server.remotes.store import add_server
from tests.acceptance.court import ecr, ecr_row
from tests.server.sync.conftest import Town

FILE = ecr(ecr_row(1))


def owners(town: Town) -> list[tuple[str, str]]:
    with town.state.database.reading() as conn:
        slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
    return [(arrival.name, slugs[arrival.agency_id]) for arrival in town.arrivals()]


@pytest.mark.parametrize("directory", ["/out/.", "//out", "/out//", "/OUT"], ids=["dot", "top", "end", "capitals"])
def test_a_tie_is_seen_however_the_directory_is_spelt(town: Town, directory: str) -> None:
    town.agency("other")
    town.profile("court", "a", directory="/out")
    with pytest.raises(AppError, match="The profile a of the agency court takes the same files of /out"):
        town.profile("other", "b", directory=directory)


@pytest.mark.parametrize("directory", ["/out/.", "//out", "/Out"], ids=["dot", "top", "capitals"])
def test_a_report_does_not_come_back_however_its_directory_is_spelt(town: Town, directory: str) -> None:
    town.agency("other")
    town.profile("court", "a", directory="/out")
    with pytest.raises(AppError, match="would be taken for files of a"):
        town.profile("other", "b", directory="/x", report="contacts", report_directory=directory)


def test_a_row_of_an_earlier_version_is_read_in_the_one_spelling(town: Town) -> None:
    town.agency("other")
    town.folders["county"].put("/out/ecr.txt", FILE)
    old = town.profile("court", "a", directory="/other")
    with town.state.database.writing() as conn:
        conn.execute(update(profiles).where(profiles.c.id == old.id).values(directory="//out/."))
    with pytest.raises(AppError, match="takes the same files"):
        town.profile("other", "b", directory="/out")
    [run] = town.sync()
    assert run.took == 1


def test_what_the_most_specific_profile_blocks_is_no_other_agencys(town: Town) -> None:
    town.agency("other")
    town.folders["county"].put("/civil_ecr_sealed.txt", FILE)
    town.profile("court", "civil", keyword="civil_ecr", blockword="sealed")
    town.profile("other", "all")
    town.sync()
    assert owners(town) == []
    town.profile("court", "sealed", keyword="sealed")
    town.sync()
    assert owners(town) == [("civil_ecr_sealed.txt", "court")]


def test_what_one_agency_has_taken_is_not_taken_by_another_one_that_names_it_later(town: Town) -> None:
    town.agency("other")
    county = town.folders["county"]
    county.put("/civil_ecr.txt", FILE)
    town.profile("court", "civil")
    town.sync()
    town.profile("other", "mine", keyword="civil")
    runs = town.sync()
    assert owners(town) == [("civil_ecr.txt", "court")]
    assert [note.why for run in runs for note in run.files] == ["Another agency has taken it already."]
    county.put("/civil_ecr.txt", FILE, 5.0)
    town.sync()
    assert owners(town)[1:] == [("civil_ecr.txt", "other")]


def test_what_was_registered_and_not_noted_is_not_taken_by_another_agency_either(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    import server.sync.pull as pull

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    town.agency("other")
    town.folders["county"].put("/civil_ecr.txt", FILE)
    town.profile("court", "civil")
    monkeypatch.setattr(pull, "finish_file", die)
    town.sync()
    monkeypatch.undo()
    town.profile("other", "mine", keyword="civil")
    town.sync()
    assert owners(town) == [("civil_ecr.txt", "court")]


def test_a_profile_on_our_own_endpoint_under_another_name_is_refused(town: Town) -> None:
    with town.state.database.writing() as conn:
        add_server(conn, Server(new_id(), "civil-only", Kind.MANAGED, now(), directory="/upload/civil"))
    with pytest.raises(AppError, match="civil-only is our own endpoint under another name"):
        town.profile("court", "p", server="civil-only", directory="/upload/x")
