"""Whose files go where once a profile is added: told to whoever adds it."""

import pytest

from ingest.errors import IngestError
from ingest.inbox.rules import overlap, refuse_unfit
from server.sync.overlap import tell_overlaps
from server.sync.profiles import edit_profile
from tests.server.sync.conftest import Town

PAIRS = [
    (None, "ecr", True),
    ("ecr", "ecr_civil", True),
    ("ecr", "civil", False),
    ("ecr", "glob:*.txt", True),
    ("ecr", "glob:jail_?.csv", False),
    ("glob:ecr_*", "glob:*.txt", True),
    ("re:^x", "civil", True),
]


@pytest.mark.parametrize(("one", "two", "both"), PAIRS, ids=[f"{one}-{two}" for one, two, _ in PAIRS])
def test_which_keywords_fit_one_name(one: str | None, two: str | None, both: bool) -> None:
    assert overlap(one, two) == overlap(two, one) == both


def test_a_bracket_that_is_not_closed_is_refused() -> None:
    for text in ("glob:[", "glob:ecr_[a-c.txt", "glob:[]"):
        with pytest.raises(IngestError, match="without its"):
            refuse_unfit(text, "keyword")
    for text in ("glob:[[]*", "glob:[a-c]*", "glob:[!]]*", "["):
        refuse_unfit(text, "keyword")


def test_files_that_go_to_another_profile_are_told(town: Town) -> None:
    town.agency("other")
    every = town.profile("other", "all")
    with town.state.database.writing() as conn:
        assert tell_overlaps(conn, every) == []
    mine = town.profile("court", "ecr", keyword="ecr", auto_sync=False)
    other = town.profile("other", "far", keyword="ecr", directory="/far")
    with town.state.database.writing() as conn:
        assert tell_overlaps(conn, other) == []
        [off] = tell_overlaps(conn, mine)
        on = edit_profile(conn, "court", "ecr", {"auto_sync": True})
        [told] = tell_overlaps(conn, on, mine)
        [lost] = tell_overlaps(conn, every)
        assert tell_overlaps(conn, on, on) == []
    assert off.startswith("Files that other/all takes whose names fit 'ecr' are nobody's while its Auto-Sync is off")
    assert told.startswith("Files that other/all takes whose names fit 'ecr' come here")
    assert lost.startswith("Files whose names fit 'ecr' go to court/ecr, not here")
