"""A PostgreSQL of the bench's own: on loopback, as safe as it is delivered, and gone afterwards."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import UnavailableError
from bench.peers import LOOPBACK, await_port, free_port, running

PLACES = Path("/usr/lib/postgresql")
OWNER = "bench"
SETTINGS = ("unix_socket_directories=", f"listen_addresses={LOOPBACK}", "shared_buffers=256MB", "max_wal_size=4GB")


@dataclass(frozen=True)
class Postgres:
    """A running server; `programs` is where its commands are."""

    programs: Path
    port: int

    def create(self, name: str) -> str:
        """A new, empty database; its address."""
        where = ["-h", LOOPBACK, "-p", str(self.port), "-U", OWNER]
        for command in (["dropdb", *where, "--if-exists", name], ["createdb", *where, "-T", "template0", name]):
            subprocess.run([self.programs / command[0], *command[1:]], check=True, capture_output=True)
        return f"postgresql://{OWNER}@{LOOPBACK}:{self.port}/{name}"


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A server with its files in `folder`, which is made. Raises UnavailableError when it is not installed."""
    programs = _programs()
    folder.mkdir(parents=True)
    owner = _owner()
    if owner:
        folder.parent.chmod(0o711)  # temporary directories are closed to everybody else
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    user: dict[str, Any] = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
    data, port = folder / "data", free_port()
    made = [str(programs / "initdb"), "-D", str(data), "-U", OWNER, "-E", "UTF8", "--locale=C", "--auth=trust"]
    done = subprocess.run(made, capture_output=True, text=True, cwd="/", **user)
    if done.returncode != 0:
        raise UnavailableError(f"PostgreSQL cannot be set up in {folder}: {done.stderr.strip()[-300:]}")
    command = [str(programs / "postgres"), "-D", str(data), *(f"-c{one}" for one in (*SETTINGS, f"port={port}"))]
    if owner:
        command = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", *command]
    with running(command, folder.with_suffix(".log"), {}) as process:
        await_port(process, port, folder.with_suffix(".log"))
        yield Postgres(programs, port)


def _programs() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(PLACES.glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name))
    if not versions:
        raise UnavailableError("no PostgreSQL here (apt-get install postgresql)")
    return versions[-1].parent


def _owner() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then it is this user."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
