"""`dropslot demo` (`make run`): a court pushes a file through the real door, and you see what becomes of it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from ingest import inbox
from ingest.answer import Upload
from ingest.arrival import Arrival
from keys.store import ensure_host_keys
from server.agencies import list_agencies, look_up
from server.cli.output import say
from server.clock import new_id, now
from server.errors import AppError, Code
from server.services.provision import create_agency, make_key
from server.settings import Settings, environment
from server.state import State, open_state
from server.sync.profiles import create_profile

SLUG = "demo-county"
FILE = "demo_ecr.txt"
DATA = Path("dropslot-demo")
PATIENCE = 120.0


@dataclass(frozen=True)
class Stage:
    """Where the demonstration plays: the court's side of it lies in `folder`."""

    settings: Settings
    folder: Path

    @property
    def key(self) -> Path:
        """The demonstration court's private key."""
        return self.folder / "court_key"

    @property
    def known_hosts(self) -> Path:
        """The door's host keys, as the court knows them."""
        return self.folder / "known_hosts"

    def sftp(self, port: int, *more: str) -> list[str]:
        """The command of the real OpenSSH client, with the host key checked."""
        options = ("-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "IdentitiesOnly=yes")
        return ["sftp", "-P", str(port), "-i", str(self.key), *options, *more, f"{SLUG}@127.0.0.1"]


def demo(
    context: typer.Context,
    rows: Annotated[int, typer.Option(help="Rows of the demonstration file.", min=10)] = 6000,
    sftp_port: Annotated[
        int | None, typer.Option(help="Port of the SFTP door (0: the system chooses).  [2022]")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when the file is answered.")] = False,
) -> None:
    """Start a server, push a realistic court file through it with OpenSSH's sftp, and show what came of it.

    Its data directory is dropslot-demo, unless --data names another one.
    """
    given = context.parent and context.parent.params["data"]
    settings = _settings(given or DATA, sftp_port)
    if shutil.which("sftp") is None:
        raise AppError(
            Code.UNAVAILABLE, "OpenSSH's sftp is not installed.", "On Debian and Ubuntu: apt-get install openssh-client"
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the server is stopped as well
    stage = Stage(settings, settings.data / "demo")
    with open_state(settings) as state:
        _provision(state, stage)
        file = _make_file(stage, rows)
        with _server(settings) as (process, port):
            _write_known_hosts(state, stage, port)
            _tell(state, stage, port, *_push(state, stage, port, file))
            if not once:
                say("\nThe server is running; Ctrl-C stops it.")
                process.wait()


def _settings(data: Path, sftp_port: int | None) -> Settings:
    """A demonstration has nothing to seek in the operator's data directory, nor in the PostgreSQL."""
    flags: dict[str, Any] = {} if sftp_port is None else {"sftp_port": sftp_port}
    return Settings(data=data, database=SecretStr(""), database_file="", **flags)


def _provision(state: State, stage: Stage) -> None:
    with state.database.writing() as conn:
        if any(agency.slug != SLUG for agency in list_agencies(conn)):
            hint = "Name a directory of its own: dropslot --data dropslot-demo demo"
            raise AppError(Code.CONFLICT, f"{state.settings.data} is no demonstration's: it has other agencies.", hint)
        stage.folder.mkdir(mode=0o700, exist_ok=True)
        if look_up(conn, SLUG) is None:
            create_agency(conn, state.settings.agencies, SLUG, "Demo County", "America/New_York", staging=True)
            create_profile(conn, SLUG, "nightly-ecr", "odyssey-ecr")
        if not stage.key.exists():
            private, _ = make_key(conn, SLUG, "demonstration")
            descriptor = os.open(stage.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(private.reveal())


def _make_file(stage: Stage, rows: int) -> Path:
    from ingest.sample import write_ecr  # slow to import: the other commands do without

    file = stage.folder / FILE
    write_ecr(file, rows=rows, seed=2022)
    return file


@contextmanager
def _server(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    log = settings.data / "logs" / "serve.log"
    announced = settings.data / "run" / "serve.json"
    say(f"Starting dropslot serve on {settings.data} (log: {log})")
    command = [sys.executable, "-P", "-m", "server.cli", "serve"]
    with log.open("ab") as out:
        began = out.tell()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=out, env=environment(settings))
    try:
        until = time.monotonic() + PATIENCE
        while not _is_ready(announced, process.pid):
            if process.poll() is not None or time.monotonic() > until:
                raise AppError(Code.UNAVAILABLE, f"The server did not start: {_last_words(log, began)}")
            time.sleep(0.05)
        yield process, json.loads(announced.read_text())["sftp_port"]
    except KeyboardInterrupt:
        say("\nStopping.")
    finally:
        process.terminate()
        process.wait()


def _is_ready(announced: Path, pid: int) -> bool:
    try:
        return bool(json.loads(announced.read_text())["pid"] == pid)
    except (OSError, ValueError):
        return False


def _last_words(log: Path, began: int) -> str:
    lines = log.read_bytes()[began:].decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("dropslot: ") if lines else f"see {log}"


def _write_known_hosts(state: State, stage: Stage, port: int) -> None:
    with state.database.writing() as conn:
        keys = ensure_host_keys(conn, state.cipher(), now(), new_id)
    lines = [f"[127.0.0.1]:{port} {key.public.openssh()}\n" for key in keys]
    stage.known_hosts.write_text("".join(lines))


def _push(state: State, stage: Stage, port: int, file: Path) -> tuple[Arrival, Upload]:
    say(f"Demo County pushes {file.name} ({sum(1 for _ in file.open('rb')) - 1} rows) with OpenSSH's sftp")
    began = now()
    batch = f"put {shlex.quote(str(file))} /upload/{file.name}\n"
    done = subprocess.run(stage.sftp(port, "-b", "-"), input=batch, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise AppError(Code.UNAVAILABLE, f"sftp failed: {done.stderr.strip() or done.stdout.strip()}")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if answered := _answered_since(state, began):
            return answered
        time.sleep(0.05)
    raise AppError(
        Code.UNAVAILABLE, "The file was accepted but not processed.", "See logs/serve.log in the data directory."
    )


def _answered_since(state: State, began: datetime) -> tuple[Arrival, Upload] | None:
    with state.database.reading() as conn:
        for arrival in inbox.list_arrivals(conn, limit=1):
            upload = inbox.find_upload(conn, arrival.upload_id or "")
            if arrival.received_at >= began and upload is not None and upload.answered_at is not None:
                return arrival, upload
    return None


def _tell(state: State, stage: Stage, port: int, arrival: Arrival, upload: Upload) -> None:
    receipts = state.settings.home(SLUG) / "download" / "receipts"
    say(f"\n  status    {upload.status}")
    say(f"  rows      {upload.rows}")
    for what in ("created", "updated", "unchanged"):
        numbers = {kind: getattr(counts, what) for kind, counts in upload.counts.items()}
        kinds = ", ".join(f"{number} {kind}" for kind, number in numbers.items() if number)
        say(f"  {what:<9} {sum(numbers.values())}" + (f"  ({kinds})" if kinds else ""))
    say(f"  skipped   {upload.skipped}")
    say(f"  errors    {upload.error_rows} rows not taken, {upload.warning_rows} taken but for a cell")
    say(f"  seconds   {(upload.finished_at - arrival.received_at).total_seconds():.2f} from CLOSE to commit")
    say(f"  receipt   {receipts / upload.receipt_text_file}")
    if upload.error_file:
        say(f"  bad rows  {receipts / upload.error_file}")
    if upload.status == "duplicate":
        say("\nThe same file was here before: nothing was created twice.")
    elif upload.notes:
        say(f"  note      {' '.join(upload.notes)}")
    say("\nThe same as the court sees it, and the way to push another file:\n")
    say(f"  {shlex.join(stage.sftp(port))}")
    say("  sftp> put FILE /upload/")
    say("  sftp> ls /download/receipts\n")
    data = shlex.quote(str(state.settings.data))
    dropslot = os.path.relpath(sys.argv[0])
    say("What an operator sees:\n")
    say(f"  {dropslot} --data {data} upload list")
    say(f"  {dropslot} --data {data} record list events --agency {SLUG}")
