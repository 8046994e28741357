"""What a worker does when the database goes away under it or a file kills it, and which file it takes first."""

import errno
import io
import json
import os
import signal
import threading
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
import structlog
from sqlalchemy import update

from ingest import inbox
from ingest.arrival import Arrival
from server import app, worker
from server.checkup import examine
from server.clock import new_id, now
from server.corrections import undo_upload
from server.errors import AppError, Code
from server.intake.archive import Archive
from server.intake.register import TASK, Registrar
from server.intake.spool import Manifest
from server.logs import Log, open_log
from server.queue.local import jobs
from server.services.provision import create_agency
from server.state import State, open_state
from server.sync.profiles import create_profile, edit_profile
from server.worker import work, work_once
from tests.acceptance.court import ecr, ecr_row

LOG = structlog.wrap_logger(structlog.ReturnLogger())


@pytest.fixture
def home(state: State) -> Path:
    """That of an agency with a profile."""
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "court", "court", "America/New_York", False)
        create_profile(conn, "court", "nightly", "odyssey-ecr")
    return state.settings.home("court")


def send(
    state: State, home: Path, content: bytes, name: str = "ecr.txt", ago: int = 0, agency: str = "court"
) -> Manifest:
    """The door has a whole file in the spool, since so many seconds, and has not told of it yet."""
    file, at = home / "upload" / name, now() - timedelta(seconds=ago)
    file.unlink(missing_ok=True)
    file.write_bytes(content)
    with file.open("rb") as opened:
        status = os.fstat(opened.fileno())
        place = {"dev": status.st_dev, "ino": status.st_ino, "mtime_ns": status.st_mtime_ns}
        sent = Manifest(new_id(at), agency, f"/upload/{name}", status.st_size, "sftp", None, None, at, at, at, **place)
        state.spool.accept_link(sent, opened.fileno())
    return sent


def registrar(state: State) -> Registrar:
    return Registrar(state.database, state.queue, LOG)


def processed(state: State) -> list[str]:
    """The arrivals of which uploads were made, in the order of these."""
    while work_once(state, LOG, "worker"):
        pass
    with state.database.reading() as conn:
        return [upload.arrival_id for upload in reversed(inbox.list_uploads(conn))]


@pytest.mark.parametrize(("part", "call"), [("database", "writing"), ("queue", "enqueue_all")])
def test_a_file_of_which_the_door_could_not_tell_goes_before_those_that_came_later(
    state: State, home: Path, part: str, call: str
) -> None:
    old = send(state, home, ecr(ecr_row(1, judge="Old, O.")), ago=1)
    with patch.object(type(getattr(state, part)), call, side_effect=AppError(Code.UNAVAILABLE, "It is away.")):
        registrar(state).received([old])
    new = send(state, home, ecr(ecr_row(1, judge="New, N.")))
    registrar(state).received([new])
    assert processed(state) == [old.id, new.id]


def test_a_file_that_another_process_registers_late_goes_first(state: State, home: Path) -> None:
    old, new = (send(state, home, ecr(ecr_row(1, judge=f"J{ago}, J.")), ago=ago) for ago in (1, 0))
    registrar(state).received([new])
    registrar(state).received([old])
    assert processed(state) == [old.id, new.id]


def test_a_parked_file_holds_up_none_that_came_later(state: State, home: Path) -> None:
    old, new = (send(state, home, ecr(ecr_row(1, judge=f"J{ago}, J.")), ago=ago) for ago in (1, 0))
    registrar(state).received([old])
    job = state.queue.claim("worker", 60)
    assert job
    state.queue.bury(job, "internal")
    registrar(state).received([new])
    assert processed(state) == [new.id]


