"""The whole process dies in mid-upload (kill -9): its uploads are torn, what it had accepted is there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import paramiko
import pytest

from server.intake.entry import State
from server.intake.journal import Journal
from server.intake.spool import Spool
from server.settings import Settings
from tests.server.sftp.conftest import wait_until
from tests.server.sftp.rawclient import RawClient

SERVE = """
import asyncio, socket, sys
from pathlib import Path
import structlog
from server.intake.journal import Journal
from server.intake.spool import Spool
from server.settings import Settings
from server.sftp import Account, Door

settings = Settings(data=Path(sys.argv[1]), settle=0)

class Everybody:
    async def admit(self, username, credential):
        return Account("id", username, settings.home(username))
    async def stamp(self):
        return 0
    async def host_keys(self):
        return [Path(sys.argv[2]).read_bytes()]
    def takes_password(self, username):
        return False
    def used(self, username, credential, address, client): pass
    def fetched(self, username, session, client, path, size): pass

class Nobody:
    def received(self, manifests): pass
    def torn(self, entry): pass
    def removed(self, entry): pass
    def renamed(self, agency, files): pass

async def main():
    journal, spool = Journal(settings.spool / "receiving"), Spool(settings.spool)
    keys, log = [Path(sys.argv[2]).read_bytes()], structlog.get_logger()
    door = Door(settings, Everybody(), Nobody(), spool, journal, keys, log)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    await door.start(sock)
    Path(sys.argv[3]).write_text(str(door.port))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("attempt", range(3))
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, keys: Path, attempt: int) -> None:
    settings, port = Settings(data=tmp_path / "data"), tmp_path / "port"
    command = [sys.executable, "-c", SERVE, settings.data, keys / "host_ed25519", port]
    with (tmp_path / "out").open("w") as out:
        server = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out)
    try:
        wait_until(lambda: port.exists() and bool(port.read_text()), "the server to listen", 30)
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect("127.0.0.1", int(port.read_text()), "court", key_filename=str(keys / "id"), allow_agent=False)
        raw = RawClient(client)
        raw.put("/upload/whole.csv", b"12345")
        raw.put("/upload/held.csv.filepart", b"12345")
        raw.write(raw.open("/upload/torn.csv"), 0, b"12345")
        for number in range(attempt * 3):
            raw.put(f"/upload/{number}.csv", b"more")
        raw.send_write(raw.open("/upload/racing.csv"), 0, b"12345")
        time.sleep(0.005 * attempt)
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait(10)
    journal, spool = Journal(settings.spool / "receiving"), Spool(settings.spool)
    waiting = journal.torn(settings.agencies)
    torn = [entry for entry in waiting if entry.state is State.TORN]
    assert {entry.path for entry in torn} == {"/upload/torn.csv", "/upload/racing.csv"}
    (held,) = [entry for entry in waiting if entry.state is State.HELD]
    assert held.path == "/upload/held.csv.filepart"
    accepted = {manifest.path: spool.data_path(manifest.id).read_bytes() for manifest in spool.all()}
    assert accepted == {
        "/upload/whole.csv": b"12345",
        **{f"/upload/{number}.csv": b"more" for number in range(attempt * 3)},
    }
    client.close()
