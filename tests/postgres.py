"""A real PostgreSQL for tests: a server of this test process's own, on loopback, and a database for each test."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from server.db import migrate, open_database

PLACES = "/usr/lib/postgresql"
MEMORY, ROOM = "/dev/shm", 4 * 1024**3
UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")  # a test's data may go
SMALL = (
    *("shared_buffers=64MB", "max_wal_size=128MB", "min_wal_size=32MB", "max_connections=200"),
    *("unix_socket_directories=", "listen_addresses=127.0.0.1"),
)
TEMPLATE, OWNER = "template_dropslot", "dropslot"
# The user `guarded` needs a password, nobody else does.
ACCESS = "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"


def programs() -> Path:
    """The directory of PostgreSQL's programs; skips the test, loudly, where there are none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path(PLACES).glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name))
    if not versions:
        pytest.skip("PostgreSQL is not installed: NOTHING IS TESTED ON IT (apt-get install postgresql)")
    return versions[-1].parent


@dataclass
class Server:
    """A server on `port` of loopback, with its files in `folder`; the tables are in the database `TEMPLATE`."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    made: int = field(default=0)

    def url(self, database: str, user: str = OWNER) -> str:
        """The address of one of its databases."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def run(self, sql: str, database: str = "postgres") -> list[Any]:
        """Run one statement as the owner, outside of any transaction; its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as conn:
            done = conn.execute(sql)
            return done.fetchall() if done.description else []

    def create(self, template: str = TEMPLATE) -> str:
        """A fresh database, unless told otherwise with all tables; its name."""
        self.made += 1
        self.run(f"CREATE DATABASE test_{self.made} TEMPLATE {template} STRATEGY FILE_COPY")
        return f"test_{self.made}"

    def drop(self, database: str) -> None:
        """Throw a database away, whoever is connected."""
        self.run(f"DROP DATABASE {database} WITH (FORCE)")

    def start(self) -> None:
        """Start it and wait until it answers; again on the same port."""
        for _ in range(5):
            self.port = self.port or free_port()
            options = [f"-c{option}" for option in (*UNSAFE, *SMALL, f"port={self.port}")]
            command = [str(programs() / "postgres"), "-D", str(self.folder / "data"), *options]
            with (self.folder / "log").open("ab") as log:
                self.process = subprocess.Popen(
                    command, stdout=log, stderr=log, cwd=self.folder, preexec_fn=_die_with_us, **_as_user()
                )
            if self._answers():
                return
            self.port = 0  # somebody took it first
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(60)
            self.process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections and answers nothing, as on a disk that is stuck."""
        assert self.process is not None
        everybody = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children()]
        for one in everybody:
            one.suspend()
        try:
            yield
        finally:
            for one in everybody:
                with suppress(psutil.NoSuchProcess):  # whose client has gone meanwhile goes as well
                    one.resume()

    def _answers(self) -> bool:
        until = time.monotonic() + 60
        while self.process is not None and self.process.poll() is None and time.monotonic() < until:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False


@contextmanager
def running(encoding: str = "UTF8") -> Iterator[Server]:
    """A server with the tables in its template while the block runs."""
    programs()
    folder = Path(tempfile.mkdtemp(prefix="dropslot-postgres-", dir=_quickest()))
    server = Server(folder)
    try:
        if user := _user():
            os.chown(folder, user.pw_uid, user.pw_gid)
        command = [programs() / "initdb", "-D", folder / "data", "-U", OWNER, "-E", encoding, "--locale=C", "--no-sync"]
        made = subprocess.run([*command, "--auth=trust"], capture_output=True, cwd=folder, check=False, **_as_user())
        assert made.returncode == 0, made.stderr.decode()
        (folder / "data" / "pg_hba.conf").write_text(ACCESS)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def fill_template(server: Server) -> None:
    """Make the database that all others are copies of."""
    server.run(f"CREATE DATABASE {TEMPLATE}")
    database = open_database(server.url(TEMPLATE))
    migrate(database, server.folder / "migrate.lock")
    database.close()


def _quickest() -> str | None:
    """Memory, if there is plenty: a new database is a thousand new files. Else where all temporary files are."""
    try:
        return MEMORY if shutil.disk_usage(MEMORY).free > ROOM else None
    except OSError:
        return None


def _user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then it is this user."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _as_user() -> dict[str, Any]:
    user = _user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}


def _die_with_us() -> None:
    """Whoever kills the tests leaves no server behind (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def free_port() -> int:
    """A port of loopback that nobody uses just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
