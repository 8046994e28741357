"""Profiles on any server: what is refused when they are set up, and what is copied to another agency."""

from typing import Any

import pytest

from ingest import inbox
from ingest.errors import IngestError
from server.errors import AppError
from server.services.promotion import compare, promote
from server.sync.profiles import edit_profile, refuse_unfit
from tests.server.sync.conftest import Town


def test_a_profile_on_another_server_begins_at_its_top_with_its_auto_sync_off(town: Town) -> None:
    from server.sync.profiles import create_profile

    with town.state.database.writing() as conn:
        remote = create_profile(conn, "court", "remote", "odyssey-ecr", server="county")
        own = create_profile(conn, "court", "own", "odyssey-ecr")
        managed = create_profile(conn, "court", "civil", "odyssey-ecr", server="managed", keyword="civil")
    assert (remote.directory, remote.auto_sync) == ("/", False)
    assert (own.directory, own.auto_sync, own.server_id) == ("/upload", True, None)
    assert (managed.server_id, managed.auto_sync) == (None, True)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cycle": "sometimes"}, "says no time"),
    ({"cycle": "every 0 minutes"}, "out of range"),
    ({"cycle": "daily at 25:00"}, "no time"),
    ({"expected": "soon"}, "says no time"),
    ({"server": "nowhere"}, "no server 'nowhere'"),
    ({"server": "theirs"}, "another agency's"),
    ({"server": "managed", "directory": "/download"}, "must be /upload"),
    ({"server": "managed", "directory": "/upload", "report": "contacts", "report_directory": "/upload/x"}, "/upload"),
    ({"report": "contacts"}, "a directory"),
    ({"report_directory": "/x"}, "a report"),
    ({"report": "nonsense", "report_directory": "/x"}, "nonsense"),
    ({"report": "contacts", "report_directory": "/new"}, "would be taken for files"),
    ({"report": "contacts", "report_directory": "/"}, "would be taken for files"),
    ({"directory": "/", "keyword": "ECR"}, "The profile ecr takes the same files"),
    ({"order": "random"}, "no order random"),
    ({"report_format": "pdf"}, "cannot be written as pdf"),
]


def test_what_cannot_be_is_refused_with_a_sentence(town: Town) -> None:
    other = town.agency("other")
    town.server("theirs", agency_id=other)
    town.profile("court", "ecr", keyword="ecr")
    for terms, sentence in REFUSED:
        with pytest.raises((AppError, IngestError), match=sentence):
            town.profile("court", "new", **{"directory": "/new", **terms})
    with town.state.database.reading() as conn:
        assert [one.name for one in inbox.list_profiles(conn, town.court)] == ["ecr"]


def test_a_tie_is_refused_across_agencies_and_named_and_on_switching_on(town: Town) -> None:
    town.agency("other")
    town.profile("other", "nightly", keyword="ecr")
    with pytest.raises(AppError, match="The profile nightly of the agency other takes the same files of /"):
        town.profile("court", "ecr", keyword="ecr")
    town.profile("court", "ecr", keyword="ecr", auto_sync=False)
    with town.state.database.writing() as conn, pytest.raises(AppError, match="nightly of the agency other"):
        edit_profile(conn, "court", "ecr", {"auto_sync": True})


def test_times_are_kept_in_one_form(town: Town) -> None:
    for given, kept in (
        ("every 60 minutes", "hourly"),
        ("EVERY 15m", "every 15 minutes"),
        ("06:00", "daily at 06:00"),
        ("weekly monday,Thu 6:30", "weekly mon,thu at 06:30"),
        ("monthly 1 at 06:00", "monthly 1 at 06:00"),
    ):
        profile = town.profile("court", kept, directory=f"/{kept}", cycle=given)
        assert profile.cycle == kept


def test_promotion_copies_all_but_the_switch_of_another_server(town: Town) -> None:
    town.agency("live")
    terms = {"keyword": "ecr", "cycle": "daily at 06:00", "delete_after": True, "order": "name", "expected": "07:00"}
    tried = town.profile("court", "nightly", **terms)
    with town.state.database.writing() as conn:
        promote(conn, "court", "live", compare(conn, "court", "live"))
        refuse_unfit(conn, "live", ["nightly"])
        assert not compare(conn, "court", "live")
        [copied] = inbox.list_profiles(conn, inbox.list_profiles(conn, town.agencies["live"])[0].agency_id)
    names = ("server_id", "cycle", "delete_after", "order", "expected", "keyword", "directory")
    assert [getattr(copied, name) for name in names] == [getattr(tried, name) for name in names]
    assert not copied.auto_sync
    with town.state.database.writing() as conn:
        edit_profile(conn, "court", "nightly", {"auto_sync": False})
        assert edit_profile(conn, "live", "nightly", {"auto_sync": True}).auto_sync


def test_a_server_of_one_agency_cannot_be_promoted_to_another(town: Town) -> None:
    town.agency("live")
    town.server("own", agency_id=town.court)
    town.profile("court", "nightly", server="own")
    with town.state.database.writing() as conn:
        promote(conn, "court", "live", compare(conn, "court", "live"))
        with pytest.raises(AppError, match="The server own is another agency's"):
            refuse_unfit(conn, "live", ["nightly"])
