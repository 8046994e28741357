"""How long agencies wait at the door while the worker ingests another one's file of a million rows.

A neighbour asks for a `stat` every 10 ms, as in `bench.neighbours`; another session sends a small file every half
second and takes the time of its CLOSE, which is answered when the file is safe. Both begin before the large file gets
its final name, and end when its receipt lies there.
"""

import asyncio
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles

from bench import neighbours
from bench.apart import Run, apart, beside
from bench.clients import sftp
from bench.crowd import enter
from bench.figures import Figure, Target, alone
from bench.ingestion import SEED
from bench.peers import Server, dropslot, neighbour

PAUSE = 0.5
SMALL = 10 * 1024
LONGEST = 600
STAT, CLOSE = Target(most=20), Target(most=1)


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of a door beside a busy worker, from one run."""
    rows = 20_000 if quick else 1_000_000
    file = folder / "large.txt"
    apart(write_file, file, rows)
    home = folder / "dropslot"
    with dropslot(home, profile=True) as server:
        first, second = (neighbour(server, home, slug) for slug in ("asker", "sender"))
        sftp(server, f"put {file} /upload/large.txt.filepart\n")
        with beside(neighbours.ask, first) as asker, beside(send, second) as sender:
            asker.hear()
            sender.hear()
            begun = time.perf_counter()
            sftp(server, "rename /upload/large.txt.filepart /upload/large.txt\n")
            _await_receipt(server)
            took = time.perf_counter() - begun
            for one in (asker, sender):
                one.say()
            waits, closes = (sorted(one.hear()) for one in (asker, sender))
    p99 = quantiles([wait * 1000 for wait in waits], n=100, method="inclusive")[98]
    rest = f"p50 {median(waits) * 1000:.2f}, longest {waits[-1] * 1000:.0f} of {len(waits)} in {took:.0f} s"
    sent = f"median {median(closes):.3f} s of {len(closes)} files of 10 KiB, durability as delivered"
    what = f"while {rows // 1000:,}k rows are ingested"
    return [
        alone("busy", f"p99 of a neighbour's stat {what}", "ms", [p99], STAT, rest),
        alone("busy", f"longest CLOSE {what}", "s", [closes[-1]], CLOSE, sent),
    ]


def write_file(file: Path, rows: int) -> Run:
    """Write the large file."""
    from ingest.sample import write_ecr

    write_ecr(file, rows, SEED)
    return Run(0, 0, {})


def send(pipe: Connection, server: Server) -> None:
    """Send a small file every half second until told to stop; then say how many seconds each CLOSE took."""
    asyncio.run(_send(pipe, server))


async def _send(pipe: Connection, server: Server) -> None:
    session = await enter(server)
    pipe.send(None)
    told = asyncio.create_task(asyncio.to_thread(pipe.recv))
    seconds: list[float] = []
    while not told.done():
        file = await session.sftp.open(f"/upload/{len(seconds)}.txt", "wb")
        await file.write(bytes(SMALL))
        begun = time.perf_counter()
        await file.close()
        seconds.append(time.perf_counter() - begun)
        await asyncio.sleep(PAUSE)
    pipe.send(seconds)
    session.connection.close()


def _await_receipt(server: Server) -> None:
    receipts = server.upload.parent / "download" / "receipts"
    until = time.monotonic() + LONGEST
    while not list(receipts.glob("large.txt.*.receipt.json")):
        if time.monotonic() > until:
            raise RuntimeError(f"no receipt after {LONGEST} s")
        time.sleep(0.1)