def die_over(state: State, doomed: str, name: str) -> int:
    """Another process works under that name until the system kills it over a file, or nothing is left to do."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    settle = worker._settle_one

    def settled(own: State, log: Log, arrival_id: str) -> None:
        if arrival_id == doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        settle(own, log, arrival_id)

    status = 1
    try:
        with patch.object(worker, "_settle_one", settled), open_state(state.settings) as own:
            own.queue.release(name)
            while work_once(own, LOG, name):
                pass
        status = 0
    finally:
        os._exit(status)


def test_a_file_over_which_workers_die_is_parked_and_others_go_first(state: State, home: Path) -> None:
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "other", "other", "America/New_York", False)
        create_profile(conn, "other", "nightly", "odyssey-ecr")
    doomed = send(state, home, ecr(ecr_row(1)), ago=3)
    good = send(state, state.settings.home("other"), ecr(ecr_row(1)), ago=2, agency="other")
    behind = send(state, home, ecr(ecr_row(2)), ago=1)
    registrar(state).received([doomed, good, behind])
    statuses = [die_over(state, doomed.id, "worker-0") for _ in range(worker.ATTEMPTS + 1)]
    assert statuses == [signal.SIGKILL] * worker.ATTEMPTS + [0]
    [(job, reason)] = state.queue.dead()
    assert (job.subject, reason) == (doomed.id, "internal: 5 workers died over it")
    assert processed(state) == [good.id, behind.id]
    assert list((home / "download" / "receipts").glob(f"*{doomed.id}.receipt.txt")), "and the court is told"


def test_a_file_is_taken_though_workers_die_over_one_that_is_to_be_taken_before_it(state: State, home: Path) -> None:
    good, doomed = (send(state, home, ecr(ecr_row(ago)), ago=ago) for ago in (2, 1))
    registrar(state).received([good, doomed])

    def before(conn: object, arrival: Arrival) -> list[str]:
        return [doomed.id] if arrival.id == good.id else []

    with patch.object(inbox, "taken_before", before):
        for _ in range(worker.ATTEMPTS - 1):
            die_over(state, doomed.id, "worker-0")
        state.queue.release("worker-0")
        assert work_once(state, LOG, "worker-0")
    with state.database.reading() as conn:
        assert [upload.arrival_id for upload in inbox.list_uploads(conn)] == [good.id]


def make_due(state: State) -> None:
    with state.database.writing() as conn:
        conn.execute(update(jobs).where(jobs.c.state == "queued").values(due_at=now()))


def receipts_in_the_way(home: Path) -> Path:
    """The court has a file where its receipts belong."""
    folder = home / "download" / "receipts"
    if folder.exists():
        folder.rmdir()
    folder.write_text("mine")
    return folder


def test_an_answer_that_cannot_be_given_holds_up_no_file(state: State, home: Path) -> None:
    folder = receipts_in_the_way(home)
    sent = [send(state, home, ecr(ecr_row(1, f"03/1{ago}/2026")), ago=ago) for ago in (3, 2, 1)]
    registrar(state).received(sent)
    assert processed(state) == [one.id for one in sent]
    for _ in range(6):
        make_due(state)
        processed(state)
    told = [finding.sentence for finding in examine(state) if finding.subject == "job"]
    assert len(told) == 3
    assert all("tries (conflict: /download/receipts is not a folder.)" in sentence for sentence in told)
    folder.unlink()
    make_due(state)
    processed(state)
    assert len(list(folder.glob("*.receipt.json"))) == 3
    assert not state.queue.struggling(0)


def test_a_notice_that_cannot_be_given_holds_up_no_file(state: State, home: Path) -> None:
    receipts_in_the_way(home)
    with state.database.writing() as conn:
        edit_profile(conn, "court", "nightly", {"keyword": "ecr"})
    sent = [send(state, home, ecr(ecr_row(1)), name, ago) for name, ago in (("other.txt", 2), ("ecr.txt", 1))]
    registrar(state).received(sent)
    assert processed(state) == [sent[1].id]


def test_a_job_that_has_left_its_lane_returns_to_it_to_process_a_file(state: State, home: Path) -> None:
    sent = [send(state, home, ecr(ecr_row(1, judge=f"J{ago}, J.")), ago=ago) for ago in (2, 1)]
    state.queue.enqueue(TASK, sent[1].id)
    registrar(state).received(sent)
    assert processed(state) == [one.id for one in sent]


def test_a_file_that_is_undone_while_it_is_answered_is_told_so(state: State, home: Path) -> None:
    sent, keep, undone = send(state, home, ecr(ecr_row(1))), Archive.keep, list[str]()

    def kept(archive: Archive, source: Path, sha256: str | None) -> str | None:
        if not undone:
            with state.database.reading() as conn:
                undone.extend(upload.id for upload in inbox.list_uploads(conn))
            undo_upload(state, undone[0])
        return keep(archive, source, sha256)

    registrar(state).received([sent])
    busy = AppError(Code.UNAVAILABLE, "The receipts folder cannot be opened.")
    with patch.object(Archive, "keep", kept), patch("server.corrections.drop_receipt", side_effect=busy):
        processed(state)
    [receipt] = (home / "download" / "receipts").glob("*.receipt.json")
    assert json.loads(receipt.read_text())["status"] == "undone"
    with state.database.reading() as conn:
        assert not inbox.unanswered(conn)


def test_an_unmatched_file_is_found_again_whenever_its_worker_died(state: State, home: Path) -> None:
    with state.database.writing() as conn:
        edit_profile(conn, "court", "nightly", {"keyword": "other"})
    sent = send(state, home, ecr(ecr_row(1)))
    registrar(state).received([sent])
    with patch.object(inbox, "note_content", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        work_once(state, LOG, "worker")
    state.queue.release("worker")
    assert processed(state) == []
    with state.database.writing() as conn:
        edit_profile(conn, "court", "nightly", {"keyword": "ecr"})
        arrival = inbox.match_again(conn, sent.id)
    state.queue.enqueue(TASK, sent.id, lane=arrival.agency_id)
    assert processed(state) == [sent.id]


@pytest.mark.parametrize("step", [(worker, "ingest"), (Archive, "keep")])
def test_a_disk_that_is_full_parks_nothing_and_has_the_court_told_nothing(
    state: State, home: Path, step: tuple[object, str]
) -> None:
    sent = send(state, home, ecr(ecr_row(1)))
    registrar(state).received([sent])
    with patch.object(*step, side_effect=OSError(errno.ENOSPC, "No space left on device")):
        for _ in range(worker.ATTEMPTS + 1):
            processed(state)
            make_due(state)
    assert state.queue.dead() == []
    assert processed(state) == [sent.id]
    assert not list((home / "download" / "receipts").glob(f"*.{sent.id}.*"))


def test_a_file_whose_answer_fails_is_not_called_stuck(state: State, home: Path) -> None:
    sent = send(state, home, ecr(ecr_row(1)))
    registrar(state).received([sent])
    with patch.object(Archive, "keep", side_effect=OSError(errno.EIO, "Input/output error")):
        for _ in range(worker.ATTEMPTS):
            processed(state)
            make_due(state)
    assert [job.subject for job, _ in state.queue.dead()] == [sent.id]
    assert not list((home / "download" / "receipts").glob(f"*.{sent.id}.*"))


def test_a_job_that_could_not_be_finished_is_given_back_as_soon_as_the_database_is_there(state: State) -> None:
    state.queue.enqueue("ingest", "nothing of that name")
    stopping, away = threading.Event(), AppError(Code.UNAVAILABLE, "The database server does not answer.")
    finish = type(state.queue).finish
    tries: list[int] = []

    def finished(queue: object, job: object) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise away
        finish(queue, job)  # type: ignore[arg-type]
        stopping.set()

    with patch.object(type(state.queue), "finish", finished), patch("server.worker.FIRST_WAIT", 0.01):
        thread = threading.Thread(target=work, args=(state, open_log("error", io.StringIO()), "worker-0", stopping))
        thread.start()
        thread.join(20)
    stopping.set()
    assert tries == [1, 1]
    assert state.queue.claim("another", 60) is None, "it is done"


def test_the_queue_keeps_the_name_of_a_worker_on_a_machine_with_a_long_one(state: State) -> None:
    state.queue.enqueue("ingest", "a file")
    with patch("socket.gethostname", return_value="h" * 55 + "-pod-7f9"):
        name = app._worker_name(app.Child(lifeline_fd=0, number=63))
    assert name.endswith("-pod-7f9-worker-63"), "the end tells machines apart"
    assert state.queue.claim(name, 60)
    assert state.queue.release(name) == 1
