"""Seconds from the client's CLOSE to the commit, for the file of a middling court through the running server.

The server's own account: `received_at` of the arrival (CLOSE was answered then) to `finished_at` of the upload. From
outside: from the end of the `sftp` command to the moment the receipt lies in the agency's download directory.
"""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.apart import Run, apart
from bench.clients import sftp
from bench.figures import Figure, Target, alone
from bench.ingestion import SEED
from bench.peers import AGENCY, Server, ask, dropslot

ROWS = 5_000
TARGET = Target(most=1.5)
LOOK_EVERY = 0.005
LONGEST = 60


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of latency. Raises UnavailableError when the server cannot run here."""
    number = 2 if quick else max(rounds, 3) * 3
    files = [folder / f"nightly-{index}.txt" for index in range(number + 1)]
    apart(write_files, files)
    with dropslot(folder / "dropslot", profile=True) as server:
        outside = [_send(server, file) for file in files][1:]  # the first one warms the worker up
        uploads = ask(folder / "dropslot" / "data", "upload", "list", "--agency", AGENCY)
        arrivals = ask(folder / "dropslot" / "data", "arrival", "list", "--agency", AGENCY)
    inside = _inside(uploads, arrivals, {file.name for file in files[1:]})
    what = f"{ROWS // 1000}k rows, CLOSE to"
    return [
        alone("latency", f"{what} commit", "s", inside, TARGET, f"longest {max(inside):.2f} s, {len(inside)} files"),
        alone("latency", f"{what} receipt", "s", outside, beside=f"longest {max(outside):.2f} s, seen from outside"),
    ]


def write_files(files: list[Path]) -> Run:
    """Write one file per night, each with other content."""
    from ingest.sample import write_ecr

    for number, file in enumerate(files):
        write_ecr(file, ROWS, SEED + number)
    return Run(0, 0, {})


def _send(server: Server, file: Path) -> float:
    """Send the file; the seconds from the end of the command to its receipt."""
    sftp(server, f"put {file} /upload/{file.name}\n")
    closed = time.perf_counter()
    receipts = server.upload.parent / "download" / "receipts"
    while not list(receipts.glob(f"{file.name}.*.receipt.json")):
        if time.perf_counter() - closed > LONGEST:
            raise RuntimeError(f"no receipt for {file.name} after {LONGEST} s")
        time.sleep(LOOK_EVERY)
    return time.perf_counter() - closed


def _inside(uploads: list[dict[str, Any]], arrivals: list[dict[str, Any]], names: set[str]) -> list[float]:
    closed = {arrival["id"]: _instant(arrival["received_at"]) for arrival in arrivals}
    wanted = [upload for upload in uploads if upload["file"] in names]
    return [(_instant(upload["finished_at"]) - closed[upload["arrival_id"]]).total_seconds() for upload in wanted]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
