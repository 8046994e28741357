"""The scheduler goes on whatever fails, and does not fill the log with it."""

import errno
import io
import threading
from collections.abc import Callable
from typing import NoReturn

import pytest

from server.errors import AppError, Code
from server.inbound import rounds
from server.inbound.rounds import Rounds
from server.inbound.sweep import Swept
from server.logs import open_log
from server.services.provision import create_agency
from server.state import State


def away() -> AppError:
    return AppError(Code.UNAVAILABLE, "The database server does not answer.")


@pytest.mark.parametrize("error", [away, ZeroDivisionError], ids=["away", "bug"])
def test_what_fails_again_and_again_is_told_now_and_then(
    state: State, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    tries: list[int] = []

    def fail(*_: object) -> NoReturn:
        tries.append(1)
        raise error()

    monkeypatch.setattr(rounds, "sweep", fail)
    monkeypatch.setattr(rounds, "LOOK_EVERY", 0.01)
    said, stopping = io.StringIO(), threading.Event()
    walker = threading.Thread(target=Rounds(state, open_log("error", said)).walk, args=(stopping,))
    walker.start()
    stopping.wait(0.6)
    stopping.set()
    walker.join(3)
    assert not walker.is_alive(), "it stops at once"
    assert len(tries) == 1
    assert len(said.getvalue().splitlines()) == 1


def test_what_could_not_be_copied_is_tried_again_soon(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "gwinnett", "Gwinnett", "America/New_York", False)
    (state.settings.home("gwinnett") / "upload" / "ecr.csv").write_text("a")
    walked = Rounds(state, open_log("critical"))

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(type(state.spool), "accept_copy", full)
        walked.round(1000.0)
    walked.round(1000.0 + rounds.TRY_AGAIN - 1)
    assert list(state.spool.all()) == []
    walked.round(1000.0 + rounds.TRY_AGAIN)
    assert [manifest.path for manifest in state.spool.all()] == ["/upload/ecr.csv"]


@pytest.mark.parametrize("duty", ["reconcile", "delete_processed", "sweep"])
def test_a_duty_that_fails_keeps_no_other_from_being_done(
    state: State, monkeypatch: pytest.MonkeyPatch, duty: str
) -> None:
    done: list[str] = []

    def note(name: str) -> Callable[..., object]:
        def do(*_: object) -> object:
            done.append(name)
            return Swept([], 0) if name == "sweep" else []

        return do

    def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError

    duties = ("reconcile", "delete_processed", "sweep", "recount")
    for name in duties:
        monkeypatch.setattr(rounds, name, fail if name == duty else note(name))
    walked = Rounds(state, open_log("error", said := io.StringIO()))
    for again in range(3):
        walked.round(1000.0 + again * rounds.TRY_AGAIN)
    assert set(done) == set(duties) - {duty}
    assert said.getvalue().count("round failed") == 3, "and it is tried again"


def test_while_the_database_is_away_nothing_else_is_tried(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise away()

    monkeypatch.setattr(rounds, "reconcile", fail)
    monkeypatch.setattr(rounds, "sweep", lambda *_: pytest.fail("it is of no use"))
    with pytest.raises(AppError, match="does not answer"):
        Rounds(state, open_log("critical")).round(1000.0)
