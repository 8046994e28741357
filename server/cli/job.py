"""A job that a person waits for: done by the command itself, unless a running server is faster."""

import time

from ingest import inbox
from ingest.answer import Upload
from server.clock import new_id
from server.errors import AppError, Code
from server.logs import Log
from server.state import State

PATIENCE = 600.0  # seconds to wait for a running server's worker that has taken the job first


def settled(state: State, log: Log, arrival_id: str) -> Upload:
    """Do the arrival's job here, unless a running server's worker was faster: then wait for it. Its upload.

    Raises `AppError` unavailable if it takes too long.
    """
    from server.worker import work_once  # the engine takes seconds to import: the other commands do without

    until, name = time.monotonic() + PATIENCE, f"cli-{new_id()}"
    while time.monotonic() < until:
        # Files of the agency that came before go first; without a server running, nobody else would do them.
        work_once(state, log, name, arrival_id) or work_once(state, log, name)
        with state.database.reading() as conn:
            arrival = inbox.find_arrival(conn, arrival_id)
            upload = inbox.find_upload(conn, arrival.upload_id or "") if arrival else None
        if upload is not None:
            return upload
        time.sleep(0.1)
    raise AppError(
        Code.UNAVAILABLE, "The file was accepted but is not processed yet.", "See it later with: dropslot arrival list"
    )
