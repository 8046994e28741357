"""Many servers at once: dead, slow and failing ones keep nobody waiting."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest

from server.clock import new_id, now
from server.remotes.port import Remote
from server.remotes.server import Kind, Server
from server.remotes.store import add_server
from server.state import State
from server.sync.plan import Place
from server.sync.profiles import create_profile
from server.sync.rounds import SyncRounds
from server.sync.runs import Run, list_runs
from server.sync.syncer import Syncer
from tests.acceptance.court import ecr, ecr_row
from tests.server.sync.conftest import Folder, Town

FILE = ecr(ecr_row(1))
SERVERS, DEAD = 200, 20


@pytest.mark.timeout(110)
def test_twenty_dead_of_two_hundred_servers_delay_no_other(town: Town) -> None:
    """The dead accept and never answer, as a firewall with a full table does; each is reached by a real client."""
    with socket.create_server(("127.0.0.1", 0), backlog=DEAD * 2) as dead:
        port = dead.getsockname()[1]
        _fill(town.state, port)
        good = Folder(town.tmp / "good")
        for number in range(SERVERS - DEAD):
            good.put(f"/{number}/ecr.txt", FILE)

        @asynccontextmanager
        async def reach(place: Place) -> AsyncIterator[Remote]:
            if place.server.port == port:
                async with asyncssh.connect("127.0.0.1", port, known_hosts=None, username="x", login_timeout=30):
                    raise AssertionError("nobody is there")
            await asyncio.sleep(0.05)
            yield good

        stopping = threading.Event()
        rounds = SyncRounds(town.state, town.log, Syncer(town.state, town.log, reach))
        thread = threading.Thread(target=rounds.walk, args=(stopping,))
        began = time.monotonic()
        thread.start()
        try:
            while town.arrivals_count() < SERVERS - DEAD:
                assert time.monotonic() - began < 60, town.arrivals_count()
                time.sleep(0.1)
            took = time.monotonic() - began
            while len(_runs(town.state)) < SERVERS:
                assert time.monotonic() - began < 90
                time.sleep(0.1)
        finally:
            stopping.set()
            thread.join(20)
    print(f"the cycles of {SERVERS - DEAD} servers ended after {took:.1f} s, those of {DEAD} dead ones were given up")
    runs = _runs(town.state)
    assert [run.error for run in runs if not run.took and "answer" not in str(run.error)] == []
    assert len([run for run in runs if run.took == 1]) == SERVERS - DEAD
    assert {run.code for run in runs if not run.took} == {"unavailable"}


def _runs(state: State) -> list[Run]:
    with state.database.reading() as conn:
        return list_runs(conn, limit=1000)


def _fill(state: State, dead_port: int) -> None:
    with state.database.writing() as conn:
        for number in range(SERVERS):
            port = dead_port if number >= SERVERS - DEAD else 22
            server = Server(new_id(), f"s{number}", Kind.SFTP, now(), host="127.0.0.1", port=port, timeout=2.0)
            add_server(conn, server)
            terms = {"server": server.name, "directory": f"/{number}", "auto_sync": True}
            create_profile(conn, "court", f"p{number}", "odyssey-ecr", **terms)
