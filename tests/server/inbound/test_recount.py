"""What an agency's uploads hold is counted anew with every sweep, whoever put or deleted files."""

import threading
from pathlib import Path

import pytest
import structlog

from server.agencies import set_quota
from server.inbound import rounds
from server.inbound.recount import recount
from server.inbound.rounds import Rounds
from server.intake.usage import Meter, Usage, ask_for_recount
from server.services.provision import create_agency
from server.state import State

LOG = structlog.wrap_logger(structlog.ReturnLogger())


@pytest.fixture
def court(state: State) -> Path:
    """The uploads of an agency with a quota; beside one without."""
    with state.database.writing() as conn:
        for slug in ("court", "other"):
            create_agency(conn, state.settings.agencies, slug, slug, "America/New_York", False)
        set_quota(conn, "court", 1000, None)
    return state.settings.home("court") / "upload"


def meter(state: State, slug: str = "court") -> Meter:
    return Meter(state.settings.run, slug, state.settings.home(slug) / "upload")


def test_agencies_with_a_quota_are_counted(state: State, court: Path) -> None:
    (court / "a.csv").write_bytes(b"12345")
    assert recount(state, LOG) == []
    assert meter(state).usage() == Usage(5, 1)
    assert [file.name for file in (state.settings.run / "quota").iterdir() if file.suffix != ".lock"] == ["court"]


def test_who_sends_just_now_is_counted_later(state: State, court: Path) -> None:
    walker = Rounds(state, LOG)
    (court / "a.csv").write_bytes(b"12345")
    with meter(state).joined():
        meter(state).take(100)
        (court / "a.csv").unlink()
        walker.round(1000.0)
        assert meter(state).usage() == Usage(105, 1)
    walker.round(1000.0 + rounds.RECOUNT_AGAIN / 2)
    assert meter(state).usage() == Usage(105, 1)
    walker.round(1000.0 + rounds.RECOUNT_AGAIN)
    assert meter(state).usage() == Usage(0, 0)


def test_what_a_dead_process_had_counted_is_counted_anew(state: State, court: Path) -> None:
    walker = Rounds(state, LOG)
    walker.round(1000.0)
    meter(state).take(100, 3)
    walker.round(1001.0)
    assert meter(state).usage() == Usage(100, 3), "not before the next sweep, when nobody asks"
    ask_for_recount(state.settings.run)
    walker.round(1001.5)
    assert meter(state).usage() == Usage(0, 0)
    meter(state).take(100, 3)
    walker.round(1002.0)
    assert meter(state).usage() == Usage(100, 3), "it was asked for once"


def test_what_an_operator_deletes_is_noticed(state: State, court: Path) -> None:
    (court / "a.csv").write_bytes(b"12345")
    stopping = threading.Event()
    walker = threading.Thread(target=Rounds(state, LOG).walk, args=(stopping,))
    walker.start()
    try:
        _wait_for(state, Usage(5, 1))
        (court / "a.csv").unlink()
        _wait_for(state, Usage(0, 0))
    finally:
        stopping.set()
        walker.join(20)


def _wait_for(state: State, usage: Usage) -> None:
    for _ in range(400):
        if meter(state).usage() == usage:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"counted are {meter(state).usage()}")
