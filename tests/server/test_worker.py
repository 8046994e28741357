"""What a worker does when the database goes away under it."""

import io
import threading
from unittest.mock import patch

from server import app
from server.errors import AppError, Code
from server.logs import open_log
from server.state import State
from server.worker import work


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
        worker = threading.Thread(target=work, args=(state, open_log("error", io.StringIO()), "worker-0", stopping))
        worker.start()
        worker.join(20)
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
