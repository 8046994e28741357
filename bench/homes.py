"""What very many files in a home cost: the sweep that finds nothing new among them, and a client that lists them all.

All but none of the files have been taken before, as after some years of nightly files that nobody has deleted.
"""

import os
from pathlib import Path

from bench import processes
from bench.apart import Run, apart, timed
from bench.clients import sftp
from bench.figures import Figure, alone
from bench.peers import AGENCY, dropslot

FOLDERS, FILES = 1000, 1000
FEW = 10


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of the sweep and of listings. Raises UnavailableError when the server cannot run here."""
    folders = FEW if quick else FOLDERS
    place = folder / "dropslot"
    with dropslot(place) as server:
        apart(fill, place / "data", server.upload, folders)
    small = _sweep(folder / "few", FEW)
    runs = [apart(sweep_home, place / "data") for _ in range(rounds)]
    with dropslot(place) as server:
        before = max(processes.peaks_mib(server.pid, server.door))
        batch = "".join(f"ls -f /upload/{number:04}\n" for number in range(folders))
        listings = [sftp(server, batch) for _ in range(rounds)]
        after = max(processes.peaks_mib(server.pid, server.door))
    number = f"{folders * FILES:,} files"
    spent = f"CPU {runs[-1].cpu:.1f} s; {FEW * FILES:,} files: {small.seconds:.1f} s, {small.peak:.0f} MiB"
    return [
        alone("homes", f"sweep, {number}, none new", "s", [run.seconds for run in runs], beside=spent),
        alone("homes", f"peak memory of that, {number}", "MiB", [run.peak for run in runs]),
        alone("homes", f"a client lists all of {number}", "s", listings, beside=f"{folders} folders, one session"),
        alone("homes", "peak memory of the door", "MiB", [after], beside=f"before: {before:.0f} MiB"),
    ]


def fill(data: Path, upload: Path, folders: int) -> Run:
    """Put files there that all count as taken."""
    from server.agencies import find_agency
    from server.intake.taken import Footprint, take_all
    from server.settings import Settings
    from server.state import open_state

    with open_state(Settings(data=data)) as state:
        for number in range(folders):
            footprints = {}
            (upload / f"{number:04}").mkdir()
            for file in range(FILES):
                place = upload / f"{number:04}" / f"nightly-{number:04}-{file:04}.txt"
                place.touch()
                footprints[f"{number:04}-{file:04}"] = Footprint.of(os.lstat(place))
            with state.database.writing() as conn:
                take_all(conn, find_agency(conn, AGENCY).id, footprints)
    return Run(0, 0, {})


def sweep_home(data: Path) -> Run:
    """Sweep once, in a process of its own."""
    from server.inbound.sweep import sweep
    from server.intake.register import Registrar
    from server.logs import open_log
    from server.settings import Settings
    from server.state import open_state

    log = open_log("error")
    with open_state(Settings(data=data, quiet_time=0)) as state:
        registrar = Registrar(state.database, state.queue, log)

        def count() -> dict[str, int]:
            return {"taken": len(sweep(state, registrar, log).taken)}

        run = timed(count)
    if run.counts["taken"]:
        raise RuntimeError(f"the sweep took {run.counts['taken']} files that were taken before")
    return run


def _sweep(place: Path, folders: int) -> Run:
    with dropslot(place) as server:
        apart(fill, place / "data", server.upload, folders)
    return apart(sweep_home, place / "data")
